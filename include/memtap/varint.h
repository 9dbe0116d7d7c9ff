/* varint.h: numbers as LEB128 varints, 7 bits a byte, low first. See record.h. */
#ifndef MEMTAP_VARINT_H
#define MEMTAP_VARINT_H

#include <stddef.h>
#include <stdint.h>

static inline uint8_t *record_put_varint(uint8_t *p, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *p++ = (uint8_t)(value | 0x80);
    *p++ = (uint8_t)value;
    return p;
}

/* NULL if the varint does not end before `end`, or has more than 64 bits. */
static inline const uint8_t *record_get_varint(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
    uint64_t v = 0;
    for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t byte = *p++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = v;
            return p;
        }
    }
    return NULL;
}

static inline uint64_t record_zigzag(uint64_t delta)
{
    return delta << 1 ^ (uint64_t)((int64_t)delta >> 63);
}

static inline uint64_t record_unzigzag(uint64_t coded)
{
    return coded >> 1 ^ (0 - (coded & 1));
}

#endif
