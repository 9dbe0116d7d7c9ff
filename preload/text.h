/* text.h: strings and numbers, without libc: some of its functions are not ready when the tap needs them first. */
#ifndef PRELOAD_TEXT_H
#define PRELOAD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bounded string under construction; what does not fit is dropped and `full` is set. */
struct text {
    char *start;
    size_t size, used;
    bool full;
};
#define TEXT_ON(array) ((struct text){ (array), sizeof(array), 0, false })

void text_add(struct text *t, const char *s);
void text_add_bytes(struct text *t, const char *s, size_t size);
void text_add_number(struct text *t, uint64_t n);

size_t sys_strlen(const char *s);
bool sys_equal(const char *a, const char *b);
bool sys_starts(const char *s, const char *prefix);
/* The number at the start of s, UINT64_MAX if it is larger; *end is set behind it. */
uint64_t sys_parse_number(const char *s, const char **end, unsigned base);

#endif
