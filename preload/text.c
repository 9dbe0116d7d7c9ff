/* text.c: see text.h. */
#include "text.h"

size_t sys_strlen(const char *s)
{
    return __builtin_strlen(s);
}

void text_add_bytes(struct text *t, const char *s, size_t size)
{
    size_t room = t->size - t->used - 1;
    if (size > room) {
        t->full = true;
        size = room;
    }
    __builtin_memcpy(t->start + t->used, s, size);
    t->used += size;
    t->start[t->used] = '\0';
}

void text_add(struct text *t, const char *s)
{
    text_add_bytes(t, s, sys_strlen(s));
}

void text_add_number(struct text *t, uint64_t n)
{
    char digits[20], *p = digits + sizeof digits;
    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    text_add_bytes(t, p, (size_t)(digits + sizeof digits - p));
}

bool sys_equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

bool sys_starts(const char *s, const char *prefix)
{
    while (*prefix)
        if (*s++ != *prefix++)
            return false;
    return true;
}

uint64_t sys_parse_number(const char *s, const char **end, unsigned base)
{
    uint64_t n = 0;
    for (;; s++) {
        unsigned digit = *s >= '0' && *s <= '9'   ? (unsigned)(*s - '0')
                         : *s >= 'a' && *s <= 'f' ? (unsigned)(*s - 'a') + 10
                                                  : 99;
        if (digit >= base)
            break;
        n = n > (UINT64_MAX - digit) / base ? UINT64_MAX : n * base + digit;
    }
    *end = s;
    return n;
}
