/* unwind_check.c: see unwind_check.h. Empty in all builds but those. */
#include "unwind_check.h"

#ifdef UNWIND_CHECK

#include <fcntl.h>
#include <signal.h>

#include "real.h"
#include "stacks.h"
#include "unwind.h"
#include "unwind_memo.h"
#include "unwind_table.h"

#define FRAMES 1023u
#define STORIES 8u
#define STORY_FRAMES 64u
#define SAMPLED 4099u /* one walk in so many */
#define FILE_SIZE 65536u

/* Two walks that should have been one. */
struct story {
    uint64_t kind, pid, count, other;
    uint64_t pc[STORY_FRAMES], other_pc[STORY_FRAMES];
};

static struct {
    struct unwind_counts *counts; /* NULL: nobody wants them, or it is too early */
    bool libunwind;
} check;

extern char **environ;

static struct unwind_counts *open_counts(void)
{
    struct unwind_counts *counts = NULL;
    for (char **e = environ; e && *e && !counts; e++) {
        int fd = sys_starts(*e, "MEMTAP_CHECK=") ? sys_open(*e + 13, O_RDWR, 0) : -1;
        if (fd < 0)
            continue;
        counts = sys_map_file(fd, 0, FILE_SIZE, NULL);
        sys_close(fd);
    }
    return counts;
}

static void add(uint64_t *count, uint64_t n)
{
    __atomic_fetch_add(count, n, __ATOMIC_RELAXED);
}

static void tell(uint64_t kind, void *const *pc, unsigned count, void *const *other, unsigned other_count)
{
    uint64_t n = __atomic_fetch_add(&check.counts->stories, 1, __ATOMIC_RELAXED);
    struct story *s = (struct story *)(check.counts + 1) + n;
    if (n >= STORIES)
        return;
    *s = (struct story){ .kind = kind, .pid = (uint64_t)sys_pid(), .count = count, .other = other_count };
    for (unsigned i = 0; i < STORY_FRAMES; i++) {
        s->pc[i] = i < count ? (uintptr_t)pc[i] : 0;
        s->other_pc[i] = i < other_count ? (uintptr_t)other[i] : 0;
    }
}

/* Whether a node stands for these frames, the innermost first. One frame may have two numbers (see stacks.c). */
static bool stands_for(uint32_t node, void *const *pc, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (!unwind_passes((uintptr_t)pc[i]) && !stacks_is(node, (uintptr_t)pc[i], &node))
            return false;
    return node == RECORD_NODE_NONE;
}

/* libunwind takes more of a stack than a small alternate one has. */
static bool room_for_libunwind(void)
{
    stack_t alternate;
    return check.libunwind && sigaltstack(NULL, &alternate) == 0 && !(alternate.ss_flags & SS_ONSTACK);
}

/* Of walks of `count` frames and by libunwind: it knows of no goroutines. */
static bool agree(void *const *pc, unsigned count, void *const *other, unsigned n)
{
    bool complete = n == count || (n > 0 && n < count && unwind_is_call_from_go((uintptr_t)pc[n - 1]));
    return complete && __builtin_memcmp(other, pc, n * sizeof *pc) == 0;
}

static void compare_with_libunwind(void *const *pc, unsigned count)
{
    static __thread void *other[FRAMES + 33] __attribute__((tls_model("initial-exec")));
    unsigned n = unwind_libunwind.walk(other, FRAMES + 33), skip = 0;
    while (skip < n && skip < 32 && other[skip] != pc[0])
        skip++;
    add(&check.counts->sampled, 1);
    if (agree(pc, count, other + skip, n - skip))
        return;
    add(&check.counts->differed_then, 1);
    tell(2, pc, count, other + skip, n - skip);
}

void unwind_check_start(void)
{
    check.libunwind = unwind_libunwind.start();
    check.counts = open_counts();
}

void unwind_check(uint32_t node, bool same, const struct unwind_registers *r, uint32_t generation)
{
    static __thread void *pc[FRAMES + 1] __attribute__((tls_model("initial-exec")));
    static __thread uint32_t busy __attribute__((tls_model("initial-exec")));
    static uint32_t turn;
    if (!check.counts || (busy && ++busy < 64)) /* in a handler; one that left by siglongjmp is forgotten in time */
        return;
    add(node ? same ? &check.counts->same : &check.counts->other : &check.counts->slow, 1);
    if (!node)
        return;
    busy = 1;
    pc[0] = (void *)r->pc;
    int walked = unwind_table_walk(*r, pc + 1, FRAMES);
    unsigned count = 1 + (unsigned)(walked < 0 ? 0 : walked);
    bool same_frames = walked >= 0 && stands_for(node, pc, count);
    if (generation % 2 == 0 || generation != __atomic_load_n(&unwind_generation, __ATOMIC_ACQUIRE))
        count = 0; /* code was being forgotten meanwhile */
    add(&check.counts->frames, count);
    if (count && !same_frames) {
        add(&check.counts->differed, 1);
        tell(1, pc, count, NULL, 0);
    }
    if (__atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED) % SAMPLED == 0 && count && room_for_libunwind())
        compare_with_libunwind(pc, count);
    busy = 0;
}

#endif
