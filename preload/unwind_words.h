/*
 * unwind_words.h: words of a stack, and whether they are still what they were. Inside unwind*.
 *
 * Comparing is as fast as the processor loads: for two words one load of where they are, two of what they were, two of
 * what they are. So they are kept by twos, with the lower halves of their addresses. Those within the same 4 GiB as the
 * stack pointer are near, as nearly all are. Where a stack goes on at another place, as that of C does on a goroutine's
 * or one for signals on the thread's, what lies there is far, and all of it within other 4 GiB.
 */
#ifndef PRELOAD_UNWIND_WORDS_H
#define PRELOAD_UNWIND_WORDS_H

#include "sys.h"

struct word_pair {
    uint64_t at; /* the lower halves of two addresses, that of value[0] in the lower half */
    uint64_t value[2];
};

/* The last read first. An odd one at the end, or at the end of those that are far, is there twice. */
struct words {
    struct word_pair *near; /* those that are far lie before it */
    uint32_t far_half;      /* the upper half of their addresses */
    uint16_t pairs, far;    /* how many pairs are near, and far */
};

/* The end of the list's memory. */
static inline struct word_pair *words_end(const struct words *w)
{
    return w->near + w->pairs;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

static inline uint64_t words_upper(uint64_t address)
{
    return address >> 32 << 32;
}

static inline bool word_is(uint64_t at, uint64_t value)
{
    return *(const uint64_t *)at == value;
}

/* Compares pairs whose addresses have this upper half, from the end: 0: all are what they were; else 1 more than the index
 * of the first word that is not (where it is there twice, 2 more). A jump into a row of comparisons: the end of a loop of
 * this length would be foretold wrongly each time. */
static inline __attribute__((always_inline)) uint32_t words_compare(const struct word_pair *pair, uint32_t pairs,
                                                                    uint64_t upper)
{
#define PAIR(i)                                                                                                        \
    if (unlikely(!word_is(upper + (pair[(i)-1].at >> 32), pair[(i)-1].value[1])))                                      \
        return 2 * (i);                                                                                                \
    if (unlikely(!word_is(upper + (uint32_t)pair[(i)-1].at, pair[(i)-1].value[0])))                                    \
        return 2 * (i)-1;
#define CASE(i)                                                                                                        \
    case i:                                                                                                            \
        PAIR(i) __attribute__((fallthrough));
#define CASE_8(i) CASE(i + 8) CASE(i + 7) CASE(i + 6) CASE(i + 5) CASE(i + 4) CASE(i + 3) CASE(i + 2) CASE(i + 1)
    for (; unlikely(pairs > 24); pairs--) {
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

/* The same for the first `pairs` that are far. */
uint32_t words_compare_far(const struct words *w, uint32_t pairs);

/* Whether all are what they were. `sp`: with what the list was made. */
static inline __attribute__((always_inline)) bool words_hold(const struct words *w, uint64_t sp)
{
    return words_compare(w->near, w->pairs, words_upper(sp)) == 0 &&
           (likely(w->far == 0) || words_compare_far(w, w->far) == 0);
}

/* Where a word is, and what it was. */
static inline uint64_t words_get(const struct words *w, uint32_t index, uint64_t sp, uint64_t *value)
{
    const struct word_pair *p = w->near - w->far + index / 2;
    *value = p->value[index % 2];
    return (p < w->near ? (uint64_t)w->far_half << 32 : words_upper(sp)) + (uint32_t)(p->at >> (index % 2 * 32));
}

static inline bool words_hold_at(const struct words *w, uint32_t index, uint64_t sp)
{
    uint64_t value, at = words_get(w, index, sp, &value);
    return word_is(at, value);
}

/* 1 more than the index of the first of the first `count` words that is not what it was, in the order in which they were
 * read; 0: all are. */
static inline uint32_t words_changed(const struct words *w, uint32_t count, uint64_t sp)
{
    uint32_t pairs = count / 2, changed;
    if (count % 2 && !words_hold_at(w, count - 1, sp))
        return count;
    if (pairs > w->far && (changed = words_compare(w->near, pairs - w->far, words_upper(sp))))
        return changed + 2u * w->far;
    return unlikely(w->far) ? words_compare_far(w, pairs < w->far ? pairs : w->far) : 0;
}

/* --- making a list ------------------------------------------------------------------------------------------------ */

struct words_made {
    struct words list;
    uint64_t sp;
    bool odd; /* the last word is there twice */
};

/* `memory` is for half as many pairs as there will be words, and two. */
static inline void words_begin(struct words_made *m, struct word_pair *memory, uint64_t sp)
{
    *m = (struct words_made){ .list = { .near = memory }, .sp = sp };
}

/* 1 more than the index of the last word. */
static inline uint32_t words_count(const struct words_made *m)
{
    return 2u * (m->list.far + m->list.pairs) - m->odd;
}

/* Adds a word. False: there would be others between those that are near, or far from both. */
static inline bool words_add(struct words_made *m, uint64_t at, uint64_t value)
{
    struct words *w = &m->list;
    struct word_pair *p = w->near + w->pairs;
    bool near = likely(words_upper(at) == words_upper(m->sp));
    if (unlikely(!near && (w->pairs || (w->far && w->far_half != at >> 32))))
        return false;
    if (m->odd && (!near || w->pairs)) { /* not with one that is far */
        p[-1].at = (uint32_t)p[-1].at | at << 32;
        p[-1].value[1] = value;
        m->odd = false;
        return true;
    }
    *p = (struct word_pair){ (uint32_t)at | at << 32, { value, value } };
    m->odd = true;
    if (near) {
        w->pairs++;
    } else {
        w->far_half = (uint32_t)(at >> 32);
        w->far++;
        w->near++;
    }
    return true;
}

/* Adds the first `count` words of another list to an empty one. False as above. */
static inline bool words_copy(struct words_made *m, const struct words *from, uint64_t from_sp, uint32_t count)
{
    uint32_t i = 0, pairs = count / 2;
    if (likely(words_upper(m->sp) == words_upper(from_sp))) {
        struct words *w = &m->list;
        __builtin_memcpy(w->near, from->near - from->far, pairs * sizeof *w->near);
        w->far_half = from->far_half;
        w->far = (uint16_t)(pairs < from->far ? pairs : from->far);
        w->pairs = (uint16_t)(pairs - w->far);
        w->near += w->far;
        i = 2 * pairs;
    }
    for (; i < count; i++) {
        uint64_t value, at = words_get(from, i, from_sp, &value);
        if (!words_add(m, at, value))
            return false;
    }
    return true;
}

#endif
