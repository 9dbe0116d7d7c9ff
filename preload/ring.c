/* ring.c: see ring.h. */
#include "ring.h"

#include <time.h>

#include "coarse.h"

#define XXH_INLINE_ALL
#define XXH_NO_STREAM
#include <xxhash.h>

#define GROUP 16u                        /* cursors that are allocated together */
#define FIRST_PART 8192u                 /* bytes of a slot that are backed when it is first used */
#define READER_PATIENCE_NS 1000000000ull /* a reader whose last beat is older is dead */

static struct {
    struct cursor *group[TRACE_SLOTS / GROUP];
    uint16_t backed[TRACE_SLOTS]; /* bytes of each slot with disk space, in units of FIRST_PART */
} pool;

static const struct trace_control *control(void)
{
    return &tracefile_header->control;
}

static uint64_t *state_of(uint32_t slot)
{
    return &tracefile_header->slots[slot];
}

/* --- slots ------------------------------------------------------------------------------------------------------- */

static uint32_t slots_count(void)
{
    return __atomic_load_n(&tracefile_header->status.region_count, __ATOMIC_ACQUIRE) * TRACE_REGION_SLOTS;
}

/* Bytes of the slot with disk space. */
static uint32_t slot_backed(uint32_t slot)
{
    if (slot / TRACE_REGION_SLOTS < __atomic_load_n(&control()->backed, __ATOMIC_ACQUIRE))
        return TRACE_CHUNK_SIZE;
    return pool.backed[slot] * FIRST_PART;
}

/* Takes a free slot, of those that have disk space or of all, and marks it busy; -1 if there is none. The first ones are
 * in use most often: their memory is there already, perhaps even in the cache. */
