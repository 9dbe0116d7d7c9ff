/*
 * silence_daemon.c: becomes a daemon by the book: fork, setsid, fork, chdir to /, umask, every descriptor closed and
 * the first three opened again on /dev/null; then works in threads, and writes what it saw to a file.
 *
 *      silence_daemon DIRECTORY
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIFELINE 63 /* held open until the daemon is done, so that the one who started it can wait */

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */
static void *allocate(void *unused)
{
    (void)unused;
    for (int i = 0; i < 5000; i++)
        free(kept = malloc((size_t)i % 900 + 1));
    return NULL;
}

static int count_low_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 100; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void detach(void)
{
    if (fork() > 0)
        _exit(0);
    setsid();
    if (fork() > 0)
        _exit(0);
    if (chdir("/") != 0)
        _exit(3);
    umask(027);
    for (int fd = 0; fd < 2000; fd++)
        if (fd != LIFELINE)
            close(fd);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 1);
    dup2(null, 2);
}

static void work(const char *directory)
{
    char here[PATH_MAX] = "?", path[PATH_MAX];
    pthread_t thread;
    pthread_create(&thread, NULL, allocate, NULL);
    allocate(NULL);
    pthread_join(thread, NULL);
    snprintf(path, sizeof path, "%s/report", directory);
    FILE *out = fopen(path, "w");
    if (!out || !getcwd(here, sizeof here))
        _exit(4);
    fprintf(out, "in %s, session leader %s, %d descriptors, file at %d\n", here, getsid(0) == getpid() ? "yes" : "no",
            count_low_descriptors(), fileno(out));
    fclose(out);
}

int main(int argc, char **argv)
{
    int lifeline[2];
    char c;
    if (argc != 2 || pipe(lifeline) != 0 || dup2(lifeline[1], LIFELINE) < 0)
        return 2;
    close(lifeline[1]);
    allocate(NULL);
    if (fork() == 0) {
        close(lifeline[0]);
        detach();
        work(argv[1]);
        return 0;
    }
    close(LIFELINE);
    printf("the daemon is done: %ld\n", (long)read(lifeline[0], &c, 1));
    return 0;
}
