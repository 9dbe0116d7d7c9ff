/*
 * faults_descriptors.c: opens files until there is no descriptor left, allocates a lot meanwhile, closes them, goes on.
 *
 * Says how many it got, which the limit decides, and how many heap calls it made.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAIRS 50000
#define MOST 100000

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */
static int fd[MOST];

static void say(const char *what, long number)
{
    char line[64];
    int size = snprintf(line, sizeof line, "%s %ld\n", what, number);
    if (write(STDOUT_FILENO, line, (size_t)size) != size)
        _exit(3);
}

static void allocate(void)
{
    for (int i = 0; i < PAIRS; i++)
        free(kept = malloc(20 + (size_t)i % 900));
}

static int open_all(void)
{
    int count = 0;
    while (count < MOST && (fd[count] = open("/dev/null", O_RDONLY)) >= 0)
        count++;
    say("no more, error", errno);
    return count;
}

int main(void)
{
    allocate();
    for (int turn = 0; turn < 2; turn++) {
        int count = open_all(), in_order = 0;
        allocate();
        for (int i = 0; i < count; i++) {
            in_order += fd[i] == fd[0] + i;
            close(fd[i]);
        }
        say("first", fd[0]);
        say("opened", count);
        say("in order", in_order);
        allocate();
    }
    say("calls", 5 * 2 * PAIRS);
    return 0;
}
