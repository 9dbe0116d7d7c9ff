/*
 * record.h: every record of a trace, and how it is coded. The tap encodes, the analyzer decodes, both by this page.
 *
 * A record is a tag byte and its fields. Numbers are LEB128 varints ("varint": 7 bits a byte, low first). The three
 * kinds that make up nearly all of a trace (alloc, free, realloc) are coded against what the coder remembers of the
 * chunk: the last time and address, the last 256 addresses and the last 256 sites by hash. All other kinds are plain:
 * tag, length of the rest, fields in order, then text to the end; a reader skips a kind that it does not know.
 *
 * Both halves must keep the same memory, so encode and decode of a kind stand beside each other, and the coder starts
 * empty at every chunk. Functions are pure: bytes in, bytes out, no libc beyond memcpy.
 */
#ifndef MEMTAP_RECORD_H
#define MEMTAP_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "varint.h"

/* Which call made or resized a block or mapping: name and the text that reports print. */
#define RECORD_CALLS(C)                                                                                                \
    C(NONE, "")                                                                                                        \
    C(MALLOC, "malloc")                                                                                                \
    C(CALLOC, "calloc")                                                                                                \
    C(REALLOC, "realloc")                                                                                              \
    C(REALLOCARRAY, "reallocarray")                                                                                    \
    C(MEMALIGN, "memalign")                                                                                            \
    C(POSIX_MEMALIGN, "posix_memalign")                                                                                \
    C(ALIGNED_ALLOC, "aligned_alloc")                                                                                  \
    C(VALLOC, "valloc")                                                                                                \
    C(PVALLOC, "pvalloc")                                                                                              \
    C(MALLOCX, "mallocx")                                                                                              \
    C(RALLOCX, "rallocx")                                                                                              \
    C(XALLOCX, "xallocx")                                                                                              \
    C(MMAP, "mmap")                                                                                                    \
    C(MREMAP, "mremap")                                                                                                \
    C(BRK, "brk")                                                                                                      \
    C(SBRK, "sbrk")                                                                                                    \
    C(SHMAT, "shmat")                                                                                                  \
    C(MUNMAP, "munmap")                                                                                                \
    C(SHMDT, "shmdt")

enum record_call {
#define RECORD_CALL_NAME(name, text) RECORD_CALL_##name,
    RECORD_CALLS(RECORD_CALL_NAME)
#undef RECORD_CALL_NAME
        RECORD_CALL_COUNT
};

/* Node 0 stands for "no stack"; node 1 for the tap itself: memory that it, or libunwind on its behalf, took. */
#define RECORD_NODE_NONE 0u
#define RECORD_NODE_TAP 1u
#define RECORD_NODE_FIRST 2u

/* Module number of a node whose value is not an address: a component tag, value = number of its string. */
#define RECORD_MODULE_TAG 0xffffffffu

/*
 * The fields of each kind, all unsigned 64-bit, in their order on the wire. Times are trace units; `took` is how long
 * before `time` the call began: what it released is free from time - took on, what it made exists from time on. While
 * one thread alone records, an alloc or a free may bear the time of the record before it, if that is less than a tick
 * of CLOCK_MONOTONIC_COARSE ago. In the order of their times events contradict neither their thread nor each other.
 */
#define RECORD_FIELDS_ALLOC(F) F(time) F(address) F(size) F(node) F(call)
#define RECORD_FIELDS_FREE(F) F(time) F(address) /* stamped before the real call */
#define RECORD_FIELDS_REALLOC(F) F(time) F(took) F(old) F(address) F(size) F(node) F(call)
#define RECORD_FIELDS_THREAD(F) F(time) F(tid) /* who writes from here on; text: its name */
#define RECORD_FIELDS_MODULE(F) F(time) F(id) F(start) F(end) F(bias) F(build_id_size) /* text: build-id, path */
#define RECORD_FIELDS_NODE(F) F(id) F(parent) F(module) F(value) /* value: pc - bias; pc where module is 0 */
#define RECORD_FIELDS_STRING(F) F(id)                            /* text: the string */
#define RECORD_FIELDS_ALLOC_FAILED(F) F(time) F(size) F(node) F(call)
#define RECORD_FIELDS_MAP(F) F(time) F(took) F(address) F(size) F(node) F(call) F(prot) F(flags) F(offset) F(file)
#define RECORD_FIELDS_UNMAP(F) F(time) F(took) F(address) F(size) F(call)
#define RECORD_FIELDS_REMAP(F) F(time) F(took) F(old) F(old_size) F(address) F(size) F(node) F(flags)
#define RECORD_FIELDS_BREAK(F)                                                                                         \
    F(time) F(took) F(old) F(address) F(node) F(call) /* program break: from old to address */
