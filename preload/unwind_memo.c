/* unwind_memo.c: see unwind_memo.h. Walks are kept outermost frame first. */
#include "unwind_memo.h"

#include "unwind_table.h"

#define FRAMES 1024u /* of the longest walk that is remembered; one is */
#define SHORT_FRAMES 48u
#define SHORT 128u  /* walks of up to SHORT_FRAMES that are remembered */
#define PLACES 8u   /* where one of them can be */
#define WORDS 3u    /* that one step reads at most */

struct frame {
    uint64_t key; /* unwind_key */
    uint64_t sp, fp;
    uint32_t node;
    uint16_t words; /* of this frame and all further out */
    bool fp_matters;
    bool impure; /* the step from here has to be made anew */
};

/* A frame of the walk that is being made, innermost first, and what was read. */
struct step {
    uint64_t key, sp, fp;
    uint64_t pc_value, fp_value;
    struct unwind_reads reads;
};

struct all_memos {
    struct memos common; /* first */
    uint32_t turn;
    struct memo memo[SHORT] __attribute__((aligned(64))), deep;
    struct step step[FRAMES];
    struct frame deep_frame[FRAMES];
    struct word deep_word[FRAMES * WORDS];
    struct {
        struct word word[SHORT_FRAMES * WORDS];
        struct frame frame[SHORT_FRAMES];
    } space[SHORT];
};

size_t unwind_memo_size(void)
{
    return sizeof(struct all_memos);
}

