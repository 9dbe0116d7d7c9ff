/*
 * heap.h: what a process held at some moment, found by replaying its events: live blocks, address space, totals per
 * site and per thread, and the instants that the trace names.
 */
#ifndef HEAP_HEAP_H
#define HEAP_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/trace.h"

#define HEAP_NO_SITE UINT32_MAX

/*
 * What a recorded block stands for. Where only a sample was recorded (trace.h), a block of s bytes that was chosen with
 * probability p stands for 1 / p blocks and s / p bytes; a sum of these over recorded blocks is an unbiased estimate of
 * the sum over all, with the variance sum of s^2 (1 - p) / p^2 (D. Horvitz and D. Thompson, A generalization of sampling
 * without replacement from a finite universe, 1952). Counts and bytes of blocks below are such sums; in a trace of every
 * event they are exact.
 */
struct heap_weight {
    double blocks;
    uint64_t bytes;
    double spread; /* variance of the bytes, in squares of the mean distance of samples */
};

/* Of normally distributed estimates, 95 % are at most that many standard errors (roots of the variance) off. */
#define HEAP_SURE 1.96

/* `mean`: of the trace, in bytes; 0: it holds every event. */
struct heap_weight heap_weigh(uint64_t mean, uint64_t size);
struct heap_weight heap_whole(uint64_t size); /* what was recorded for certain */

/* A distinct stack and call that makes blocks or mappings. */
struct heap_site {
    uint32_t node; /* of the trace */
    uint32_t call; /* enum record_call */
    bool mapping;  /* address space, not heap */
    bool own;      /* the tap's own memory: in no total */
    double alloc_count, free_count, live_blocks;
    uint64_t alloc_bytes, live_bytes;
    double alloc_spread, live_spread; /* of these bytes */
    uint64_t peak_bytes;              /* greatest live_bytes */
    uint64_t temporary;               /* blocks freed before their thread allocated again; not known of a sample */
    uint64_t failed;
};

struct heap_block {
    uint64_t size, time;
    uint32_t site, thread; /* indices */
    uint32_t tag;          /* component given by memtap_tag: a string of the trace; 0: none */
};

/* A piece of address space with one origin. */
struct heap_mapping {
    uint64_t start, end, time, offset;
    uint32_t site, thread, tag;
    uint32_t file;        /* string of the trace; 0: anonymous */
    uint32_t prot, flags; /* as in mmap; prot 0: reserved, not counted as mapped */
};

/* What is known to lie at some place of memory: a tensor, or bytes that were read from a model file. */
struct heap_content {
    uint64_t start, end, time;
    const char *name; /* tensor: its name; NULL: file bytes */
    uint64_t buffer;  /* tensor: handle of its buffer */
    uint32_t type;    /* tensor: enum ggml_type */
    uint32_t file;    /* file bytes: string of the trace, its path */
    uint64_t offset;  /* file bytes: of the first one */
};

/* A buffer of the engine, as its own API names it. */
struct heap_buffer {
    uint64_t id, start, end, time;
    uint32_t usage;   /* as in struct record_buffer */
    const char *type; /* "CPU_REPACK" */
};

struct heap_thread {
    uint32_t tid;
    double alloc_count, free_count, live_blocks;
    uint64_t alloc_bytes, live_bytes;
    double live_spread;
    uint64_t last_address; /* of its latest allocation */
};

struct heap_totals {
    double alloc_count, free_count; /* heap calls: malloc and its family */
    double live_blocks;
    uint64_t alloc_bytes, live_bytes;
    uint64_t peak_bytes, peak_event;               /* greatest live_bytes, and the number of the event that made it */
    double alloc_spread, live_spread, peak_spread; /* of these bytes */
    uint64_t temporary;                            /* not known of a sample */
    uint64_t failed_allocs;
    uint64_t mapped_bytes, mapped_peak, reserved_bytes;
    uint64_t unmatched_frees; /* frees of blocks that nobody allocated */
    uint64_t repaired;        /* events of one address that came in the wrong order */
    double inherited_blocks;  /* forked child: still there of the parent's heap */
    uint64_t inherited_bytes;
    uint64_t own_bytes;   /* what the loader allocated for the tap */
    double histogram[65]; /* allocations by size: [i] counts sizes of i bits */
};

/* When the engine did something first: trace clock, 0 if it did not. */
struct heap_phases {
    uint64_t compute; /* ran a graph */
    uint64_t request; /* a request began */
};

struct heap_sample {
    uint64_t time, rss_anon, rss_file, rss_shmem, swap, own;
};

