/*
 * ring.h: cursors. A cursor is the right to write one stream of records: a chunk in a ring slot, and the coder's memory
 * of that chunk. Threads take cursors from a pool and give them back, together with the half-filled chunk.
 *
 * A record is reserved, encoded, and committed with one release store; until then nobody sees it.
 */
#ifndef PRELOAD_RING_H
#define PRELOAD_RING_H

#include <memtap/record.h>
#include <memtap/trace.h>

#include "sys.h"
#include "tracefile.h"

struct cursor {
    uint8_t *at;  /* where the next record goes */
    uint8_t *end; /* end of the bytes that may be written now */
    struct trace_chunk *chunk;
    uint32_t slot;
    uint32_t index;        /* of the cursor: its number in the trace */
    uint32_t owner;        /* thread id, 0: free (atomic) */
    uint32_t owned_before; /* the thread that wrote last; 0: nobody yet */
    void *attached;        /* memory that belongs to the cursor's user, see thread.c */
    struct record_coder coder;
};

/* Forgets all cursors (they belong to the parent) and their memory, unless it is still in use further up the stack. */
void ring_forget(bool interrupted);

/* A cursor for the calling thread; NULL and the cause if there is none. */
struct cursor *ring_take(uint32_t tid, enum trace_loss *cause);

void ring_give_back(struct cursor *cursor);

/* A record was begun and left: the coder remembers what nobody will decode. Goes on in a new chunk. */
void ring_restart(struct cursor *cursor);

/* The same for all other cursors of the thread, which are given back. */
void ring_restart_others(uint32_t tid, const struct cursor *own);

/* Room for a record of up to `size` bytes, which may close the chunk; NULL if recording has stopped. */
uint8_t *ring_reserve_slow(struct cursor *cursor, size_t size);
static inline uint8_t *ring_reserve(struct cursor *cursor, size_t size)
{
    if (likely((size_t)(cursor->end - cursor->at) >= size))
        return cursor->at;
    return ring_reserve_slow(cursor, size);
}

/* Whether the chunk holds nothing but the record of one heap event, if that: its chunk was opened for it. */
static inline bool ring_has_turned(const struct cursor *cursor)
{
    return cursor->at - (uint8_t *)(cursor->chunk + 1) <= (ptrdiff_t)RECORD_HOT_MAX;
}

/* Counts an event for which there was no room. */
static inline void ring_lose(struct cursor *cursor)
{
    cursor->chunk->lost++;
}

/* Publishes the record that ends at `end`. */
static inline void ring_commit(struct cursor *cursor, uint8_t *end)
{
    cursor->at = end;
    __atomic_store_n(&cursor->chunk->committed, (uint32_t)(end - (uint8_t *)(cursor->chunk + 1)), __ATOMIC_RELEASE);
}

/* Writes a record of a plain kind (record.h); texts are cut to RECORD_TEXT_MAX. False if recording has stopped. */
bool ring_put(struct cursor *cursor, enum record_kind kind, const void *fields, const char *text, size_t size,
              const char *text2, size_t size2);

#endif
