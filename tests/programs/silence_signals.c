/*
 * silence_signals.c: handlers on a small alternate stack that allocate, thousands of times. What they do is what may be
 * done at that point:
 *
 *      silence_signals alloc      the handler uses the heap; the program below it computes and never does
 *      silence_signals map        the handler maps and unmaps memory, in the middle of malloc, realloc and free
 *      silence_signals fork       the handler forks in the middle of them; some children map memory before they end
 *      silence_signals threads    the handler maps memory in whichever of four allocating threads the signal hits
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL_STACK 8192
#define THREADS 4

static volatile int handled, wanted, wrong;
static volatile long sink;

/* Each handler starts it again when it is done: it could take longer than the interval. */
static void start_timer(void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART };
    struct itimerval soon = { .it_value = { 0, handled < wanted ? 100 : 0 } };
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
}

static void map_something(void)
{
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || munmap(p, 8192) != 0)
        wrong++;
}

static void on_alloc(int number)
{
    (void)number;
    char *p = malloc(50 + (size_t)handled % 100), *q = realloc(p, 300);
    if (!q)
        wrong++;
    free(q);
    handled++;
    start_timer(on_alloc);
}

static void on_map(int number)
{
    (void)number;
    int saved = errno;
    errno = 4242;
    map_something();
    if (errno != 4242)
        wrong++; /* a call that succeeds leaves errno alone */
    errno = saved;
    handled++;
    start_timer(on_map);
}

static void on_fork(int number)
{
    (void)number;
    int saved = errno, status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (handled % 4 == 0)
            map_something();
        _exit(handled % 7);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != handled % 7 || !WIFEXITED(status))
        wrong++;
    handled++;
    start_timer(on_fork);
    errno = saved;
}

static void use_small_stack(void)
{
    char *p = mmap(NULL, 4096 + SMALL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(p, 4096, PROT_NONE); /* who needs more stack than there is gets caught */
    stack_t stack = { .ss_sp = p + 4096, .ss_size = SMALL_STACK };
    sigaltstack(&stack, NULL);
}

static void compute(void)
{
    while (handled < wanted)
        for (int i = 0; i < 1000; i++)
            sink = sink * 31 + i;
}

static void *allocate(void *unused)
{
    (void)unused;
    use_small_stack();
    while (handled < wanted) {
        char *block[40];
        for (int i = 0; i < 40; i++) {
            block[i] = malloc(20 + (size_t)i * 13);
            memset(block[i], i, 20);
        }
        for (int i = 0; i < 40; i++) {
            block[i] = realloc(block[i], 900 - (size_t)i * 13);
            if (block[i][19] != i)
                wrong++;
        }
        for (int i = 0; i < 40; i++)
            free(block[i]);
    }
    return NULL;
}

static void allocate_in_threads(void)
{
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, allocate, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    use_small_stack();
    wanted = 4000;
    if (strcmp(mode, "alloc") == 0) {
        start_timer(on_alloc);
        compute();
    } else if (strcmp(mode, "map") == 0) {
        start_timer(on_map);
        allocate(NULL);
    } else if (strcmp(mode, "fork") == 0) {
        wanted = 1000;
        start_timer(on_fork);
        allocate(NULL);
    } else if (strcmp(mode, "threads") == 0) {
        start_timer(on_map);
        allocate_in_threads();
    } else {
        return 2;
    }
    printf("%s: enough signals, %d wrong\n", mode, wrong);
    return wrong != 0;
}
