/*
 * unwind_words.h: words of a stack, and whether they are still what they were. Inside unwind*.
 *
 * Comparing is as fast as the processor loads: for two words one load of where they are, two of what they were, two of
 * what they are. So words that are within the same 4 GiB as the stack pointer, as nearly all are, are kept by twos, with
 * the lower halves of their addresses. Others are kept one by one, with whole addresses ("apart": a stack that goes on at
 * another place, as that of Go).
 */
#ifndef PRELOAD_UNWIND_WORDS_H
#define PRELOAD_UNWIND_WORDS_H

#include "sys.h"

#define WORDS_APART UINT16_MAX

struct word_pair {
    uint64_t at;       /* the lower halves of two addresses, that of value[0] in the lower half; or one address */
    uint64_t value[2]; /* an odd word that is the last of a list is there twice */
};

/* The last read first. */
struct words {
    struct word_pair *pair;
    uint16_t count; /* of words */
    uint16_t pairs; /* WORDS_APART: as many as words */
};

static inline uint64_t words_near(uint64_t sp)
{
    return sp >> 32 << 32;
}

/* The end of the list's memory. */
static inline struct word_pair *words_end(const struct words *w)
{
    return w->pair + (w->pairs == WORDS_APART ? w->count : w->pairs);
}

static inline bool word_is(uint64_t at, uint64_t value)
{
    return *(const uint64_t *)at == value;
}

/* Where a word is, and what it was. `sp`: of the list. */
static inline uint64_t words_get(const struct words *w, uint32_t index, uint64_t sp, uint64_t *value)
{
    if (unlikely(w->pairs == WORDS_APART)) {
        *value = w->pair[index].value[0];
        return w->pair[index].at;
    }
    *value = w->pair[index / 2].value[index % 2];
    return words_near(sp) + (uint32_t)(w->pair[index / 2].at >> (index % 2 * 32));
}

static inline bool words_hold_at(const struct words *w, uint32_t index, uint64_t sp)
{
    uint64_t value, at = words_get(w, index, sp, &value);
    return word_is(at, value);
}

/* See words_changed, for the first `count` words of a list of words that are apart. */
static inline uint32_t words_changed_apart(const struct words *w, uint32_t count)
{
    const struct word_pair *pair = w->pair;
    while (count && word_is(pair[count - 1].at, pair[count - 1].value[0]))
        count--;
    return count;
}

/* Compares the first `pairs` pairs, from the end: 0: all are what they were; else 1 more than the index of the first word
 * that is not (of an odd one at the end 2 more). A jump into a row of comparisons: the end of a loop of this length would
 * be foretold wrongly each time. */
static inline __attribute__((always_inline)) uint32_t words_changed(const struct words *w, uint32_t pairs, uint64_t sp)
{
    const struct word_pair *pair = w->pair;
    uint64_t near = words_near(sp);
#define PAIR(i)                                                                                                        \
    if (unlikely(!word_is(near + (pair[(i)-1].at >> 32), pair[(i)-1].value[1])))                                       \
        return 2 * (i);                                                                                                \
    if (unlikely(!word_is(near + (uint32_t)pair[(i)-1].at, pair[(i)-1].value[0])))                                     \
        return 2 * (i)-1;
#define CASE(i)                                                                                                        \
    case i:                                                                                                            \
        PAIR(i) __attribute__((fallthrough));
#define CASE_8(i) CASE(i + 8) CASE(i + 7) CASE(i + 6) CASE(i + 5) CASE(i + 4) CASE(i + 3) CASE(i + 2) CASE(i + 1)
    for (; unlikely(pairs > 24); pairs--) {
        if (pairs == WORDS_APART)
            return words_changed_apart(w, w->count);
        PAIR(pairs)
    }
    switch (pairs) {
        CASE_8(16)
        CASE_8(8)
        CASE_8(0)
    default:
        return 0;
    }
#undef CASE_8
#undef CASE
#undef PAIR
}

/* The same for the first `count` words: exactly 1 more. */
static inline uint32_t words_changed_first(const struct words *w, uint32_t count, uint64_t sp)
{
    if (unlikely(w->pairs == WORDS_APART))
        return words_changed_apart(w, count);
    if (count % 2 && !words_hold_at(w, count - 1, sp))
        return count;
    return words_changed(w, count / 2, sp);
}

/* Whether all are what they were. */
static inline __attribute__((always_inline)) bool words_hold(const struct words *w, uint64_t sp)
{
    return words_changed(w, w->pairs, sp) == 0;
}

/* Adds a word, for which there is memory. False: it is not near, and the list is not for words that are apart. */
static inline bool words_add(struct words *w, uint64_t sp, uint64_t at, uint64_t value)
{
    struct word_pair *p = &w->pair[w->count / 2];
    if (unlikely(w->pairs == WORDS_APART)) {
        w->pair[w->count++] = (struct word_pair){ at, { value, value } };
        return true;
    }
    if (unlikely(words_near(at) != words_near(sp)))
        return false;
    if (w->count++ % 2) {
        p->at = (uint32_t)p->at | at << 32;
        p->value[1] = value;
    } else {
        *p = (struct word_pair){ (uint32_t)at | at << 32, { value, value } };
        w->pairs++;
    }
    return true;
}

/* Adds the first `count` words of another list to an empty one. False as above. */
static inline bool words_copy(struct words *w, uint64_t sp, const struct words *from, uint64_t from_sp, uint32_t count)
{
    uint32_t i = 0;
    if (likely(w->pairs != WORDS_APART && from->pairs != WORDS_APART && words_near(sp) == words_near(from_sp))) {
        w->pairs = (uint16_t)(count / 2);
        w->count = (uint16_t)(i = w->pairs * 2u);
        __builtin_memcpy(w->pair, from->pair, w->pairs * sizeof *w->pair);
    }
    for (; i < count; i++) {
        uint64_t value, at = words_get(from, i, from_sp, &value);
        if (!words_add(w, sp, at, value))
            return false;
    }
    return true;
}

#endif
