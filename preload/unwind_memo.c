/*
 * unwind_memo.c: see unwind_memo.h. Walks are kept outermost frame first, one behind the other in a ring of memory, where
 * new ones overwrite the oldest. One is found again as what came next the last time, or among the last few that began
 * with the same innermost frame. Where the same walk was made twice the older one stays: it knows what came next.
 */
#include "unwind_memo.h"

#include "unwind_table.h"

#define FRAMES 1024u              /* of the longest walk that is remembered */
#define WORDS 3u                  /* that one step reads at most */
#define SPACE ((size_t)512 << 10) /* bytes of the ring; several times what one walk takes */
#define MEMOS 512u                /* walks that are remembered, the last so many */
#define RECENT 128u               /* lists of the last ones that began alike */
#define ALIKE 4u                  /* in each */
#define NODES 1024u               /* places of memos by their stack's node */
#define COUNTED 64u               /* walks that are counted together */

struct frame {
    uint64_t key; /* unwind_key */
    uint64_t sp, fp;
    uint32_t node;
    uint16_t words; /* of this frame and all further out */
    bool fp_matters;
    bool impure : 1; /* the step from here has to be made anew */
    bool cut : 1;    /* there is a caller, but it is not to be found */
};

/* A frame of the walk that is being made, innermost first, and what was read. */
struct step {
    uint64_t key, sp, fp;
    uint64_t fp_value;
    struct unwind_reads reads;
};

/* How a walk went. */
struct way {
    unsigned known, walked; /* so many frames, the outermost ones, are those of the last walk */
    bool cut;
};

struct all_memos {
    struct memos common;            /* first */
    uint32_t newest;                /* the number of the memo that was made last; they are made in turn */
    uint16_t recent[RECENT][ALIKE]; /* numbers of memos, by their innermost frame, the last first */
    uint16_t of_node[NODES];        /* number of the memo that was made last of such a node */
    uint64_t end; /* how many bytes of the ring have been taken; what lies more than SPACE before is overwritten */
    struct memo memo[MEMOS] __attribute__((aligned(64))), none;
    struct step step[FRAMES];
    uint32_t walks[TRACE_WALK_COUNT], walked; /* not yet in the trace; all of them */
    char ring[SPACE] __attribute__((aligned(64)));
};

size_t unwind_memo_size(void)
{
    return sizeof(struct all_memos);
}

static void forget(struct all_memos *all, uint32_t generation)
{
    all->end += 2 * SPACE;
    all->common.last = &all->none;
    all->common.generation = generation;
}

static struct frame *frames_at(struct all_memos *all, uint64_t place)
{
    return (struct frame *)&all->ring[place % SPACE];
}

static bool is_whole(const struct all_memos *all, const struct memo *m)
{
    return all->end - m->place <= SPACE;
}