#define RECORD_FIELDS_ADVISE(F) F(time) F(address) F(size) F(advice)
#define RECORD_FIELDS_LOCK(F) F(time) F(address) F(size)
#define RECORD_FIELDS_TRIM(F) F(time) F(took) F(pad) F(released)
#define RECORD_FIELDS_FORK(F) F(time) F(took) F(pid)
#define RECORD_FIELDS_SAMPLE(F) F(time) F(mono_ns) F(rss_anon) F(rss_file) F(rss_shmem) F(swap) F(own) F(threads)
#define RECORD_FIELDS_MARK(F) F(time) F(value) /* value: bits of a double; text: the name */
#define RECORD_FIELDS_REQUEST_BEGIN(F) F(time) F(id)
#define RECORD_FIELDS_REQUEST_END(F) F(time) F(id) F(units)
#define RECORD_FIELDS_TAG(F) F(time) F(address) F(string) /* this block belongs to that component */
#define RECORD_FIELDS_PAUSE(F) F(time) F(on)              /* 1: nothing is recorded from here, 0: again */
#define RECORD_FIELDS_STACK(F) F(time) F(address)         /* lies on the stack of the thread that writes */

/* Provenance. FILE_BYTES: a model file's bytes from `offset` on were read to `address`; `file`: string of its path. */
#define RECORD_FIELDS_FILE_BYTES(F) F(time) F(address) F(size) F(offset) F(file)
/* An engine's buffer as its own API names it, when it is made and when its usage changes; id: its handle there; usage
 * as in ggml-backend.h (0 any, 1 weights, 2 compute); text: its type ("CPU_REPACK"). */
#define RECORD_FIELDS_BUFFER(F) F(time) F(id) F(address) F(size) F(usage)
#define RECORD_FIELDS_BUFFER_FREE(F) F(time) F(id)
/* A tensor got its place in a buffer (id as above); type: enum ggml_type; text: its name. */
#define RECORD_FIELDS_TENSOR(F) F(time) F(address) F(size) F(buffer) F(type)
/* What the engine did: enum record_engine_what; handle: of its model, context or scheduler. */
#define RECORD_FIELDS_ENGINE(F) F(time) F(what) F(handle)

/* Every kind: its tag, its names, and whether the first field is a time. Tags never change their meaning. */
#define RECORD_KINDS(R)                                                                                                \
    R(0x00, ALLOC, alloc, true)                                                                                        \
    R(0x40, FREE, free, true)                                                                                          \
    R(0x60, REALLOC, realloc, true)                                                                                    \
    R(0x81, THREAD, thread, true)                                                                                      \
    R(0x82, MODULE, module, true)                                                                                      \
    R(0x84, NODE, node, false)                                                                                         \
    R(0x85, STRING, string, false)                                                                                     \
    R(0x86, ALLOC_FAILED, alloc_failed, true)                                                                          \
    R(0x87, MAP, map, true)                                                                                            \
    R(0x88, UNMAP, unmap, true)                                                                                        \
    R(0x89, REMAP, remap, true)                                                                                        \
    R(0x8a, BREAK, brk, true)                                                                                          \
    R(0x8b, ADVISE, advise, true)                                                                                      \
    R(0x8c, LOCK, lock, true)                                                                                          \
    R(0x8d, TRIM, trim, true)                                                                                          \
    R(0x8e, FORK, fork, true)                                                                                          \
    R(0x8f, SAMPLE, sample, true)                                                                                      \
    R(0x90, MARK, mark, true)                                                                                          \
    R(0x91, REQUEST_BEGIN, request_begin, true)                                                                        \
    R(0x92, REQUEST_END, request_end, true)                                                                            \
    R(0x93, TAG, tag, true)                                                                                            \
    R(0x94, PAUSE, pause, true)                                                                                        \
    R(0x95, STACK, stack, true)                                                                                        \
    R(0x96, FILE_BYTES, file_bytes, true)                                                                              \
    R(0x97, BUFFER, buffer, true)                                                                                      \
    R(0x98, BUFFER_FREE, buffer_free, true)                                                                            \
    R(0x99, TENSOR, tensor, true)                                                                                      \
    R(0x9a, ENGINE, engine, true)

