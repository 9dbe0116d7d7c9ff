/*
 * generations.c: forked children that free what they did not allocate, and a program whose recording had a pause.
 *
 *      generations children        8 blocks are freed by a child, which allocates the same sizes again
 *      generations grandchildren   a block of 1,000,000 bytes is freed by the grandchild, one of 2,000,000 by nobody
 *      generations pause PAUSE RESUME   the commands are run around the allocation of 8 blocks, freed and replaced later
 */
#include <memtap/memtap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 8

static void *volatile block[BLOCKS];

static void allocate(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        block[i] = malloc(100 * (i + 1));
}

/* Each address comes back at once, from the thread's cache. */
static void replace(void)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        free(block[i]);
        block[i] = malloc(100 * (i + 1));
    }
}

static int in_child(void (*body)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    return waitpid(pid, &status, 0) == pid ? status : 1;
}

static void free_the_first(void)
{
    free(block[0]);
}

static void allocate_a_little(void)
{
    block[2] = malloc(10);
    if (in_child(free_the_first) != 0)
        _exit(1);
}

static int grandchildren(void)
{
    block[0] = malloc(1000000);
    block[1] = malloc(2000000);
    return in_child(allocate_a_little);
}

static int children(void)
{
    memtap_push_if_there("parent");
    allocate();
    return in_child(replace);
}

static int pause_between(const char *pause, const char *resume)
{
    free(malloc(5000)); /* the recording has begun */
    if (system(pause) != 0)
        return 1;
    allocate();
    if (system(resume) != 0)
        return 1;
    replace();
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "children") == 0)
        return children();
    if (argc == 2 && strcmp(argv[1], "grandchildren") == 0)
        return grandchildren();
    if (argc == 4 && strcmp(argv[1], "pause") == 0)
        return pause_between(argv[2], argv[3]);
    return 2;
}
