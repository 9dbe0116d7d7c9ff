/* cfi_bytes.h: reading numbers as DWARF and .eh_frame write them. Inside cfi*. */
#ifndef PRELOAD_CFI_BYTES_H
#define PRELOAD_CFI_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Pointer encodings of .eh_frame (LSB Core 5.0, 10.5.1). */
enum {
    ENC_ULEB = 0x01,
    ENC_U2 = 0x02,
    ENC_U4 = 0x03,
    ENC_U8 = 0x04,
    ENC_SLEB = 0x09,
    ENC_S2 = 0x0a,
    ENC_S4 = 0x0b,
    ENC_S8 = 0x0c,
    ENC_PCREL = 0x10,
    ENC_DATAREL = 0x30,
    ENC_INDIRECT = 0x80,
    ENC_OMIT = 0xff,
};

/* --- reading ----------------------------------------------------------------------------------------------------- */

/* Bytes between at and end; running over the end sets at to NULL, and everything read then is 0. */
struct bytes {
    const uint8_t *at, *end;
};

static inline uint64_t take(struct bytes *b, unsigned size)
{
    uint64_t value = 0;
    if (!b->at || (uint64_t)(b->end - b->at) < size) {
        b->at = NULL;
        return 0;
    }
    __builtin_memcpy(&value, b->at, size); /* little-endian */
    b->at += size;
    return value;
}

static inline void skip(struct bytes *b, uint64_t size)
{
    b->at = b->at && (uint64_t)(b->end - b->at) >= size ? b->at + size : NULL;
}

static inline uint64_t take_uleb(struct bytes *b)
{
    uint64_t value = 0, byte = 0x80;
    for (unsigned shift = 0; byte & 0x80 && shift < 64; shift += 7) {
        byte = take(b, 1);
        value |= (byte & 0x7f) << shift;
    }
    return value;
}

static inline int64_t take_sleb(struct bytes *b)
{
    uint64_t value = 0, byte = 0x80;
    unsigned shift = 0;
    for (; byte & 0x80 && shift < 64; shift += 7) {
        byte = take(b, 1);
        value |= (byte & 0x7f) << shift;
    }
    if (byte & 0x40 && shift < 64)
        value |= ~0ull << shift;
    return (int64_t)value;
}

static inline uint64_t take_number(struct bytes *b, uint8_t encoding)
{
    switch (encoding & 0x0f) {
    case 0:
    case ENC_U8:
    case ENC_S8:
        return take(b, 8);
    case ENC_ULEB:
        return take_uleb(b);
    case ENC_SLEB:
        return (uint64_t)take_sleb(b);
    case ENC_U2:
        return take(b, 2);
    case ENC_S2:
        return (uint64_t)(int16_t)take(b, 2);
    case ENC_U4:
        return take(b, 4);
    case ENC_S4:
        return (uint64_t)(int32_t)take(b, 4);
    default:
        b->at = NULL;
        return 0;
    }
}

/* `data` is what the encoding "datarel" counts from. */
static inline uint64_t take_pointer(struct bytes *b, uint8_t encoding, uint64_t data)
{
    uint64_t base = (encoding & 0x70) == ENC_PCREL ? (uintptr_t)b->at : (encoding & 0x70) == ENC_DATAREL ? data : 0;
    if (encoding == ENC_OMIT)
        return 0;
    return base + take_number(b, encoding);
}

/* A length and so many bytes. */
static inline struct bytes take_block(struct bytes *b)
{
    uint64_t size = take_uleb(b);
    struct bytes block = { b->at, 0 };
    skip(b, size);
    block.end = b->at;
    return block;
}

#endif