enum record_kind {
#define RECORD_KIND_NAME(tag, NAME, name, timed) RECORD_##NAME = tag,
    RECORD_KINDS(RECORD_KIND_NAME)
#undef RECORD_KIND_NAME
};

/* Whether the record is something that the program did; the others define names, or are the tap's own. */
static inline bool record_is_event(enum record_kind kind)
{
    return kind < RECORD_THREAD || (kind > RECORD_STRING && kind != RECORD_SAMPLE && kind != RECORD_STACK);
}

enum record_engine_what { RECORD_ENGINE_COMPUTE = 1, RECORD_ENGINE_CONTEXT_FREE = 2, RECORD_ENGINE_MODEL_FREE = 3 };

#define RECORD_FIELD_MEMBER(name) uint64_t name;
#define RECORD_FIELD_ONE(name) +1
#define RECORD_STRUCT(tag, NAME, name, timed)                                                                          \
    struct record_##name {                                                                                             \
        RECORD_FIELDS_##NAME(RECORD_FIELD_MEMBER)                                                                      \
    };
RECORD_KINDS(RECORD_STRUCT)
#undef RECORD_STRUCT

/* A decoded record. Text points into the chunk and is not NUL-terminated. */
struct record {
    enum record_kind kind;
    uint32_t text_size;
    const uint8_t *text;
    union {
#define RECORD_MEMBER(tag, NAME, name, timed) struct record_##name name;
        RECORD_KINDS(RECORD_MEMBER)
#undef RECORD_MEMBER
        uint64_t field[12];
    };
};

/* What a coder remembers within one chunk. Zeroed, but for time, when the chunk begins: record_coder_begin. */
struct record_coder {
    uint64_t time;           /* of the last record */
    uint64_t address;        /* the last one coded */
    uint64_t addresses[256]; /* by hash: recently allocated or freed */
    struct record_site {
        uint32_t node, call;
        uint64_t size; /* its last one */
    } sites[256];      /* by hash */
};

#define RECORD_HOT_MAX 80u    /* bytes that alloc, free or realloc need at most */
#define RECORD_PLAIN_MAX 140u /* bytes that any other kind needs at most, its text apart */
#define RECORD_TEXT_MAX 4352u /* longest text; longer ones are cut by the writer */

static inline void record_coder_begin(struct record_coder *c, uint64_t chunk_time)
{
    memset(c, 0, sizeof *c);
    c->time = chunk_time;
}

/* --- addresses, below 2^61: one byte for a recent one, else the distance from the last ----------------------------- */

static inline unsigned record_address_slot(uint64_t address)
{
    return (unsigned)((address >> 4) * 0x9e3779b97f4a7c15ull >> 56);
}

/* Sets *tag |= hit when the address is remembered. Distances are mostly multiples of 16: the low bit says which. */
static inline uint8_t *record_put_address(struct record_coder *c, uint8_t *p, uint64_t address, uint8_t *tag,
                                          uint8_t hit)
{
    unsigned slot = record_address_slot(address);
    if (c->addresses[slot] == address) {
        *tag |= hit;
        *p++ = (uint8_t)slot;
    } else {
        uint64_t delta = address - c->address;
        p = record_put_varint(p, delta & 15 ? record_zigzag(delta) << 1 | 1
                                            : record_zigzag((uint64_t)((int64_t)delta >> 4)) << 1);
        c->addresses[slot] = address;
    }
    c->address = address;
    return p;
}