static void forget(struct all_memos *all, uint32_t generation)
{
    for (unsigned i = 0; i < SHORT; i++)
        all->memo[i] = (struct memo){ .frame = all->space[i].frame, .word = all->space[i].word };
    all->deep = (struct memo){ .frame = all->deep_frame, .word = all->deep_word };
    all->common.last = &all->deep;
    all->common.generation = generation;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

/* The first frame, from `i` outwards, whose step is not known to be what it was; -1: there is none. */
static int find_change(const struct memo *m, int i)
{
    for (; i >= 0; i--) {
        if (m->frame[i].impure)
            return i;
        for (unsigned w = m->frame[i].words, end = i ? m->frame[i - 1].words : 0; w-- > end;)
            if (*m->word[w].at != m->word[w].value)
                return i;
    }
    return -1;
}

/* --- walking ------------------------------------------------------------------------------------------------------ */

/* One step, remembered. False: it was the last. */
static inline bool step(struct step *s, struct unwind_registers *r, enum cfi_kind *kind)
{
    s->key = unwind_key(r->pc, r->exact);
    s->sp = r->sp;
    s->fp = r->fp;
    *kind = unwind_step(&unwind_window, r, &s->reads);
    s->pc_value = r->pc;
    s->fp_value = r->fp;
    if (unlikely(*kind == CFI_END && !s->reads.impure))
        s->reads = (struct unwind_reads){ .pc_at = 0 }; /* known from the rule alone */
    return *kind == CFI_STACK && r->pc != 0;
}

static inline bool is_frame(const struct frame *f, const struct unwind_registers *r)
{
    return f->sp == r->sp && f->key == unwind_key(r->pc, r->exact) && (!f->fp_matters || f->fp == r->fp);
}

/* Walks until the rest is known from `m`. Sets how many frames that is, and how many were walked. False: cannot. */
static bool walk(struct all_memos *all, const struct memo *m, struct unwind_registers r, unsigned *known,
                 unsigned *walked)
{
    enum cfi_kind kind = CFI_STACK;
    int next = (int)m->count - 1;
    *known = *walked = 0;
    do {
        while (next >= 0 && m->frame[next].sp < r.sp)
            next--;
        if (next >= 0 && is_frame(&m->frame[next], &r)) {
            int change = find_change(m, next);
            if (change < 0) {
                *known = (unsigned)next + 1;
                return *walked + *known <= FRAMES;
            }
            next = change - 1;
        }
        if (*walked == FRAMES)
            return false;
    } while (step(&all->step[(*walked)++], &r, &kind));
    return kind != CFI_UNSUPPORTED;
}

/* --- remembering -------------------------------------------------------------------------------------------------- */

/* The words that the step read go with the frame, last read first; the saved frame pointer only if a frame further out
 * uses it. */
static unsigned keep_words(struct word *word, const struct step *s, bool fp_matters)
{
    unsigned n = 0;
    if (s->reads.impure)
        return 0;
    if (fp_matters && s->reads.fp_at)
        word[n++] = (struct word){ (const uint64_t *)s->reads.fp_at, s->fp_value };
    if (s->reads.pc_at)
        word[n++] = (struct word){ (const uint64_t *)s->reads.pc_at, s->pc_value };
    if (s->reads.frame_at)
        word[n++] = (struct word){ (const uint64_t *)s->reads.frame_at, s->reads.frame };
    return n;
}

/* Makes `to` of the outermost `known` frames of `from` and the walked ones. False if a node is not to be had. */
static bool keep(struct cursor *cursor, struct all_memos *all, struct memo *to, const struct memo *from, unsigned known,
                 unsigned walked)
{
    unsigned words = known ? from->frame[known - 1].words : 0;
    uint32_t node = known ? from->frame[known - 1].node : RECORD_NODE_NONE;
    bool fp_matters = known && from->frame[known - 1].fp_matters, pure = true;
    to->key = to->count = 0; /* until it is whole: a handler may leave by siglongjmp at any place */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (to != from) {
        __builtin_memcpy(to->frame, from->frame, known * sizeof *to->frame);
        __builtin_memcpy(to->word, from->word, words * sizeof *to->word);
    }
    struct frame *f = to->frame + known;
    for (unsigned i = walked; i-- > 0; f++) {
        const struct step *s = &all->step[i];
        node = unwind_node(cursor, node, s->key >> 1);
        if (!node)
            return false;
        words += keep_words(to->word + words, s, fp_matters);
        fp_matters = !s->reads.impure && (s->reads.by_fp || (fp_matters && !s->reads.fp_at));
        pure &= !s->reads.impure;
        *f = (struct frame){ s->key, s->sp, s->fp, node, (uint16_t)words, fp_matters, s->reads.impure };
    }
    f--;
    to->sp = f->sp;
    to->fp = f->fp;
    to->fp_mask = fp_matters ? UINT64_MAX : 0;
    to->node = node;
    to->words = words;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    to->count = known + walked;
    to->key = pure ? f->key : 0;
    return true;
}

/* A walk has several places where it can be kept: many walks begin with the same registers. Sets where it is, or the
 * place that has been of no use for longest. */
static bool find(struct all_memos *all, const struct unwind_registers *r, struct memo **memo)
{
    uint64_t hash = (r->pc ^ r->sp << 16) * 0x9e3779b97f4a7c15ull, key = unwind_key(r->pc, r->exact);
    uint32_t place = (uint32_t)(hash >> 40), stride = (uint32_t)(hash >> 52) | 1;
    *memo = &all->memo[place % SHORT];
    for (unsigned i = 0; i < PLACES; i++, place += stride) {
        struct memo *m = &all->memo[place % SHORT];
        if (unwind_memo_begins(m, key, r->sp, r->fp) && unwind_memo_holds(m)) {
            *memo = m;
            return true;
        }
        if (all->turn - m->used > all->turn - (*memo)->used)
            *memo = m;
    }
    return false;
}

uint32_t unwind_memo_stack(struct cursor *cursor, struct memos *memos, const struct unwind_registers *r)
{
    struct all_memos *all = (struct all_memos *)memos;
    uint32_t generation = __atomic_load_n(&unwind_generation, __ATOMIC_ACQUIRE);
    unsigned known, walked;
    struct memo *m;
    if (unlikely(memos->generation != generation))
        forget(all, generation);
    all->turn++;
    if (!find(all, r, &m)) {
        if (!walk(all, memos->last, *r, &known, &walked))
            return 0;
        if (known + walked > SHORT_FRAMES)
            m = &all->deep;
        if (!keep(cursor, all, m, memos->last, known, walked))
            return 0;
    }
    m->used = all->turn;
    memos->last = m;
    return m->node;
}