struct heap_mark {
    uint64_t time;
    double value;
    char *name;
};

struct heap_request {
    uint64_t time; /* of its end */
    uint64_t id, units;
};

/* What every site held at some moment: the start, a mark, the end of a request. */
struct heap_moment {
    uint64_t time;
    const char *mark; /* name of the mark; NULL: `request` ended, or it is neither */
    uint64_t request; /* its number from 1 on; 0: none */
    uint64_t live_bytes, mapped_bytes;
    double live_spread;
    uint64_t *site; /* live bytes of the first `sites` sites */
    uint32_t sites;
};

/* A heap call that failed. */
struct heap_failure {
    uint64_t time, event, size;
    uint32_t site;
};

/* Where replay stops. */
struct heap_until {
    enum { HEAP_UNTIL_END, HEAP_UNTIL_EVENT, HEAP_UNTIL_MARK, HEAP_UNTIL_REQUEST, HEAP_UNTIL_MONO } what;
    uint64_t event; /* number of the last event to apply; number of the request; CLOCK_MONOTONIC ns */
    const char *mark;
};

struct heap;

struct heap_options {
    struct heap_until until;
    bool peak;           /* stop each process at its peak instead, as an earlier replay has */
    struct heap **found; /* found it */
    /* Called before each event of the session's trace `number` is applied; or NULL. leaks/ cuts slices with it. */
    void (*before_event)(void *context, uint32_t number, const struct heap *h, const struct trace_event *e);
    void *context;
    bool quiet; /* no progress */
};

/* Replays all traces of a session; heap[i] belongs to session->trace[i]. Free each with heap_free. */
struct heap **heap_replay(const struct session *s, const struct heap_options *options);
void heap_free_all(struct heap **heap, uint32_t count);

/* Whether replay came to the mark or request it was to stop at. */
bool heap_reached(const struct heap *h);
uint64_t heap_time(const struct heap *h); /* of the last event applied */

uint64_t heap_sample_mean(const struct heap *h);           /* bytes; 0: every event was recorded */
double heap_variance(const struct heap *h, double spread); /* in square bytes */

const struct heap_totals *heap_totals(const struct heap *h);
uint32_t heap_site_count(const struct heap *h);
const struct heap_site *heap_site(const struct heap *h, uint32_t i);
uint32_t heap_thread_count(const struct heap *h);
const struct heap_thread *heap_thread(const struct heap *h, uint32_t i);
uint32_t heap_mapping_count(const struct heap *h);
const struct heap_mapping *heap_mapping(const struct heap *h, uint32_t i);
uint32_t heap_mapping_behind(const struct heap *h,
                             uint64_t address); /* the first that ends behind it, or their count */
uint32_t heap_mark_count(const struct heap *h);
const struct heap_mark *heap_mark(const struct heap *h, uint32_t i);
/* In the order of time; of very many requests some are left out. */
uint32_t heap_moment_count(const struct heap *h);
struct heap_moment heap_moment(const struct heap *h, uint32_t i);
const struct heap_failure *heap_last_failure(const struct heap *h); /* NULL if there is none */
uint32_t heap_request_count(const struct heap *h);
const struct heap_request *heap_request(const struct heap *h, uint32_t i);
const struct heap_sample *heap_last_sample(const struct heap *h); /* NULL if there is none */
const struct heap_phases *heap_phases(const struct heap *h);

/* By address, without overlaps; valid while the heap is. */
/* ..._behind: number of the first that ends behind the address; their count if none does. */
uint32_t heap_tensor_count(const struct heap *h);
const struct heap_content *heap_tensor(const struct heap *h, uint32_t i);
uint32_t heap_tensor_behind(const struct heap *h, uint64_t address);
uint32_t heap_file_bytes_count(const struct heap *h);
const struct heap_content *heap_file_bytes(const struct heap *h, uint32_t i);
uint32_t heap_file_bytes_behind(const struct heap *h, uint64_t address);
/* In the order of their making. */
uint32_t heap_buffer_count(const struct heap *h);
const struct heap_buffer *heap_buffer(const struct heap *h, uint32_t i);
/* Addresses that lie on the stacks of threads, one for each thread that ran so far. */
uint32_t heap_stack_count(const struct heap *h);
uint64_t heap_stack(const struct heap *h, uint32_t i);

/* Visits every live block of the heap that was recorded, in no order. */
void heap_each_block(const struct heap *h, void (*visit)(void *context, uint64_t address, const struct heap_block *b),
                     void *context);
/* The live block of that address, which is there. */
struct heap_block heap_block(const struct heap *h, uint64_t address);

#endif
