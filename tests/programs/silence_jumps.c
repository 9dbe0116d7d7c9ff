/*
 * silence_jumps.c: setjmp and longjmp past frames that allocate, and out of signal handlers.
 *
 *      silence_jumps frames     out of 20 frames, 10,000 times
 *      silence_jumps overflow   out of the handler of a stack overflow, which runs on an alternate stack and allocates
 *      silence_jumps timeout    out of a timer's handler that interrupts mmap and munmap, 2,000 times
 *      silence_jumps contexts   between 40 stacks of 16 KiB with nothing readable below and above them
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define DEPTH 20
#define SMALL_STACK 8192 /* what SIGSTKSZ was for decades, and what programs hard-code */

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */
static jmp_buf back;
static sigjmp_buf back_from_signal;
static void *block[DEPTH];
static volatile int jumps;
static volatile bool stay; /* for the compiler, which calls the recursion endless otherwise */
static volatile char sink;

/* --- frames ------------------------------------------------------------------------------------------------------ */

static bool __attribute__((noinline)) descend(int depth)
{
    char here[64];
    memset(here, depth, sizeof here);
    block[depth] = malloc(32 + (size_t)depth);
    if (depth == DEPTH - 1 && !stay)
        longjmp(back, 1);
    return !stay && descend(depth + 1) && here[0] == depth;
}

static void jump_over_frames(void)
{
    for (volatile int round = 0; round < 10000; round++) {
        if (setjmp(back) == 0 && descend(0))
            puts("never");
        jumps++;
        for (int i = 0; i < DEPTH; i++)
            free(block[i]);
    }
    printf("jumped over frames %d times\n", jumps);
}

/* --- overflow ---------------------------------------------------------------------------------------------------- */

/* The fault is in exhaust(), never inside malloc, so the handler may use the heap. */
static void on_overflow(int number)
{
    (void)number;
    void *p = malloc(100), *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(q, 4096);
    free(p);
    siglongjmp(back_from_signal, 1);
}

static int __attribute__((noinline)) exhaust(int depth)
{
    volatile char here[1024];
    here[depth % 1024] = 1;
    if (depth < 0)
        return 0;
    return exhaust(depth + 1) + here[0];
}

/* A page without access below the alternate stack: who needs more than there is gets caught. */
static void *small_stack(void)
{
    char *p = mmap(NULL, 4096 + SMALL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(p, 4096, PROT_NONE);
    return p + 4096;
}

static void *overflow(void *unused)
{
    (void)unused;
    stack_t stack = { .ss_sp = small_stack(), .ss_size = SMALL_STACK };
    struct sigaction action = { .sa_handler = on_overflow, .sa_flags = SA_ONSTACK };
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
    for (volatile int round = 0; round < 200; round++) {
        if (sigsetjmp(back_from_signal, 1) == 0)
            sink = (char)exhaust(0);
        jumps++;
    }
    return NULL;
}

static void jump_out_of_overflow(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 << 10);
    pthread_create(&thread, &attributes, overflow, NULL);
    pthread_join(thread, NULL);
    printf("jumped out of a stack overflow %d times\n", jumps);
}

/* --- timeout ----------------------------------------------------------------------------------------------------- */

static void on_timeout(int number)
{
    (void)number;
    siglongjmp(back_from_signal, 1);
}

static void use_address_space(void)
{
    for (;;) {
        void *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(p, 8192);
    }
}

static void jump_out_of_mmap(void)
{
    signal(SIGALRM, on_timeout);
    for (volatile int round = 0; round < 2000; round++) {
        struct itimerval soon = { .it_value = { 0, 200 + round % 50 } };
        if (sigsetjmp(back_from_signal, 1) == 0) {
            setitimer(ITIMER_REAL, &soon, NULL);
            use_address_space();
        }
        jumps++;
    }
    for (int i = 0; i < 1000; i++)
        free(kept = malloc(50));
    printf("jumped out of mmap %d times\n", jumps);
}

/* --- contexts ---------------------------------------------------------------------------------------------------- */

#define CONTEXTS 40
#define CONTEXT_STACK (16 << 10)

static ucontext_t starter, context[CONTEXTS];
static int turns;

static int __attribute__((noinline)) allocate_below(int depth, int number)
{
    char *p = malloc(50 + (size_t)depth);
    memset(p, number, 50);
    int sum = depth > 0 ? allocate_below(depth - 1, number) : 0;
    if (depth == 5)
        swapcontext(&context[number], &context[(number + 1) % CONTEXTS]); /* to the next one, in the middle of it */
    sum += p[49] == number;
    free(p);
    return sum;
}

static void take_turns(int number)
{
    for (int turn = 0; turn < 50; turn++)
        turns += allocate_below(10, number) == 11;
}

static void *guarded_stack(void)
{
    char *p = mmap(NULL, CONTEXT_STACK + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(p + 4096, CONTEXT_STACK, PROT_READ | PROT_WRITE);
    return p + 4096;
}

static void change_contexts(void)
{
    for (int i = 0; i < CONTEXTS; i++) {
        getcontext(&context[i]);
        context[i].uc_stack.ss_sp = guarded_stack();
        context[i].uc_stack.ss_size = CONTEXT_STACK;
        context[i].uc_link = i + 1 < CONTEXTS ? &context[i + 1] : &starter;
        makecontext(&context[i], (void (*)(void))take_turns, 1, i);
    }
    swapcontext(&starter, &context[0]);
    printf("%d turns\n", turns);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "frames") == 0)
        jump_over_frames();
    else if (strcmp(mode, "overflow") == 0)
        jump_out_of_overflow();
    else if (strcmp(mode, "timeout") == 0)
        jump_out_of_mmap();
    else if (strcmp(mode, "contexts") == 0)
        change_contexts();
    else
        return 2;
    return 0;
}