static inline const uint8_t *record_get_address(struct record_coder *c, const uint8_t *p, const uint8_t *end, bool hit,
                                                uint64_t *address)
{
    uint64_t coded;
    if (hit) {
        if (p == end)
            return NULL;
        *address = c->addresses[*p++];
    } else {
        if (!(p = record_get_varint(p, end, &coded)))
            return NULL;
        uint64_t delta = record_unzigzag(coded >> 1);
        *address = c->address + (coded & 1 ? delta : delta << 4);
        c->addresses[record_address_slot(*address)] = *address;
    }
    c->address = *address;
    return p;
}

/* --- sites: (node, call) and the size that goes with them -------------------------------------------------------- */

#define RECORD_BIT_SITE 0x01     /* the site is remembered: one byte names it */
#define RECORD_BIT_SIZE 0x02     /* the size is the last one of this site */
#define RECORD_BIT_ADDRESS 0x04  /* the address is remembered */
#define RECORD_BIT_OLD 0x08      /* realloc: the old address is remembered */
#define RECORD_BIT_NOW 0x08      /* alloc, free: the time is that of the record before, and left out */
#define RECORD_BIT_IN_PLACE 0x10 /* realloc: old and new address are the same */

static inline unsigned record_site_slot(uint32_t node, uint32_t call)
{
    return (node * 0x9e3779b1u + call * 0x85ebca6bu) >> 24;
}

static inline uint8_t *record_put_site(struct record_coder *c, uint8_t *p, uint32_t node, uint32_t call, uint64_t size,
                                       uint8_t *tag)
{
    unsigned slot = record_site_slot(node, call);
    struct record_site *site = &c->sites[slot];
    if (site->node == node && site->call == call) {
        *tag |= RECORD_BIT_SITE;
        *p++ = (uint8_t)slot;
    } else {
        p = record_put_varint(p, node);
        p = record_put_varint(p, call);
        *site = (struct record_site){ .node = node, .call = call };
    }
    if (site->size == size) {
        *tag |= RECORD_BIT_SIZE;
    } else {
        p = record_put_varint(p, size);
        site->size = size;
    }
    return p;
}

static inline const uint8_t *record_get_site(struct record_coder *c, const uint8_t *p, const uint8_t *end, uint8_t tag,
                                             uint64_t *node, uint64_t *call, uint64_t *size)
{
    struct record_site *site;
    if (tag & RECORD_BIT_SITE) {
        if (p == end)
            return NULL;
        site = &c->sites[*p++];
    } else {
        if (!(p = record_get_varint(p, end, node)) || !(p = record_get_varint(p, end, call)))
            return NULL;
        site = &c->sites[record_site_slot((uint32_t)*node, (uint32_t)*call)];
        *site = (struct record_site){ .node = (uint32_t)*node, .call = (uint32_t)*call };
    }
    if (!(tag & RECORD_BIT_SIZE) && !(p = record_get_varint(p, end, &site->size)))
        return NULL;
    *node = site->node;
    *call = site->call;
    *size = site->size;
    return p;
}

/* --- alloc, free, realloc ---------------------------------------------------------------------------------------- */

static inline uint8_t *record_put_time(struct record_coder *c, uint8_t *p, uint64_t time)
{
    p = record_put_varint(p, time - c->time);
    c->time = time;
    return p;
}

/* The same for the kinds that may leave it out. */
static inline uint8_t *record_put_time_or_bit(struct record_coder *c, uint8_t *p, uint64_t time, uint8_t *tag)
{
    uint64_t delta = time - c->time;
    *p = (uint8_t)delta;
    *tag |= delta ? 0 : RECORD_BIT_NOW;
    c->time = time;
    return delta >> 7 ? record_put_varint(p, delta) : p + (delta != 0);
}

