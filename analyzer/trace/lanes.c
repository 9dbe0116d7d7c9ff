/*
 * lanes.c: see lanes.h. What fields a record has stands here once: sorting moves each from the payload into its lane,
 * putting together moves it back.
 */
#include "trace/lanes.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define LANE_ROOM ((size_t)LANES_CHUNKS * TRACE_PAYLOAD_SIZE)
#define PARTS (2u + LANES)

/* Bytes that are read or written next, up to `end`. */
struct side {
    uint8_t *at, *end;
};

struct lanes {
    struct lanes_head head;
    struct lanes_chunk chunk[LANES_CHUNKS];
    uint8_t *bytes[LANES]; /* LANE_ROOM of each */
    bool together;         /* which way: false: sorting */
    struct side payload, lane[LANES];
    uint64_t last_node;
    uint64_t address, addresses[256]; /* as struct record_coder has them */
    uint8_t order[256];               /* of their slots, the one last used first */
    unsigned part;                    /* that is being taken, */
    size_t taken;                     /* and how much of it there is */
    uint8_t whole[TRACE_PAYLOAD_SIZE];
};

struct lanes *lanes_new(void)
{
    struct lanes *l = memory_take(sizeof *l);
    uint8_t *bytes = memory_take(LANES * LANE_ROOM);
    for (unsigned i = 0; i < LANES; i++)
        l->bytes[i] = bytes + i * LANE_ROOM;
    return l;
}

void lanes_free(struct lanes *l)
{
    free(l->bytes[0]);
    free(l);
}

/* --- fields ------------------------------------------------------------------------------------------------------- */

static struct side *from(struct lanes *l, enum lane lane)
{
    return l->together ? &l->lane[lane] : &l->payload;
}

static struct side *to(struct lanes *l, enum lane lane)
{
    return l->together ? &l->payload : &l->lane[lane];
}

static bool get_byte(struct side *s, uint8_t *byte)
{
    if (s->at == s->end)
        return false;
    *byte = *s->at++;
    return true;
}

static bool put_byte(struct side *s, uint8_t byte)
{
    if (s->at == s->end)
        return false;
    *s->at++ = byte;
    return true;
}

static bool get_varint(struct side *s, uint64_t *value)
{
    const uint8_t *end = record_get_varint(s->at, s->end, value);
    if (end)
        s->at += end - s->at;
    return end != NULL;
}

static bool move_bytes(struct lanes *l, enum lane lane, size_t size)
{
    struct side *a = from(l, lane), *b = to(l, lane);
    if (size > (size_t)(a->end - a->at) || size > (size_t)(b->end - b->at))
        return false;
    memcpy(b->at, a->at, size);
    a->at += size;
    b->at += size;
    return true;
}

static bool put_varint(struct side *s, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = (size_t)(record_put_varint(bytes, value) - bytes);
    if (size > (size_t)(s->end - s->at))
        return false;
    memcpy(s->at, bytes, size);
    s->at += size;
    return true;
}

static bool move_varint(struct lanes *l, enum lane lane, uint64_t *value)
{
    const struct side *a = from(l, lane);
    const uint8_t *end = record_get_varint(a->at, a->end, value);
    return end && move_bytes(l, lane, (size_t)(end - a->at));
}

static bool move(struct lanes *l, enum lane lane)
{
    uint64_t value;
    return move_varint(l, lane, &value);
}

