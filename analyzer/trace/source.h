/* source.h: the chunks of one trace file, wherever they are: in the ring, in the log, or in both. Inside trace/. */
#ifndef TRACE_SOURCE_H
#define TRACE_SOURCE_H

#include "trace/trace.h"

/* One chunk, not yet loaded. */
struct chunk_ref {
    uint64_t sequence, time, mono_ns;
    uint64_t offset; /* of the payload in the file, if memory is NULL */
    uint8_t *memory; /* a copy of the payload from the ring */
    uint64_t seed;   /* for the checksum */
    uint64_t checksum;
    uint32_t cursor, tid, committed, stored;
    uint16_t encoding;
};

struct source {
    int fd;
    uint64_t size;
    struct trace_header header;
    struct chunk_ref *chunk; /* by cursor, then sequence */
    uint32_t count, room;
    uint64_t damaged, missing, bytes;
    uint64_t busy; /* slots that were between two chunks */
    uint64_t lost; /* events counted in the ring's slots */
};

/* Whether the file holds nothing: its process ended before the recording began, or is only just starting. */
bool source_is_unbegun(int fd);

/* Reads header and index. The file is examined, not trusted. Takes over the descriptor, also if it fails. */
bool source_open(struct source *s, int fd, const char *path, struct error *e);
void source_close(struct source *s);

/* Loads a payload into `buffer` (c->committed bytes); false if it is damaged. */
bool source_load(const struct source *s, const struct chunk_ref *c, uint8_t *buffer);

#endif
