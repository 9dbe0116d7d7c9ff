/*
 * silence_threads.c: threads that come and go by the thousand, and threads with the smallest stack there is.
 */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 500
#define AT_ONCE 6

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */
static __thread char own[512];
static int done;

static void *briefly(void *number)
{
    char *p = malloc(100);
    memset(own, (int)(long)number, sizeof own);
    p = realloc(p, 4000);
    free(p);
    __atomic_fetch_add(&done, own[511] == (char)(long)number, __ATOMIC_RELAXED);
    return malloc(10);
}

static void come_and_go(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread[AT_ONCE];
        void *result;
        for (long i = 0; i < AT_ONCE; i++)
            pthread_create(&thread[i], NULL, briefly, (void *)i);
        for (int i = 0; i < AT_ONCE; i++) {
            pthread_join(thread[i], &result);
            free(result);
        }
    }
    printf("%d threads came and went\n", done);
}

/* All but one of the kinds of event that look something up, the child's first one included. */
static void *on_little(void *unused)
{
    int status = -1;
    void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(map, 4096);
    pid_t pid = fork();
    if (pid == 0) {
        free(kept = malloc(50));
        _exit(3);
    }
    waitpid(pid, &status, 0);
    briefly(unused);
    return (void *)(long)WEXITSTATUS(status);
}

static void live_on_little(void)
{
    int good = 0;
    for (int round = 0; round < 50; round++) {
        pthread_t thread;
        pthread_attr_t attributes;
        void *result = NULL;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
        pthread_create(&thread, &attributes, round % 5 ? briefly : on_little, NULL);
        pthread_join(thread, &result);
        good += round % 5 ? result != NULL : result == (void *)3;
    }
    printf("%d of 50 lived on the smallest stack\n", good);
}

/* A thread that ends without its destructors leaves what it had. */
static void *vanish(void *unused)
{
    (void)unused;
    free(kept = malloc(30));
    pthread_exit(NULL);
}

static void vanish_detached(void)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        pthread_create(&thread, &attributes, vanish, NULL);
    }
    puts("200 were let go");
}

int main(void)
{
    come_and_go();
    live_on_little();
    vanish_detached();
    return 0;
}
