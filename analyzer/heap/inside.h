/* inside.h: what the files of heap/ know of a heap. */
#ifndef HEAP_INSIDE_H
#define HEAP_INSIDE_H

#include <htslib/khash.h>

#include "base/intern.h"
#include "heap/heap.h"
#include "heap/table.h"

/* Addresses are multiples of 16, mostly: spread them (2^64 / golden ratio). */
#define heap_hash(key) ((khint_t)((key)*0x9e3779b97f4a7c15ull >> 32))
#define heap_same(a, b) ((a) == (b))
KHASH_INIT(numbers, khint64_t, uint64_t, 1, heap_hash, heap_same)
KHASH_INIT(threads, khint32_t, uint32_t, 1, kh_int_hash_func, kh_int_hash_equal)

#define HEAP_RECENT_THREADS 64u

/* A free of a block that this process did not allocate: a forked child's parent may have. */
struct heap_unknown {
    uint64_t address, time; /* address 0: turned out to be known */
    uint32_t tid;
    struct heap *by; /* the process that freed it; its question may have come up through several others */
};

/* Of the blocks that a forked child shares with its parent: how many, at a time. */
struct heap_given {
    uint64_t time;
    double blocks;
    uint64_t bytes;
};

/* A piece of address space that the thread's mremap is moving. */
struct heap_moving {
    uint32_t tid;
    struct heap_mapping piece;
};

/* A question to the parent's replay: what was at this address when it forked? */
struct heap_watch {
    uint64_t from, to;           /* the fork happened between these times of the parent's clock */
    struct heap_unknown unknown; /* address 0: the totals are asked for */
    bool answered;
    double blocks; /* the answer */
    uint64_t bytes;
    struct heap *child;
};

/* Contents by address, without overlaps. */
struct heap_contents {
    struct heap_content *item;
    uint32_t count, room;
    uint64_t least; /* size of the smallest one ever: smaller blocks hold none */
};

struct heap {
    struct trace *trace;
    uint32_t number; /* of the trace in its session */
    struct heap_options options;
    struct heap_totals totals;
    uint64_t events, time, reserved;
    bool reached;
    bool knows_all;  /* all blocks that are freed were seen allocated */
    uint64_t mean;   /* of the sample; 0: it is none */
    bool frees_more; /* frees are recorded of blocks that were not */

    struct table blocks;
    khash_t(numbers) * tags;      /* of blocks that have one */
    khash_t(numbers) * early;     /* addresses freed while nothing was there -> place in unknown */
    khash_t(numbers) * displaced; /* addresses given out again before they were freed -> when */

    struct site_index {
        struct site_place {
            uint64_t key;    /* node and call */
            uint32_t number; /* place in site, plus 1; 0: empty */
        } * place;
        uint64_t room;
        unsigned shift;
    } site_index;
    struct heap_site *site;
    uint32_t sites, site_room;

    khash_t(threads) * thread_index;
    struct heap_thread *thread;
    uint32_t threads, thread_room;
    uint32_t recent_thread[HEAP_RECENT_THREADS]; /* where one was found last, by tid */

    struct heap_mapping *mapping; /* by address, without overlaps */
    uint32_t mappings, mapping_room;
    struct heap_moving *moving; /* in the order of their addresses, for each thread */
    uint32_t movings, moving_room;

    struct heap_contents tensors, file_bytes;
    struct heap_buffer *buffer;
    uint32_t buffers, buffer_room;
    struct intern *names; /* of tensors and buffer types */
    struct heap_phases phases;
    uint64_t *stack;
    uint32_t stacks, stack_room;

    struct heap_mark *mark;
    uint32_t marks, mark_room;
    struct heap_request *request;
    uint32_t requests, request_room;
    struct heap_sample sample;
    bool has_sample;
    struct heap_moment *moment;
    uint32_t moments, moment_room;
    uint32_t moment_stride; /* of so many requests one is kept */
    struct heap_failure failure;
    bool has_failure;

    struct heap_unknown *unknown;
    uint32_t unknowns, unknown_room;
    struct heap_watch *watch; /* by `from` */
    uint32_t watches, watch_room, next_watch;

    struct heap *parent;         /* NULL if not forked, or its trace is not there */
    struct heap_given at_fork;   /* the parent's own blocks, at a time of its clock */
    struct heap_given inherited; /* all that was inherited */
    struct heap_given *gave;     /* what of it was freed */
    uint32_t gaves, gave_room;
};

/* sites.c */
uint32_t sites_find(struct heap *h, uint64_t node, uint64_t call, bool mapping);
void sites_add(struct heap *h, uint32_t site, struct heap_weight w);
void sites_remove(struct heap *h, uint32_t site, struct heap_weight w);
uint32_t threads_find(struct heap *h, uint32_t tid);

/* blocks.c */
void blocks_add(struct heap *h, uint64_t address, const struct heap_block *block);
void blocks_remove(struct heap *h, uint64_t address, uint64_t time, uint32_t tid);
bool blocks_tag(struct heap *h, uint64_t address, uint32_t tag);

/* mappings.c */
void mappings_make(struct heap *h, const struct heap_mapping *m);
void mappings_release(struct heap *h, uint64_t start, uint64_t end);
void mappings_detach(struct heap *h, uint64_t address); /* shmdt: all that is left of the segment */
/* An mremap of the thread: what it releases at its first time, and what it makes of that at its second. */
void mappings_leave(struct heap *h, const struct record_remap *r, uint32_t tid);
void mappings_arrive(struct heap *h, const struct record_remap *r, const struct heap_mapping *fresh, uint32_t tid);
bool mappings_tag(struct heap *h, uint64_t address, uint32_t tag);

/* contents.c */
void contents_tensor(struct heap *h, const struct record *r);
void contents_file_bytes(struct heap *h, const struct record_file_bytes *r);
void contents_buffer(struct heap *h, const struct record *r);
void contents_buffer_free(struct heap *h, uint64_t id);
void contents_forget(struct heap *h, uint64_t start, uint64_t end); /* what lay there is gone */
void contents_free(struct heap *h);

/* moments.c */
void moments_mark(struct heap *h, uint64_t time);    /* the heap's last mark */
void moments_request(struct heap *h, uint64_t time); /* the heap's last request */
void moments_free(struct heap *h);

/* inherit.c */
void inherit_ask(struct heap *child, struct heap *parent);
void inherit_begin(struct heap *parent);                             /* before its replay: all children have asked */
void inherit_answer(struct heap *h, const struct trace_event *next); /* before an event is applied; NULL: at the end */
void inherit_settle(struct heap *parent);
void inherit_sum(struct heap *h); /* of parents first, when all are replayed */

#endif
