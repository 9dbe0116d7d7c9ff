/*
 * faults_memory.c: allocates until there is no memory left, copes with that, and goes on; for small limits.
 *
 * Says how many calls it made, failed ones and the failing mmap included; where memory ends differs from machine to machine.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST 100000
#define MUCH ((size_t)1 << 40)

static long calls, wrong;

static void say(const char *line)
{
    if (write(STDOUT_FILENO, line, strlen(line)) < 0)
        _exit(3);
}

/* A list through the blocks themselves, since there is no memory for another one. */
static void **exhaust(size_t size)
{
    void **list = NULL;
    for (int i = 0; i < MOST; i++) {
        errno = 0;
        void **block = malloc(size);
        calls++;
        if (!block) {
            wrong += errno != ENOMEM;
            return list;
        }
        memset(block, 7, size < 8192 ? size : 8192);
        *block = list;
        list = block;
    }
    say("there is no end of memory\n");
    return list;
}

static void free_list(void **list)
{
    while (list) {
        void **next = *list;
        free(list);
        calls++;
        list = next;
    }
}

static void resize(void)
{
    char *p = malloc(100), *bigger;
    calls++;
    if (!p)
        return; /* not even that */
    p[99] = 5;
    bigger = realloc(p, MUCH);
    if (bigger) {
        wrong++;
        p = bigger;
    }
    wrong += p[99] != 5;
    free(p);
    calls += 2;
}

static void ask_for_much(void)
{
    void *q = &q;
    wrong += calloc(MUCH, 1) != NULL;
    wrong += posix_memalign(&q, 64, MUCH) != ENOMEM || q != &q;
    void *map = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    wrong += map != MAP_FAILED || errno != ENOMEM;
    calls += 3;
}

int main(void)
{
    char line[64];
    for (int turn = 0; turn < 2; turn++) {
        free_list(exhaust(1 << 20));
        free_list(exhaust(200000));
        free_list(exhaust(30000));
        resize();
        ask_for_much();
    }
    say(wrong ? "wrong\n" : "coped with it\n");
    snprintf(line, sizeof line, "calls %ld\n", calls);
    say(line);
    return 0;
}
