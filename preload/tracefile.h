/*
 * tracefile.h: the file of this process: its header, its ring memory and its log. Knows the layout of trace.h, not
 * what is in the chunks. There is one at a time; a forked child makes another.
 *
 * A full disk, a limit or a lost descriptor stops the recording with a cause in the header; it never harms the target:
 * memory that is mapped is backed by reserved disk space first (no SIGBUS), and sizes are checked against
 * RLIMIT_FSIZE before anything is written (no SIGXFSZ).
 */
#ifndef PRELOAD_TRACEFILE_H
#define PRELOAD_TRACEFILE_H

#include <memtap/trace.h>

#include "sys.h"

/* What the identity in the header is made from. */
struct tracefile_start {
    const char *directory; /* absolute */
    const char *program;
    int argc;
    char **argv;
    const char *settings;  /* TRACE_SETTINGS_SIZE bytes, see settings.h */
    uint64_t limit;        /* most bytes of the file */
    uint64_t sample_bytes; /* see trace.h */
    const char *warnings;
    uintptr_t tap_start, tap_end;
    bool forked;
    uint64_t fork_before; /* forked child: see trace_identity */
};

/* Memory whose header can be read and counted in even when no trace could be made. Never NULL. */
extern HIDDEN struct trace_header *tracefile_header;

/* Makes PID.mtap (or PID-2.mtap, ...) in the directory and one ring region. 0 or -errno. Not thread-safe. */
int tracefile_create(const struct tracefile_start *start);

/* In a forked child: forgets the parent's file. `interrupted`: a signal handler forked while the tap was writing; what
 * it writes on its return must then go nowhere. */
void tracefile_forget(bool interrupted);

/* Adds a ring region. Threads may call it at once. -1 if done, else why not (enum trace_loss). */
int tracefile_add_region(void);

/* Whether chunks can be appended. Not so where no descriptor out of the target's way can be had: then the first region,
 * backed in full, is all there is, and a reader has to drain it. */
bool tracefile_can_append(void);

/* The memory of a slot. Its region exists. */
struct trace_chunk *tracefile_slot(uint32_t slot);

/* Reserves disk space for the bytes [from, to) of a slot, so that they can be written to; stops the recording if there
 * is none. */
bool tracefile_reserve_slot(uint32_t slot, uint32_t from, uint32_t to);

/* Appends a closed chunk (header and payload) to the log; stops the recording if that fails. */
bool tracefile_append(const struct trace_chunk *chunk);

/* Ends recording for good. The first cause stays. */
void tracefile_stop(enum trace_loss cause);

/* Takes back a stop for this cause: the target did not go into the sandbox after all. */
void tracefile_resume(enum trace_loss cause);

/* Counts events as lost. */
void tracefile_lose(enum trace_loss cause, uint64_t events);

void tracefile_shortfall(enum trace_shortfall what);

/* Tells a reader that there is a new mark, which it would otherwise see when the chunk is full. */
void tracefile_count_mark(void);

/* Counts walks of stacks. */
void tracefile_count_walks(const uint32_t walks[TRACE_WALK_COUNT]);

/* Hot path: why nothing is to be recorded now, or -1. */
static inline int tracefile_hindrance(void)
{
    const struct trace_header *h = tracefile_header;
    if (unlikely(__atomic_load_n(&h->status.stopped, __ATOMIC_RELAXED)))
        return (int)__atomic_load_n(&h->status.stopped, __ATOMIC_RELAXED) - 1;
    return unlikely(__atomic_load_n(&h->control.pause, __ATOMIC_RELAXED)) ? (int)TRACE_LOSS_PAUSED : -1;
}

/* The trace clock: times of records are in its units. Hot path. */
extern HIDDEN uint32_t tracefile_clock;
static inline uint64_t tracefile_now(void)
{
    if (likely(ARCH_HAS_TICKS && tracefile_clock == TRACE_CLOCK_TSC))
        return arch_ticks() >> ARCH_TICKS_SHIFT;
    return sys_clock_ns(1 /* CLOCK_MONOTONIC */) >> 2;
}

#endif
