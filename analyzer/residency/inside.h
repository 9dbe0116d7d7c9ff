/* inside.h: what the files of residency/ know of a snapshot while it is put together. */
#ifndef RESIDENCY_INSIDE_H
#define RESIDENCY_INSIDE_H

#include <stdio.h>

#include "residency/residency.h"

/* Bounds on what one snapshot takes, also of memory: about 100 MB at the worst. */
#define MOST_VMAS (1u << 18)
#define MOST_RUNS (1u << 19)
#define MOST_PAYLOAD (64u << 20)
#define PAGES_MAGIC 0x0a534547415054ull /* "TPAGES\n" */

struct builder {
    struct residency_snapshot *s;
    uint32_t vma_room, run_room;
    size_t names_size, names_room;
};

/* Appends a mapping; `name` of `size` bytes is copied. NULL if there are too many. */
struct residency_vma *builder_vma(struct builder *b, const char *name, size_t size);
/* Appends pages; joins them to the run before if they continue it. False if there are too many runs. */
bool builder_run(struct builder *b, uint64_t start, uint64_t end, enum residency_kind kind, bool huge);
/* Sums everything up; from then on the snapshot can be asked. */
void builder_finish(struct builder *b);

/* maps.c: reads the mappings; with `sums`, from smaps and with their sums in `spread`. */
bool maps_read(struct builder *b, pid_t pid, bool sums, struct error *e);

/* pages.c: finds the resident pages of the mappings that were read. */
bool pages_scan(struct builder *b, pid_t pid);    /* false: not on this kernel, or not permitted */
bool pages_pagemap(struct builder *b, pid_t pid); /* needs the sums of smaps, and replaces them by runs */

/* encode.c: a snapshot as bytes, but for its time. */
struct bytes {
    uint8_t *byte;
    size_t size, room;
};
void encode(const struct residency_snapshot *s, uint64_t page, struct bytes *b);
/* Into an empty snapshot; false if the bytes are none. */
bool decode(const uint8_t *bytes, size_t size, struct residency_snapshot *s);

/* take.c: a snapshot by this method, or the best below it that works. */
struct residency_snapshot *take_by(pid_t pid, enum residency_method method, struct error *e);

#endif
