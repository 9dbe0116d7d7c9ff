/*
 * faults_count.c: makes a known number of heap calls and says how many.
 *
 *      faults_count ROUNDS [THREADS [HALT [PADDING]]]
 *
 * A round is a malloc, a calloc, a realloc and two frees, below a few frames whose number changes from round to round.
 * Before round HALT all threads wait, the first one says "halt" with the number of calls made so far and reads a word:
 * "on" goes on, "close" closes all descriptors before. PADDING only makes the command line longer. Output goes by
 * write() from the stack, so that the calls counted here are all that the program makes.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALLS_PER_ROUND 5
#define MOST_THREADS 1024
#define STACK (48 << 10) /* all of them together stay in libc's cache of stacks, which frees nothing then */

static long rounds, halt = -1;
static long threads = 1;
static pthread_barrier_t all_there, halted, resumed;
static volatile char sink;

static void say(const char *what, long number)
{
    char line[64];
    int size = snprintf(line, sizeof line, "%s %ld\n", what, number);
    if (write(STDOUT_FILENO, line, (size_t)size) != size)
        _exit(3);
}

static void fail(const char *what)
{
    say(what, -1);
    _exit(4);
}

/* pthread_create takes one block for each thread but the first: the vector of its thread-local storage. */
static long calls_after(long done)
{
    return done * threads * CALLS_PER_ROUND + threads - 1;
}

static void use_heap(long round)
{
    size_t size = 16 + (size_t)(round * 37 % 500);
    char *a = malloc(size), *b = calloc(2, size);
    if (!a || !b)
        fail("no memory");
    memset(a, (int)round, size);
    char *c = realloc(a, size * 3);
    if (!c || c[size - 1] != (char)round || b[2 * size - 1] != 0)
        fail("wrong memory");
    sink = c[0];
    free(b);
    free(c);
}

/* Different depths are different stacks, so definitions are written along with the events. */
static void __attribute__((noinline)) descend(long round, int depth)
{
    volatile char here[16] = { (char)depth };
    if (depth == 0)
        use_heap(round);
    else
        descend(round, depth - 1);
    sink = here[0];
}

static void wait_for_word(bool first)
{
    char word[16] = "";
    pthread_barrier_wait(&halted);
    if (first) {
        say("halt", calls_after(halt));
        if (read(STDIN_FILENO, word, sizeof word) > 0 && word[0] == 'c')
            closefrom(3);
    }
    pthread_barrier_wait(&resumed);
}

static void *work(void *first)
{
    pthread_barrier_wait(&all_there);
    for (long round = 0; round < rounds; round++) {
        if (round == halt)
            wait_for_word(first != NULL);
        descend(round, (int)(round % 29));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static pthread_t thread[MOST_THREADS];
    pthread_attr_t small;
    rounds = argc > 1 ? atol(argv[1]) : 1000;
    threads = argc > 2 ? atol(argv[2]) : 1;
    halt = argc > 3 ? atol(argv[3]) : -1;
    if (threads < 1 || threads > MOST_THREADS)
        return 2;
    pthread_barrier_init(&all_there, NULL, (unsigned)threads);
    pthread_barrier_init(&halted, NULL, (unsigned)threads);
    pthread_barrier_init(&resumed, NULL, (unsigned)threads);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    for (long i = 1; i < threads; i++)
        if (pthread_create(&thread[i], &small, work, NULL) != 0)
            fail("no thread");
    work(&rounds);
    for (long i = 1; i < threads; i++)
        pthread_join(thread[i], NULL);
    say("calls", calls_after(rounds));
    return 0;
}
