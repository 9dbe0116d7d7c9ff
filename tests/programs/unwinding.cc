/*
 * unwinding.cc: allocates from stacks of all kinds, in an order that a seed decides, for the check build of the tap
 * (tests/check-unwinding): frames of variable size, with a frame pointer, realigned; callbacks; non-local exits by
 * exceptions and longjmp; coroutines whose stacks come and go at the same addresses; signal handlers on a stack of
 * their own; threads that follow each other on the same stack.
 *
 *   unwinding SEED THREADS ROUNDS
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <functional>

#define FRAME __attribute__((noinline, noclone))
#define KEEP(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

namespace
{

struct state {
    uint64_t random;
    int left; /* frames to go */
    jmp_buf exit;
    ucontext_t outside, inside;
    void (*body)(state &);

    uint32_t next(uint32_t below)
    {
        random = random * 6364136223846793005u + 1442695040888963407u;
        return (uint32_t)(random >> 33) % below;
    }
};

void descend(state &s);

FRAME void allocate(state &s)
{
    for (uint32_t i = s.next(4); i-- > 0;) {
        void *block = malloc(16 + s.next(500));
        KEEP(block);
        free(block);
    }
}

FRAME void variable(state &s)
{
    size_t size = 16 + s.next(600);
    char *local = static_cast<char *>(__builtin_alloca(size));
    memset(local, 1, size);
    KEEP(local);
    descend(s);
    KEEP(local);
}

FRAME void realigned(state &s)
{
    alignas(64) char local[128];
    KEEP(local);
    descend(s);
    KEEP(local);
}

__attribute__((noinline, noclone, optimize("no-omit-frame-pointer"))) void with_pointer(state &s)
{
    char local[40];
    KEEP(local);
    descend(s);
    KEEP(local);
}

int compare(const void *a, const void *b, void *context)
{
    state &s = *static_cast<state *>(context);
    if (s.next(4) == 0)
        descend(s);
    return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

FRAME void sorted(state &s)
{
    int list[4] = { 3, 1, 2, 0 };
    qsort_r(list, 4, sizeof *list, compare, &s);
    KEEP(list);
}

FRAME void called(state &s)
{
    std::function<void()> f = [&s] { descend(s); };
    f();
    KEEP(&f);
}

FRAME void caught(state &s)
{
    try {
        descend(s);
        if (s.next(8) == 0)
            throw 1;
    } catch (int) {
        allocate(s);
    }
}

FRAME void tail(state &s)
{
    s.left--;
    return descend(s);
}

void descend(state &s)
{
    static void (*const ways[])(
        state &) = { variable, realigned, with_pointer, sorted, called, caught, tail, allocate };
    for (uint32_t i = 1 + s.next(2); i-- > 0;) {
        if (s.left <= 0 || s.next(12) == 0)
            allocate(s);
        if (s.left <= 0)
            return;
        s.left--;
        ways[s.next(8)](s);
        if (s.next(400) == 0)
            longjmp(s.exit, 1);
        if (s.next(200) == 0)
            throw 2;
    }
}

void guarded(state &s)
{
    s.left = 4 + (int)s.next(40);
    if (setjmp(s.exit) == 0) {
        try {
            descend(s);
        } catch (int) {
            allocate(s);
        }
    }
}

void coroutine(uint32_t high, uint32_t low)
{
    state &s = *reinterpret_cast<state *>((uintptr_t)high << 32 | low);
    for (int i = 0; i < 4; i++) {
        guarded(s);
        swapcontext(&s.inside, &s.outside);
    }
}

/* On a stack of its own, which may have been that of another one. */
FRAME void in_coroutine(state &s)
{
    static const size_t sizes[] = { 128 << 10, 256 << 10, 192 << 10 };
    size_t size = sizes[s.next(3)];
    void *stack = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    getcontext(&s.inside);
    s.inside.uc_stack.ss_sp = stack;
    s.inside.uc_stack.ss_size = size;
    s.inside.uc_link = nullptr;
    uintptr_t self = reinterpret_cast<uintptr_t>(&s);
    makecontext(&s.inside, reinterpret_cast<void (*)()>(coroutine), 2, (uint32_t)(self >> 32), (uint32_t)self);
    for (int i = 0; i < 4; i++) {
        swapcontext(&s.outside, &s.inside);
        allocate(s);
    }
    munmap(stack, size);
}

thread_local state *interrupted;

void handler(int)
{
    state s = {};
    s.random = interrupted->random;
    guarded(s);
}

FRAME void in_handler(state &s)
{
    interrupted = &s;
    raise(s.next(2) ? SIGUSR1 : SIGUSR2);
}

struct work {
    uint64_t seed;
    long rounds;
};

void *thread(void *argument)
{
    const work &w = *static_cast<work *>(argument);
    state s = {};
    s.random = w.seed;
    stack_t alternate = {};
    alternate.ss_size = 256 << 10;
    alternate.ss_sp = mmap(nullptr, alternate.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&alternate, nullptr);
    for (long i = 0; i < w.rounds; i++) {
        guarded(s);
        if (s.next(8) == 0)
            in_coroutine(s);
        if (s.next(8) == 0)
            in_handler(s);
    }
    alternate.ss_flags = SS_DISABLE;
    void *stack = alternate.ss_sp;
    sigaltstack(&alternate, nullptr);
    munmap(stack, alternate.ss_size);
    return nullptr;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: unwinding SEED THREADS ROUNDS\n");
        return 2;
    }
    uint64_t seed = strtoull(argv[1], nullptr, 10);
    int threads = std::clamp(atoi(argv[2]), 1, 64);
    const int turns = 8; /* threads begin anew, on stacks of those before them */
    struct sigaction on_own = {}, on_this = {};
    on_own.sa_handler = on_this.sa_handler = handler;
    on_own.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &on_own, nullptr);
    sigaction(SIGUSR2, &on_this, nullptr);
    for (int turn = 0; turn < turns; turn++) {
        pthread_t id[64];
        work w[64];
        for (int i = 0; i < threads; i++) {
            w[i] = { seed * 1000 + (uint64_t)(turn * 64 + i), atol(argv[3]) / turns };
            pthread_create(&id[i], nullptr, thread, &w[i]);
        }
        for (int i = 0; i < threads; i++)
            pthread_join(id[i], nullptr);
    }
    return 0;
}