/* An alloc record in general; below: of the common kind, in the same form. */
static __attribute__((noinline, unused)) uint8_t *record_put_any_alloc(struct record_coder *c, uint8_t *p,
                                                                       const struct record_alloc *r)
{
    uint8_t tag = RECORD_ALLOC, *start = p++;
    p = record_put_time_or_bit(c, p, r->time, &tag);
    p = record_put_site(c, p, (uint32_t)r->node, (uint32_t)r->call, r->size, &tag);
    p = record_put_address(c, p, r->address, &tag, RECORD_BIT_ADDRESS);
    *start = tag;
    return p;
}

/* p has room for RECORD_HOT_MAX bytes. Returns the end of the record. With a short time, a remembered site and a size
 * below 16 KiB, as most are, it is put together in one piece. */
static inline uint8_t *record_put_alloc(struct record_coder *c, uint8_t *p, const struct record_alloc *r)
{
    unsigned slot = record_site_slot((uint32_t)r->node, (uint32_t)r->call);
    struct record_site *site = &c->sites[slot];
    uint64_t delta = r->time - c->time;
    if ((delta >> 7) | (r->size >> 14) | (site->node ^ r->node) | (site->call ^ r->call))
        return record_put_any_alloc(c, p, &(struct record_alloc){ r->time, r->address, r->size, r->node, r->call });
    unsigned same = site->size == r->size, size = (unsigned)r->size, later = delta != 0;
    uint8_t tag = (uint8_t)(RECORD_ALLOC | RECORD_BIT_SITE | same * RECORD_BIT_SIZE | (later ^ 1) * RECORD_BIT_NOW);
    uint8_t *start = p;
    uint16_t coded = (uint16_t)((size & 0x7f) | (size >= 0x80) << 7 | (size & 0x3f80) << 1);
    p[1] = (uint8_t)delta;
    p += 1 + later;
    p[0] = (uint8_t)slot;
    memcpy(p + 1, &coded, sizeof coded); /* little-endian */
    p += 1 + (same ? 0 : 1 + (size >= 0x80));
    c->time = r->time;
    site->size = r->size;
    p = record_put_address(c, p, r->address, &tag, RECORD_BIT_ADDRESS);
    *start = tag;
    return p;
}

static inline const uint8_t *record_get_alloc(struct record_coder *c, const uint8_t *p, const uint8_t *end, uint8_t tag,
                                              struct record_alloc *r)
{
    if (!(p = record_get_site(c, p, end, tag, &r->node, &r->call, &r->size)))
        return NULL;
    return record_get_address(c, p, end, tag & RECORD_BIT_ADDRESS, &r->address);
}

static inline uint8_t *record_put_free(struct record_coder *c, uint8_t *p, const struct record_free *r)
{
    uint8_t tag = RECORD_FREE, *start = p++;
    p = record_put_time_or_bit(c, p, r->time, &tag);
    p = record_put_address(c, p, r->address, &tag, RECORD_BIT_ADDRESS);
    *start = tag;
    return p;
}

static inline const uint8_t *record_get_free(struct record_coder *c, const uint8_t *p, const uint8_t *end, uint8_t tag,
                                             struct record_free *r)
{
    return record_get_address(c, p, end, tag & RECORD_BIT_ADDRESS, &r->address);
}

static inline uint8_t *record_put_realloc(struct record_coder *c, uint8_t *p, const struct record_realloc *r)
{
    uint8_t tag = RECORD_REALLOC, *start = p++;
    p = record_put_time(c, p, r->time);
    p = record_put_varint(p, r->took);
    p = record_put_site(c, p, (uint32_t)r->node, (uint32_t)r->call, r->size, &tag);
    p = record_put_address(c, p, r->old, &tag, RECORD_BIT_OLD);
    if (r->address == r->old)
        tag |= RECORD_BIT_IN_PLACE;
    else
        p = record_put_address(c, p, r->address, &tag, RECORD_BIT_ADDRESS);
    *start = tag;
    return p;
}

static inline const uint8_t *record_get_realloc(struct record_coder *c, const uint8_t *p, const uint8_t *end,
                                                uint8_t tag, struct record_realloc *r)
{
    if (!(p = record_get_varint(p, end, &r->took)) ||
        !(p = record_get_site(c, p, end, tag, &r->node, &r->call, &r->size)) ||
        !(p = record_get_address(c, p, end, tag & RECORD_BIT_OLD, &r->old)))
        return NULL;
    r->address = r->old;
    return tag & RECORD_BIT_IN_PLACE ? p : record_get_address(c, p, end, tag & RECORD_BIT_ADDRESS, &r->address);
}

