/* unwind.c: see unwind.h. */
#include "unwind.h"

#include "modules.h"
#include "real.h"
#include "stacks.h"

#define FRAMES 1024u     /* longer stacks lose their outermost frames */
#define DEEPEST_HOOK 16u /* frames between a walk's beginning and the caller of the hook, at most */

/* What a cursor remembers of its previous stack where there are no memos. Innermost first. */
struct frames {
    uint32_t count, generation;
    void *pc[FRAMES];
    uint32_t node[FRAMES];
    void *walked[FRAMES]; /* the stack being walked */
};

/* The code of the hooks that do not count as frames (hooks.h), as the linker says; NULL where there are none. */
extern const char __start_hooks_that_pass[] __attribute__((weak));
extern const char __stop_hooks_that_pass[] __attribute__((weak));

static struct {
    const struct unwinder *unwinder; /* NULL: none */
    bool memo;                       /* its walks can be remembered by unwind_memo.c */
    uintptr_t own_start, own_end;
} chosen;

uint32_t unwind_generation = 1;

bool unwind_use(const struct unwinder *unwinder)
{
    real_own_range(&chosen.own_start, &chosen.own_end);
    if (!unwinder->start())
        return false;
    chosen.memo = unwinder == &unwind_table && ARCH_HAS_CALLER;
    __atomic_store_n(&chosen.unwinder, unwinder, __ATOMIC_RELEASE);
    return true;
}

static bool is_own(const void *pc)
{
    return (uintptr_t)pc - chosen.own_start < chosen.own_end - chosen.own_start;
}

bool unwind_passes(uint64_t pc)
{
    uintptr_t start = (uintptr_t)__start_hooks_that_pass, end = (uintptr_t)__stop_hooks_that_pass;
    return pc - start < end - start;
}

/* What is kept for a cursor: memos, and the frames behind them. */
static bool attach(struct cursor *cursor)
{
    cursor->attached = sys_map(unwind_memo_size() + sizeof(struct frames));
    return cursor->attached != NULL;
}

static struct frames *frames_of(const struct cursor *cursor)
{
    return (struct frames *)((char *)cursor->attached + unwind_memo_size());
}

/* How many outermost frames the stack has in common with the remembered one. */
static unsigned count_common(const struct frames *f, void *const *pc, unsigned count)
{
    unsigned most = count < f->count ? count : f->count, n = 0;
    if (f->generation != __atomic_load_n(&unwind_generation, __ATOMIC_ACQUIRE))
        return 0;
    while (n < most && pc[count - 1 - n] == f->pc[f->count - 1 - n])
        n++;
    return n;
}

uint32_t unwind_node(struct cursor *cursor, uint32_t parent, uint64_t pc)
{
    uint32_t node = unlikely(unwind_passes(pc)) ? parent : stacks_find(parent, pc);
    if (node)
        return node;
    struct module_place place = modules_locate(cursor, pc);
    return stacks_define(cursor, parent, pc, place.module, place.offset);
}

/* Turns the walked stack into nodes, from the outermost frame inwards, and remembers it. */
static uint32_t intern(struct cursor *cursor, struct frames *f, void *const *pc, unsigned count)
{
    unsigned common = count_common(f, pc, count);
    uint32_t generation = __atomic_load_n(&unwind_generation, __ATOMIC_ACQUIRE);
    uint32_t node = common ? f->node[f->count - common] : RECORD_NODE_NONE;
    if (count != f->count)
        __builtin_memmove(f->node + count - common, f->node + f->count - common, common * sizeof *f->node);
    f->count = 0;
    for (unsigned i = count - common; i-- > 0;) {
        node = unwind_node(cursor, node, (uintptr_t)pc[i]);
        if (!node)
            return 0;
        f->node[i] = node;
    }
    __builtin_memcpy(f->pc, pc, (count - common) * sizeof *pc);
    __builtin_memcpy(f->pc + count - common, pc + count - common, common * sizeof *pc);
    f->count = count;
    f->generation = generation;
    return node;
}

/* How many innermost frames are the tap's own: the hook returns to `caller`. A walk may begin anywhere inside. */
static unsigned count_own(void *const *pc, unsigned count, const void *caller)
{
    unsigned own = 0;
    for (unsigned i = 0; i < count && i < DEEPEST_HOOK; i++)
        if (pc[i] == caller)
            return i;
    while (own < count && is_own(pc[own]))
        own++;
    return own;
}

/* The whole walk, by whatever unwinder there is. */
static __attribute__((noinline)) uint32_t walk(struct cursor *cursor, const void *caller)
{
    const struct unwinder *u = __atomic_load_n(&chosen.unwinder, __ATOMIC_ACQUIRE);
    struct frames *f = frames_of(cursor);
    unsigned count = u ? u->walk(f->walked, FRAMES) : 0, skip = count_own(f->walked, count, caller);
    tracefile_count_walks((const uint32_t[TRACE_WALK_COUNT]){ [TRACE_WALK_SLOWLY] = 1 });
    if (skip == count) {
        f->walked[0] = (void *)(uintptr_t)caller;
        skip = 0;
        count = 1;
    }
    return intern(cursor, f, f->walked + skip, count - skip);
}

uint32_t unwind_stack(struct cursor *cursor, const void *caller)
{
    struct unwind_registers r = { .exact = false };
    uint32_t node = 0;
    if (unlikely(!cursor->attached) && !attach(cursor))
        return 0;
    if (likely(chosen.memo)) {
        arch_caller_registers(caller, &r.pc, &r.sp, &r.fp);
        node = unwind_memo_stack(cursor, cursor->attached, r.pc, r.sp, r.fp);
        unwind_check(node, false, &r, unwind_memos_of(cursor)->generation);
    }
    return likely(node != 0) ? node : walk(cursor, arch_caller_pc(caller));
}

void unwind_ready(void)
{
    unwind_check_start();
}

void unwind_code_goes(void)
{
    if (__atomic_add_fetch(&unwind_generation, 1, __ATOMIC_ACQ_REL) == 0)
        __atomic_add_fetch(&unwind_generation, 2, __ATOMIC_ACQ_REL);
}

void unwind_code_gone(uint64_t from, uint64_t to)
{
    if (chosen.unwinder)
        chosen.unwinder->code_gone(from, to);
    __atomic_add_fetch(&unwind_generation, 1, __ATOMIC_ACQ_REL);
}

void unwind_forked(void)
{
    unwind_generation = (unwind_generation | 1) + 2; /* the thread that was forgetting code may have stayed behind */
    if (chosen.unwinder && chosen.unwinder->forked)
        chosen.unwinder->forked();
}
