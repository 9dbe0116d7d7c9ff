/*
 * owners.h: whose every byte of a process is. Blocks and mappings are split by address: what a tag, a tensor, a model
 * file or a buffer of the engine says about a range beats what the call stack says about the whole; and what is resident
 * outside of all of them gets an owner by the mapping it lies in.
 */
#ifndef ATTRIBUTE_OWNERS_H
#define ATTRIBUTE_OWNERS_H

#include "attribute/attribute.h"
#include "heap/heap.h"
#include "residency/residency.h"

#define OWNER_NOBODY "unexplained"  /* component of what is resident, and nothing says why */
#define OWNER_MEMTAP "memtap"       /* the tap's own */
#define OWNER_REST "allocator/rest" /* of a sample: beside the recorded blocks, blocks that are not and what is free */

/* A range of memory with one owner. */
struct owner {
    uint64_t start, end;
    const char *component, *how; /* as in struct attribution */
    const char *model;           /* file name of the model; "" if nothing says it */
    const char *file;            /* path of what is mapped or was read there; "" if it is no file */
    uint64_t offset;             /* of `start` in the file */
    enum evidence evidence;
    bool allocated;            /* the program asked for it; else it is only there, as what is left of a mapping */
    bool first;                /* begins a block or a mapping */
    uint64_t time;             /* when it was asked for; 0: it was not */
    uint32_t site;             /* of the heap, or HEAP_NO_SITE */
    const char *tensor, *type; /* name and type of the tensor that lies there; "" if none is known */
    const char *buffer;        /* type of the engine's buffer ("CPU_REPACK"); "" if none is known */
    uint64_t resident, swapped;
    double weight; /* of a sample: how many bytes each of these stands for (heap_weigh); else 1 */
};

/* How a buffer of the engine holds what is in it, by the name of its type: "mapped", "repacked", ...; NULL: "read". */
const char *owners_how(const struct heap_buffer *b);

/* Bytes of an owner's, with all that they stand for. */
uint64_t owner_weigh(const struct owner *o, uint64_t bytes);

struct owners; /* of one process */

struct tensors; /* what names of tensors and contents of model files mean; shared by the processes of a session */
struct tensors *tensors_new(void);
void tensors_free(struct tensors *t);
/* Bytes of all model files that have been met, on the disk. */
uint64_t tensors_file_bytes(const struct tensors *t);

/*
 * Looks for the owners of all memory of a process at the moment at which its heap stands. site[i] is whose heap_site(h, i)
 * is by its stack. `pages`: what was resident then; NULL: not known. All of these are kept, and must outlive it. Takes
 * eight bytes for each block; free with owners_free.
 */
struct owners *owners_find(const struct heap *h, const struct trace *t, const struct attribution *site,
                           const struct residency_snapshot *pages, struct rules *rules, struct tensors *tensors);
void owners_free(struct owners *w); /* NULL is fine */

/* Visits all owners by address, without overlaps. Their texts live as long as rules and tensors. */
typedef void owners_visitor(void *context, const struct owner *o);
void owners_each(struct owners *w, owners_visitor *visit, void *context);

bool owners_measured(const struct owners *w); /* resident parts are known */
/* Where the tap's own memory lies is known: it belongs to OWNER_MEMTAP, not to OWNER_NOBODY. */
bool owners_know_own(const struct owners *w);

#endif
