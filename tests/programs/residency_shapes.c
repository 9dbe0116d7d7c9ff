/*
 * residency_shapes.c: memory of every kind, each page of it known to be resident or not. Says where it is ("range NAME
 * START BYTES KIND=BYTES..."), then "ready", and does what it is told, a word a line, with "done" after each:
 *
 *      grow        64 more pages of the range "growing" are touched
 *      mark        memtap_mark("told")
 *      exec        becomes the same program anew
 *      settle      nothing
 */
#include <fcntl.h>
#include <memtap/memtap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 512
#define STEP 64

static size_t page;

static char *map(int flags, int fd)
{
    char *p = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (p == MAP_FAILED)
        abort();
    if (flags & MAP_ANONYMOUS)
        madvise(p, PAGES * page, MADV_NOHUGEPAGE);
    return p;
}

static char *touch(char *p, int first, int count, int step)
{
    for (int i = first; i < first + count; i += step)
        p[(size_t)i * page] = 1;
    return p;
}

static char *look(char *p)
{
    for (int i = 0; i < PAGES; i++)
        (void)*(volatile char *)&p[(size_t)i * page];
    return p;
}

static void say(const char *name, const char *start, int anon, int file, int shmem)
{
    printf("range %s %p %zu anon=%zu file=%zu shmem=%zu\n", name, (const void *)start, PAGES * page,
           (size_t)anon * page, (size_t)file * page, (size_t)shmem * page);
}

static int make_file(void)
{
    char *block = calloc(PAGES, page), name[] = "/var/tmp/residency-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0 || write(fd, block, PAGES * page) != (ssize_t)(PAGES * page))
        abort();
    unlink(name);
    free(block);
    return fd;
}

int main(int argc, char **argv)
{
    char word[32];
    int grown = 0;
    page = (size_t)sysconf(_SC_PAGESIZE);
    int file = make_file();
    setvbuf(stdout, NULL, _IOLBF, 4096);
    say("touched", touch(map(MAP_PRIVATE | MAP_ANONYMOUS, -1), 0, PAGES, 1), PAGES, 0, 0);
    say("untouched", map(MAP_PRIVATE | MAP_ANONYMOUS, -1), 0, 0, 0);
    say("every-second", touch(map(MAP_PRIVATE | MAP_ANONYMOUS, -1), 0, PAGES, 2), PAGES / 2, 0, 0);
    say("file", look(map(MAP_SHARED, file)), 0, PAGES, 0);
    say("copied", look(touch(map(MAP_PRIVATE, file), 0, 100, 1)), 100, PAGES - 100, 0);
    say("shared", touch(map(MAP_SHARED | MAP_ANONYMOUS, -1), 0, 50, 1), 0, 0, 50);
    say("zero", look(map(MAP_PRIVATE | MAP_ANONYMOUS, -1)), 0, 0, 0);
    char *freed = touch(map(MAP_PRIVATE | MAP_ANONYMOUS, -1), 0, PAGES, 1);
    madvise(freed, 200 * page, MADV_DONTNEED);
    say("freed", freed, PAGES - 200, 0, 0);
    char *growing = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    say("growing", growing, 0, 0, 0);
    puts("ready");
    while (fgets(word, sizeof word, stdin)) {
        if (strcmp(word, "grow\n") == 0) {
            touch(growing, STEP * grown++ % PAGES, STEP, 1);
        } else if (strcmp(word, "mark\n") == 0) {
            memtap_mark("told", 0);
        } else if (strcmp(word, "exec\n") == 0) {
            execv("/proc/self/exe", argv);
            return argc;
        }
        puts("done");
    }
    return 0;
}