/* Takes `size` bytes of the ring in one piece, but never those of the last walk. Returns their place. */
static uint64_t take(struct all_memos *all, size_t size)
{
    const struct memo *last = all->common.last;
    const char *kept = (const char *)frames_at(all, last->place), *kept_end = (const char *)words_end(&last->words);
    for (;;) {
        const char *start = &all->ring[all->end % SPACE], *end = start + size, *next = start;
        if (end > all->ring + SPACE)
            next = all->ring + SPACE;
        else if (last->count && start < kept_end && kept < end)
            next = kept_end;
        if (next == start)
            break;
        all->end += (uint64_t)(next - start);
    }
    all->end += size;
    return all->end - size;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

/* The first frame, from `i` outwards, whose step is not known to be what it was; -1: there is none. */
static int find_change(const struct memo *m, const struct frame *frame, int i)
{
    if (likely(m->key != 0)) {
        uint32_t changed = words_changed(&m->words, frame[i].words, m->sp);
        if (!changed)
            return -1;
        while (i > 0 && frame[i - 1].words >= changed)
            i--;
        return i;
    }
    for (; i >= 0; i--) {
        if (frame[i].impure)
            return i;
        for (unsigned w = frame[i].words, end = i ? frame[i - 1].words : 0; w-- > end;)
            if (!words_hold_at(&m->words, w, m->sp))
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
    s->fp_value = r->fp;
    return *kind == CFI_STACK && r->pc != 0;
}

static inline bool is_frame(const struct frame *f, const struct unwind_registers *r)
{
    return f->sp == r->sp && f->key == unwind_key(r->pc, r->exact) && (!f->fp_matters || f->fp == r->fp);
}

/* Walks until the rest is known from the last walk. False: cannot. */
static bool walk(struct all_memos *all, struct unwind_registers r, struct way *way)
{
    const struct memo *m = all->common.last;
    const struct frame *frame = frames_at(all, m->place);
    enum cfi_kind kind = CFI_STACK;
    int next = (int)m->count - 1;
    *way = (struct way){ .known = 0 };
    do {
        while (next >= 0 && frame[next].sp < r.sp)
            next--;
        if (next >= 0 && is_frame(&frame[next], &r)) {
            int change = find_change(m, frame, next);
            if (change < 0) {
                way->known = (unsigned)next + 1;
                return way->walked + way->known <= FRAMES;
            }
            next = change - 1;
        }
        if (way->walked == FRAMES)
            return false;
    } while (step(&all->step[way->walked++], &r, &kind));
    way->cut = kind == CFI_NONE;
    return kind != CFI_UNSUPPORTED;
}

/* --- remembering -------------------------------------------------------------------------------------------------- */

/* Adds the words that the step read, last read first; the saved frame pointer only if a frame further out uses it. False
 * if they cannot be kept, or the step depended on more. */
static inline bool keep_words(struct words_made *words, const struct step *s, bool fp_matters)
{
    const struct unwind_reads *r = &s->reads;
    return !r->impure && (!fp_matters || !r->fp_at || words_add(words, r->fp_at, s->fp_value)) &&
           (!r->pc_at || words_add(words, r->pc_at, *(const uint64_t *)r->pc_at)) && /* signed */
           (!r->frame_at || words_add(words, r->frame_at, r->frame));
}

/* Makes `to` of the known frames of the last walk and the walked ones. False if a node is not to be had, or what is known
 * cannot be kept with the rest. */
static bool keep(struct cursor *cursor, struct all_memos *all, struct memo *to, const struct way *way)
{
    const unsigned known = way->known, walked = way->walked;
    const struct memo *from = all->common.last;
    const struct frame *outer = frames_at(all, from->place) + known;
    unsigned known_words = known ? outer[-1].words : 0, count = known + walked;
    uint64_t sp = walked ? all->step[0].sp : outer[-1].sp;
    uint32_t node = known ? outer[-1].node : RECORD_NODE_NONE;
    bool fp_matters = known && outer[-1].fp_matters, pure = true;
    size_t pairs = (known_words + walked * WORDS) / 2 + 2;
    uint64_t place = take(all, count * sizeof(struct frame) + pairs * sizeof(struct word_pair));
    struct frame *f = frames_at(all, place);
    struct words_made words;
    /* A handler may leave by siglongjmp at any place: what was there is void before it is overwritten. */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    words_begin(&words, (struct word_pair *)(f + count), sp);
    if (!words_copy(&words, &from->words, from->sp, known_words))
        return false;
    __builtin_memcpy(f, outer - known, known * sizeof *f);
    f += known;
    for (unsigned i = walked; i-- > 0; f++) {
        const struct step *s = &all->step[i];
        bool kept = keep_words(&words, s, fp_matters), cut = way->cut && i + 1 == walked;
        node = unwind_node(cursor, node, s->key >> 1);
        if (!node)
            return false;
        fp_matters = kept && (s->reads.by_fp || (fp_matters && !s->reads.fp_at));
        pure &= kept;
        *f = (struct frame){ s->key, s->sp, s->fp, node, (uint16_t)words_count(&words), fp_matters, !kept, cut };
    }
    f--;
    to->key = to->count = 0; /* until it is whole */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    to->sp = sp;
    to->fp = f->fp;
    to->fp_mask = fp_matters ? UINT64_MAX : 0;
    to->node = node;
    to->words = words.list;
    to->place = place;
    all->end = place + (size_t)((char *)words_end(&to->words) - (char *)frames_at(all, place));
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    to->count = (uint16_t)count;
    to->key = pure ? f->key : 0;
    return true;
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

static inline __attribute__((always_inline)) bool is_it(const struct all_memos *all, const struct memo *m, uint64_t pc,
                                                        uint64_t sp, uint64_t fp)
{
    return unwind_memo_begins(m, unwind_key(pc, false), sp, fp) && is_whole(all, m) && words_hold(&m->words, sp);
}

/* The first ones of a cursor at once, then by many: other threads count there, too. */
static void count_walk(struct all_memos *all, bool partly, bool cut)
{
    all->walks[partly ? TRACE_WALK_PARTLY : TRACE_WALK_WHOLLY]++;
    all->walks[TRACE_WALK_CUT] += cut;
    if (++all->walked > COUNTED && all->walked % COUNTED != 0)
        return;
    tracefile_count_walks(all->walks);
    __builtin_memset(all->walks, 0, sizeof all->walks);
}

/* The memo that is made next; never the last one. */
static struct memo *next_memo(struct all_memos *all)
{
    all->newest = (all->newest + 1) % MEMOS;
    if (&all->memo[all->newest] == all->common.last)
        all->newest = (all->newest + 1) % MEMOS;
    return &all->memo[all->newest];
}

/* The memo that was just made, or an older one of the same walk, which knows what came next then. */
static struct memo *older_of(struct all_memos *all, struct memo *m, const struct unwind_registers *r, uint32_t newest)
{
    uint16_t *number = &all->of_node[m->node % NODES];
    struct memo *old = &all->memo[*number];
    if (old != m && old->node == m->node && is_it(all, old, r->pc, r->sp, r->fp)) {
        m->key = m->count = 0;
        all->newest = newest;
        return old;
    }
    *number = (uint16_t)(m - all->memo);
    return m;
}

/* Walks, and makes a memo of it; NULL: there is none to be had. */
static struct memo *walk_and_keep(struct cursor *cursor, struct all_memos *all, const struct unwind_registers *r)
{
    uint32_t newest = all->newest;
    struct memo *m = next_memo(all);
    struct way way;
    if (!walk(all, *r, &way))
        return NULL;
    if (!keep(cursor, all, m, &way)) {
        all->common.last = &all->none; /* perhaps without what is known */
        if (!walk(all, *r, &way) || !keep(cursor, all, m, &way))
            return NULL;
    }
    count_walk(all, way.known > 0, frames_at(all, m->place)->cut);
    return older_of(all, m, r, newest);
}

/* The memo of the stack, remembered from before or now; NULL: there is none to be had. */
static struct memo *find_or_walk(struct cursor *cursor, struct all_memos *all, const struct unwind_registers *r)
{
    uint16_t *recent = all->recent[(r->pc ^ r->sp << 16) * 0x9e3779b97f4a7c15ull >> 32 & (RECENT - 1)];
    for (unsigned i = 0; i < ALIKE; i++)
        if (is_it(all, &all->memo[recent[i]], r->pc, r->sp, r->fp))
            return &all->memo[recent[i]];
    struct memo *m = walk_and_keep(cursor, all, r);
    if (m) {
        __builtin_memmove(recent + 1, recent, (ALIKE - 1) * sizeof *recent);
        *recent = (uint16_t)(m - all->memo);
    }
    return m;
}

static inline uint32_t go_on_with(struct all_memos *all, struct memo *m)
{
    all->common.last = m;
    __builtin_prefetch(&all->memo[m->next]);
    return m->node;
}

/* Where it is not the memo that came next the last time. */
static __attribute__((noinline)) uint32_t other_stack(struct cursor *cursor, struct all_memos *all, uint64_t pc,
                                                      uint64_t sp, uint64_t fp)
{
    struct unwind_registers r = { .pc = pc, .sp = sp, .fp = fp };
    uint32_t generation = __atomic_load_n(&unwind_generation, __ATOMIC_ACQUIRE);
    if (unlikely(all->common.generation != generation))
        forget(all, generation);
    struct memo *last = all->common.last, *m = find_or_walk(cursor, all, &r);
    if (!m)
        return 0;
    last->next = (uint16_t)(m - all->memo);
    return go_on_with(all, m);
}

uint32_t unwind_memo_stack(struct cursor *cursor, struct memos *memos, uint64_t pc, uint64_t sp, uint64_t fp)
{
    struct all_memos *all = (struct all_memos *)memos;
    if (likely(memos->generation == __atomic_load_n(&unwind_generation, __ATOMIC_ACQUIRE))) {
        struct memo *m = &all->memo[memos->last->next];
        if (likely(is_it(all, m, pc, sp, fp)))
            return go_on_with(all, m);
    }
    return other_stack(cursor, all, pc, sp, fp);
}