static int slot_take_of(bool backed)
{
    uint32_t count = slots_count();
    for (uint32_t slot = 0; slot < count; slot++) {
        uint64_t state = __atomic_load_n(state_of(slot), __ATOMIC_RELAXED);
        if (TRACE_STATE_OF(state) == TRACE_STATE_FREE && (!backed || slot_backed(slot)) &&
            __atomic_compare_exchange_n(state_of(slot), &state, TRACE_STATE(0, TRACE_STATE_BUSY), false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return (int)slot;
    }
    return -1;
}

static int slot_take(void)
{
    int slot = slot_take_of(true);
    return slot >= 0 ? slot : slot_take_of(false);
}

/* Backs the slot with disk space for at least `need` bytes: at first a small part, then all of it. Bytes, or 0. */
static uint32_t slot_back(uint32_t slot, uint32_t need)
{
    uint32_t have = slot_backed(slot), want = need <= FIRST_PART ? FIRST_PART : TRACE_CHUNK_SIZE;
    if (need <= have)
        return have;
    if (!tracefile_reserve_slot(slot, have, want))
        return 0;
    pool.backed[slot] = (uint16_t)(want / FIRST_PART);
    return want;
}

/* Begins a chunk in the slot, which the cursor holds in state BUSY. */
static bool chunk_open(struct cursor *c, uint32_t slot)
{
    uint32_t backed = slot_back(slot, FIRST_PART);
    if (!backed)
        return false;
    uint64_t sequence = __atomic_fetch_add(&tracefile_header->status.next_sequence, 1, __ATOMIC_RELAXED);
    uint64_t lost = c->chunk ? c->chunk->lost : 0;
    c->slot = slot;
    c->chunk = tracefile_slot(slot);
    *c->chunk = (struct trace_chunk){
        .magic = TRACE_CHUNK_MAGIC,
        .encoding = TRACE_ENCODING_RAW,
        .sequence = sequence,
        .cursor = c->index,
        .tid = c->owner,
        .time = tracefile_now(),
        .mono_ns = sys_clock_ns(CLOCK_MONOTONIC),
        .lost = lost,
    };
    record_coder_begin(&c->coder, c->chunk->time);
    coarse_check();
    c->at = (uint8_t *)(c->chunk + 1);
    c->end = (uint8_t *)c->chunk + backed;
    __atomic_store_n(state_of(slot), TRACE_STATE(sequence, TRACE_STATE_OPEN), __ATOMIC_RELEASE);
    return true;
}

static bool reader_alive(void)
{
    if (!__atomic_load_n(&control()->reader_pid, __ATOMIC_RELAXED))
        return false;
    uint64_t beat = __atomic_load_n(&control()->reader_beat, __ATOMIC_RELAXED);
    return sys_clock_ns(CLOCK_MONOTONIC) - beat < READER_PATIENCE_NS;
}

static void chunk_seal(struct trace_chunk *chunk)
{
    chunk->stored = chunk->committed;
    uint64_t seed = XXH3_64bits(chunk, offsetof(struct trace_chunk, checksum));
    chunk->checksum = XXH3_64bits_withSeed(chunk + 1, chunk->stored, seed);
}

/*
 * The chunk is full. `lost` goes with the cursor, not with the chunk. With a reader and a free slot it stays where it is,
 * closed; else this thread appends it to the log and goes on in the same slot. If that fails the closed chunk stays in
 * the ring, where a reader finds it.
 */
static bool chunk_turn(struct cursor *c)
{
    uint64_t sequence = c->chunk->sequence;
    int next = reader_alive() || !tracefile_can_append() ? slot_take() : -1;
    if (next < 0 && !tracefile_can_append()) {
        tracefile_stop(TRACE_LOSS_NO_DESCRIPTOR);
        return false;
    }
    if (next >= 0) {
        __atomic_store_n(state_of(c->slot), TRACE_STATE(sequence, TRACE_STATE_CLOSED), __ATOMIC_RELEASE);
        return chunk_open(c, (uint32_t)next);
    }
    chunk_seal(c->chunk);
    if (!tracefile_append(c->chunk))
        return false;
    __atomic_store_n(state_of(c->slot), TRACE_STATE(sequence, TRACE_STATE_BUSY), __ATOMIC_RELEASE);
    return chunk_open(c, c->slot);
}

/* Makes room for `size` more bytes in the open chunk or in a new one. */
static bool make_room(struct cursor *c, size_t size)
{
    uint32_t used = (uint32_t)(c->at - (uint8_t *)c->chunk);
    if (used + size > TRACE_CHUNK_SIZE) {
        if (!chunk_turn(c))
            return false;
        used = sizeof *c->chunk;
    }
    uint32_t backed = slot_back(c->slot, used + (uint32_t)size);
    if (backed)
        c->end = (uint8_t *)c->chunk + backed;
    return backed != 0;
}

/* A handler that left by siglongjmp while chunks change places would leave one that nobody has. */
uint8_t *ring_reserve_slow(struct cursor *c, size_t size)
{
    if (tracefile_hindrance() >= 0)
        return NULL;
    uint64_t signals = sys_block_signals();
    bool fits = make_room(c, size);
    sys_unblock_signals(signals);
    return fits ? c->at : NULL;
}

/* --- cursors ----------------------------------------------------------------------------------------------------- */

static struct cursor *cursor_at(uint32_t index)
{
    struct cursor *group = __atomic_load_n(&pool.group[index / GROUP], __ATOMIC_ACQUIRE);
    return group ? &group[index % GROUP] : NULL;
}

static bool add_group(uint32_t number)
{
    struct cursor *none = NULL, *group = sys_map(GROUP * sizeof *group);
    if (!group)
        return false;
    for (uint32_t i = 0; i < GROUP; i++)
        group[i].index = number * GROUP + i;
    if (!__atomic_compare_exchange_n(&pool.group[number], &none, group, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        sys_unmap(group, GROUP * sizeof *group);
    return true;
}

/* Gives a new cursor its first slot. -1 if done, else why not. */
static int cursor_begin(struct cursor *c)
{
    int hindrance = -1, slot = slot_take();
    while (slot < 0 && hindrance < 0) {
        hindrance = tracefile_add_region();
        slot = slot_take();
    }
    if (slot < 0)
        return hindrance;
    return chunk_open(c, (uint32_t)slot) ? -1 : (int)TRACE_LOSS_IO_ERROR;
}

static bool cursor_claim(struct cursor *c, uint32_t tid, uint32_t from)
{
    return __atomic_load_n(&c->owner, __ATOMIC_RELAXED) == from &&
           __atomic_compare_exchange_n(&c->owner, &from, tid, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* A thread that ended without its destructors (a raw exit system call) still holds its cursor. */
static struct cursor *take_from_dead(uint32_t tid)
{
    int pid = sys_pid();
    for (uint32_t i = 0; i < TRACE_SLOTS && cursor_at(i); i++) {
        struct cursor *c = cursor_at(i);
        uint32_t owner = __atomic_load_n(&c->owner, __ATOMIC_RELAXED);
        if (owner && owner != tid && !sys_thread_alive(pid, (int)owner) && cursor_claim(c, tid, owner))
            return c;
    }
    return NULL;
}

/* A free cursor, of the pool or new; NULL and a cause if there is none. */
static struct cursor *claim_any(uint32_t tid, enum trace_loss *cause)
{
    for (uint32_t i = 0; i < TRACE_SLOTS; i++) {
        struct cursor *c = cursor_at(i);
        if (!c) {
            struct cursor *dead = i ? take_from_dead(tid) : NULL;
            if (dead)
                return dead;
            *cause = TRACE_LOSS_NO_MEMORY;
            if (!add_group(i / GROUP))
                return NULL;
            c = cursor_at(i);
        }
        if (cursor_claim(c, tid, 0))
            return c;
    }
    *cause = TRACE_LOSS_NO_SLOT;
    return NULL;
}

struct cursor *ring_take(uint32_t tid, enum trace_loss *cause)
{
    uint64_t signals = sys_block_signals();
    struct cursor *c = claim_any(tid, cause);
    int hindrance = c && !c->chunk ? cursor_begin(c) : -1;
    sys_unblock_signals(signals);
    if (c && hindrance < 0)
        return c;
    if (c)
        ring_give_back(c);
    if (hindrance >= 0)
        *cause = (enum trace_loss)hindrance;
    hindrance = tracefile_hindrance(); /* what stopped the recording is the cause of all that follows */
    if (hindrance >= 0)
        *cause = (enum trace_loss)hindrance;
    return NULL;
}

void ring_restart(struct cursor *c)
{
    uint64_t signals = sys_block_signals();
    if (c->chunk && !chunk_turn(c))
        c->chunk->lost++;
    sys_unblock_signals(signals);
}

void ring_restart_others(uint32_t tid, const struct cursor *own)
{
    for (uint32_t i = 0; i < TRACE_SLOTS && cursor_at(i); i++) {
        struct cursor *c = cursor_at(i);
        if (c == own || __atomic_load_n(&c->owner, __ATOMIC_RELAXED) != tid)
            continue;
        ring_restart(c);
        ring_give_back(c);
    }
}

void ring_give_back(struct cursor *c)
{
    c->owned_before = c->owner;
    __atomic_store_n(&c->owner, 0, __ATOMIC_RELEASE);
}

void ring_forget(bool interrupted)
{
    for (uint32_t i = 0; i < TRACE_SLOTS / GROUP && pool.group[i]; i++) {
        if (!interrupted)
            sys_unmap(pool.group[i], GROUP * sizeof(struct cursor));
        pool.group[i] = NULL;
    }
    __builtin_memset(pool.backed, 0, sizeof pool.backed);
}

bool ring_put(struct cursor *c, enum record_kind kind, const void *fields, const char *text, size_t size,
              const char *text2, size_t size2)
{
    if (size > RECORD_TEXT_MAX)
        size = RECORD_TEXT_MAX;
    if (size2 > RECORD_TEXT_MAX - size)
        size2 = RECORD_TEXT_MAX - size;
    uint8_t *p = ring_reserve(c, RECORD_PLAIN_MAX + size + size2);
    if (!p) {
        c->chunk->lost += record_is_event(kind);
        return false;
    }
    ring_commit(c, record_put_plain(&c->coder, p, kind, fields, text, size, text2, size2));
    return true;
}
