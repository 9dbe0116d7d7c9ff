/*
 * unwind_memo.h: finds the node of a stack by comparing it with stacks walked before. Inside unwind*.
 *
 * A walk is a function of the registers it begins with, the rules, and the words of the stack that it reads, in their
 * order. So each walk is remembered with these words. When a later one comes to a frame of a remembered walk (same code
 * address, same stack pointer, same frame pointer if it matters from there on), and the words that were read from there
 * on are still the same, then by induction it would visit the same frames, and it need not: comparing a word costs a
 * tenth of a step. Words are compared in the order in which the walk would read them, up to the first difference, so
 * nothing is read that the walk would not read.
 *
 * What a step depends on beyond that ends a comparison: that frame is stepped over anew (signal frames; what the kernel
 * or the list of modules said). Rules change only when code is unloaded: then all is forgotten (unwind_generation).
 */
#ifndef PRELOAD_UNWIND_MEMO_H
#define PRELOAD_UNWIND_MEMO_H

#include "ring.h"
#include "unwind_step.h"
#include "unwind_words.h"

/* A remembered walk. */
struct memo {
    uint64_t key, sp, fp, fp_mask; /* the innermost frame; key 0: the memo does not hold as a whole */
    uint64_t place;                /* of its frames and words, among all that have been kept */
    struct words words;
    uint32_t node;
    uint16_t count; /* of frames */
    uint16_t next;  /* the number of the memo that was of use after this one */
};

/* What is remembered for one cursor, in memory that was zero at first. */
struct memos {
    struct memo *last;   /* NULL: nothing yet. Never overwritten */
    uint32_t generation; /* all is of this one; never 0 but at first */
};

/* Grows when code is unloaded; even while it is being forgotten, never 0. */
extern HIDDEN uint32_t unwind_generation;

/* Those of a cursor that has some. */
static inline const struct memos *unwind_memos_of(const struct cursor *cursor)
{
    return cursor->attached;
}

/* Bytes of memory for the memos of a cursor. */
size_t unwind_memo_size(void);

/* The node of the stack whose innermost frame has these registers, and is that of a call. 0: this walk takes more than
 * rules; or there is no node to be had. */
uint32_t unwind_memo_stack(struct cursor *cursor, struct memos *memos, uint64_t pc, uint64_t sp, uint64_t fp);

static inline bool unwind_memo_begins(const struct memo *m, uint64_t key, uint64_t sp, uint64_t fp)
{
    return ((m->key ^ key) | (m->sp ^ sp) | ((m->fp ^ fp) & m->fp_mask)) == 0;
}

/* Hot path: the same if it is the stack of the last time; else 0. */
static inline uint32_t unwind_memo_same(const struct memos *memos, uint64_t pc, uint64_t sp, uint64_t fp)
{
    if (unlikely(memos->generation != __atomic_load_n(&unwind_generation, __ATOMIC_ACQUIRE)))
        return 0;
    const struct memo *m = memos->last;
    return likely(unwind_memo_begins(m, unwind_key(pc, false), sp, fp)) && likely(words_hold(&m->words, sp)) ? m->node
                                                                                                             : 0;
}

/* From unwind.c: whether the code address is of a hook that is no frame. */
bool unwind_passes(uint64_t pc);
/* The node of (parent, code address), defined if it is new; 0 if that is not possible. */
uint32_t unwind_node(struct cursor *cursor, uint32_t parent, uint64_t pc);

#endif