/* In the lane as the distance from `base`. A number that is longer than it need be would come back shorter. */
static bool move_distance(struct lanes *l, enum lane lane, uint64_t base, uint64_t *value)
{
    struct side *a = from(l, lane);
    const uint8_t *start = a->at;
    uint8_t shortest[10];
    uint64_t number;
    if (!get_varint(a, &number))
        return false;
    size_t size = (size_t)(record_put_varint(shortest, number) - shortest);
    if (size != (size_t)(a->at - start) || memcmp(shortest, start, size) != 0)
        return false;
    *value = l->together ? base + record_unzigzag(number) : number;
    return put_varint(to(l, lane), l->together ? *value : record_zigzag(number - base));
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */

/* How many slots have been used since this one was; now it is the last. */
static uint8_t rank_of(struct lanes *l, uint8_t slot)
{
    const uint8_t *found = memchr(l->order, slot, sizeof l->order);
    uint8_t rank = (uint8_t)(found - l->order);
    memmove(l->order + 1, l->order, rank);
    l->order[0] = slot;
    return rank;
}

/* A remembered address by its slot: in the lane, by the slot's rank. */
static bool move_slot(struct lanes *l, enum lane lane)
{
    uint8_t byte;
    if (!get_byte(from(l, lane), &byte))
        return false;
    uint8_t slot = l->together ? l->order[byte] : byte, rank = rank_of(l, slot);
    l->address = l->addresses[slot];
    return put_byte(to(l, lane), l->together ? slot : rank);
}

/* The lane of ranks is the one behind that of distances. */
static bool move_address(struct lanes *l, enum lane lane, bool remembered)
{
    uint64_t coded;
    if (remembered)
        return move_slot(l, lane + 1);
    if (!move_varint(l, lane, &coded))
        return false;
    uint64_t delta = record_unzigzag(coded >> 1);
    l->address += coded & 1 ? delta : delta << 4;
    unsigned slot = record_address_slot(l->address);
    l->addresses[slot] = l->address;
    rank_of(l, (uint8_t)slot);
    return true;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static bool move_site(struct lanes *l, uint8_t tag)
{
    bool site =
        tag & RECORD_BIT_SITE ? move_bytes(l, LANE_SITE, 1) : move(l, LANE_SITE_NODE) && move(l, LANE_SITE_CALL);
    return site && (tag & RECORD_BIT_SIZE || move(l, LANE_SIZE));
}

static bool move_event(struct lanes *l, uint8_t tag)
{
    if (!(tag & RECORD_BIT_NOW) && !move(l, LANE_TIME))
        return false;
    if (tag >= RECORD_FREE)
        return move_address(l, LANE_OLD, tag & RECORD_BIT_ADDRESS);
    return move_site(l, tag) && move_address(l, LANE_NEW, tag & RECORD_BIT_ADDRESS);
}

static bool move_realloc(struct lanes *l, uint8_t tag)
{
    return move(l, LANE_TIME) && move(l, LANE_TOOK) && move_site(l, tag) &&
           move_address(l, LANE_OLD, tag & RECORD_BIT_OLD) &&
           (tag & RECORD_BIT_IN_PLACE || move_address(l, LANE_NEW, tag & RECORD_BIT_ADDRESS));
}

/* Walks define a node, then the one below it: distances are small. */
static bool move_node(struct lanes *l)
{
    uint64_t length, id, parent;
    if (!move_varint(l, LANE_LENGTH, &length))
        return false;
    const uint8_t *body = l->payload.at;
    if (!move_distance(l, LANE_ID, l->last_node, &id) || !move_distance(l, LANE_PARENT, id, &parent) ||
        !move(l, LANE_MODULE) || !move(l, LANE_VALUE))
        return false;
    uint64_t fields = (uint64_t)(l->payload.at - body);
    if (fields > length || !move_bytes(l, LANE_BODY, length - fields))
        return false;
    l->last_node = id;
    return true;
}

static bool move_record(struct lanes *l)
{
    const uint8_t *tag = from(l, LANE_TAG)->at;
    uint64_t length;
    if (!move_bytes(l, LANE_TAG, 1))
        return false;
    if (*tag < RECORD_REALLOC)
        return move_event(l, *tag);
    if (*tag < 0x80)
        return move_realloc(l, *tag);
    return *tag == RECORD_NODE ? move_node(l)
                               : move_varint(l, LANE_LENGTH, &length) && move_bytes(l, LANE_BODY, length);
}

/* --- chunks ------------------------------------------------------------------------------------------------------- */

static void begin_group(struct lanes *l)
{
    l->last_node = 0;
    l->head.chunks = 0;
    for (unsigned i = 0; i < LANES; i++)
        l->lane[i] = (struct side){ l->bytes[i], l->bytes[i] + (l->together ? l->head.size[i] : LANE_ROOM) };
}

/* Coders start empty at every chunk. */
static void begin_chunk(struct lanes *l, uint8_t *payload, size_t size)
{
    l->payload = (struct side){ payload, payload + size };
    l->address = 0;
    memset(l->addresses, 0, sizeof l->addresses);
    for (unsigned i = 0; i < sizeof l->order; i++)
        l->order[i] = (uint8_t)i;
}

bool lanes_add(struct lanes *l, const struct trace_chunk *head, const uint8_t *payload)
{
    struct side before[LANES];
    if (l->head.chunks == 0)
        begin_group(l);
    begin_chunk(l, memcpy(l->whole, payload, head->committed), head->committed);
    uint8_t *done;
    do {
        memcpy(before, l->lane, sizeof before);
        done = l->payload.at;
    } while (done < l->payload.end && move_record(l));
    memcpy(l->lane, before, sizeof before); /* without what there is of a record that ended too early */
    l->chunk[l->head.chunks++] = (struct lanes_chunk){ *head, (uint64_t)(done - l->whole) };
    l->payload.at = done;
    move_bytes(l, LANE_REST, (size_t)(l->payload.end - done));
    return l->head.chunks == LANES_CHUNKS;
}

static bool put_together(struct lanes *l, const struct lanes_chunk *c)
{
    if (c->head.committed > TRACE_PAYLOAD_SIZE || c->sorted > c->head.committed)
        return false;
    begin_chunk(l, l->whole, c->sorted);
    while (l->payload.at < l->payload.end)
        if (!move_record(l))
            return false;
    l->payload.end = l->whole + c->head.committed;
    return move_bytes(l, LANE_REST, c->head.committed - c->sorted);
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

/* The parts of a group, in the order in which they are kept. */
static void *part(struct lanes *l, unsigned number, size_t *size)
{
    *size = number == 0 ? sizeof l->head : number == 1 ? l->head.chunks * sizeof *l->chunk : l->head.size[number - 2];
    return number == 0 ? (void *)&l->head : number == 1 ? (void *)l->chunk : l->bytes[number - 2];
}

void lanes_give(struct lanes *l, void (*take)(void *context, const void *bytes, size_t size), void *context)
{
    if (l->head.chunks == 0)
        return;
    for (unsigned i = 0; i < LANES; i++)
        l->head.size[i] = (uint32_t)(l->lane[i].at - l->bytes[i]);
    for (unsigned i = 0; i < PARTS; i++) {
        size_t size;
        const void *bytes = part(l, i, &size);
        take(context, bytes, size);
    }
    l->head.chunks = 0;
}

static bool is_possible(const struct lanes_head *head)
{
    bool possible = head->chunks > 0 && head->chunks <= LANES_CHUNKS;
    for (unsigned i = 0; i < LANES; i++)
        possible &= head->size[i] <= LANE_ROOM;
    return possible;
}

static bool give_chunks(struct lanes *l,
                        bool (*chunk)(void *context, const struct trace_chunk *head, const uint8_t *payload),
                        void *context)
{
    uint32_t count = l->head.chunks;
    l->together = true;
    begin_group(l);
    for (uint32_t i = 0; i < count; i++)
        if (!put_together(l, &l->chunk[i]) || !chunk(context, &l->chunk[i].head, l->whole))
            return false;
    return true;
}

bool lanes_take(struct lanes *l, const void *bytes, size_t size,
                bool (*chunk)(void *context, const struct trace_chunk *head, const uint8_t *payload), void *context)
{
    const uint8_t *at = bytes, *end = at + size;
    for (;;) {
        size_t whole, left = (size_t)(end - at);
        uint8_t *to = part(l, l->part, &whole);
        size_t some = left < whole - l->taken ? left : whole - l->taken;
        memcpy(to + l->taken, at, some);
        at += some;
        l->taken += some;
        if (l->taken < whole)
            return true;
        if (l->part == 0 && !is_possible(&l->head))
            return false;
        l->part = (l->part + 1) % PARTS;
        l->taken = 0;
        if (l->part == 0 && !give_chunks(l, chunk, context))
            return false;
    }
}

bool lanes_whole(const struct lanes *l)
{
    return l->part == 0 && l->taken == 0;
}