/* --- all other kinds --------------------------------------------------------------------------------------------- */

/* What is known of a kind; fields is 0 for a kind that this version does not know. */
struct record_shape {
    uint8_t fields;
    bool timed;
};

static inline struct record_shape record_shape(uint8_t tag)
{
    switch (tag) {
#define RECORD_SHAPE_CASE(tag, NAME, name, timed)                                                                      \
    case tag:                                                                                                          \
        return (struct record_shape){ 0 RECORD_FIELDS_##NAME(RECORD_FIELD_ONE), timed };
        RECORD_KINDS(RECORD_SHAPE_CASE)
#undef RECORD_SHAPE_CASE
    default:
        return (struct record_shape){ 0, false };
    }
}

static inline uint8_t *record_put_text(uint8_t *p, const void *text, size_t size)
{
    if (size)
        memcpy(p, text, size);
    return p + size;
}

/*
 * Encodes a plain kind: `fields` is the kind's struct, read as its array of numbers. Text comes in two pieces, each
 * may be empty. p has room for RECORD_PLAIN_MAX bytes and both texts.
 */
static inline uint8_t *record_put_plain(struct record_coder *c, uint8_t *p, enum record_kind kind,
                                        const uint64_t *fields, const void *text, size_t size, const void *text2,
                                        size_t size2)
{
    uint8_t body[RECORD_PLAIN_MAX], *q = body;
    struct record_shape shape = record_shape((uint8_t)kind);
    for (unsigned i = 0; i < shape.fields; i++)
        q = i == 0 && shape.timed ? record_put_time(c, q, fields[0]) : record_put_varint(q, fields[i]);
    *p++ = (uint8_t)kind;
    p = record_put_varint(p, (uint64_t)(q - body) + size + size2);
    p = record_put_text(p, body, (size_t)(q - body));
    p = record_put_text(p, text, size);
    return record_put_text(p, text2, size2);
}

static inline const uint8_t *record_get_plain(struct record_coder *c, const uint8_t *p, const uint8_t *end, uint8_t tag,
                                              struct record *r)
{
    uint64_t length;
    struct record_shape shape = record_shape(tag);
    if (!(p = record_get_varint(p, end, &length)) || length > (uint64_t)(end - p))
        return NULL;
    end = p + length;
    for (unsigned i = 0; i < shape.fields; i++)
        if (!(p = record_get_varint(p, end, &r->field[i])))
            return NULL;
    if (shape.timed)
        c->time = r->field[0] += c->time;
    r->text = p;
    r->text_size = (uint32_t)(end - p);
    return end;
}

/*
 * Decodes the record at p. Returns its end, or NULL if the bytes are damaged; nothing is read at or beyond `end`.
 * A kind that this version does not know comes back with its tag as kind and its whole body as text.
 */
static inline const uint8_t *record_get(struct record_coder *c, const uint8_t *p, const uint8_t *end, struct record *r)
{
    if (p >= end)
        return NULL;
    uint8_t tag = *p++;
    r->text = p;
    r->text_size = 0;
    if (tag & 0x80) {
        r->kind = (enum record_kind)tag;
        return record_get_plain(c, p, end, tag, r);
    }
    uint64_t delta = 0;
    if ((tag >= RECORD_REALLOC || !(tag & RECORD_BIT_NOW)) && !(p = record_get_varint(p, end, &delta)))
        return NULL;
    c->time = r->field[0] = c->time + delta;
    if (tag < RECORD_FREE) {
        r->kind = RECORD_ALLOC;
        return record_get_alloc(c, p, end, tag, &r->alloc);
    }
    if (tag < RECORD_REALLOC) {
        r->kind = RECORD_FREE;
        return record_get_free(c, p, end, tag, &r->free);
    }
    r->kind = RECORD_REALLOC;
    return record_get_realloc(c, p, end, tag, &r->realloc);
}

#endif
