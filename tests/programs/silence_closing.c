/*
 * silence_closing.c: programs that close every descriptor, the ones they do not know of included, and then go on.
 *
 *      silence_closing closefrom|close_range|each|listed|spread FILE
 *
 * Afterwards the numbers they get for new files must be the usual ones, and what they write to them must be what is in
 * them: nobody else may still believe that one of these numbers is his. `spread` puts files of its own on all high
 * numbers as well.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 20
#define FIRST_HIGH 100
#define LAST_HIGH 1012

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */
static const char *path;

/* Enough events that whoever records them must write several times. */
static void *allocate(void *unused)
{
    (void)unused;
    for (int i = 0; i < 30000; i++)
        free(kept = malloc(24 + (size_t)i % 700));
    void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, 65536);
    return NULL;
}

static void allocate_everywhere(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, allocate, NULL);
    allocate(NULL);
    pthread_join(thread, NULL);
}

/* --- ways to close ----------------------------------------------------------------------------------------------- */

static void close_each(void)
{
    for (int fd = 3; fd < 4096; fd++)
        close(fd);
}

static void close_listed(void)
{
    int listed[5000], count = 0;
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(d)) && count < 5000;)
        if (atoi(entry->d_name) > 2 && atoi(entry->d_name) != dirfd(d))
            listed[count++] = atoi(entry->d_name);
    closedir(d);
    while (count > 0)
        close(listed[--count]);
}

static void close_all(const char *way)
{
    if (strcmp(way, "close_range") == 0)
        close_range(3, ~0u, 0);
    else if (strcmp(way, "each") == 0)
        close_each();
    else if (strcmp(way, "listed") == 0)
        close_listed();
    else
        closefrom(3);
}

/* --- and what is possible afterwards ----------------------------------------------------------------------------- */

static void write_number(int fd)
{
    char text[16];
    int size = snprintf(text, sizeof text, "<%d>", fd);
    if (write(fd, text, (size_t)size) != size)
        printf("cannot write to %d\n", fd);
}

static void print_file(void)
{
    char text[20000];
    int fd = open(path, O_RDONLY);
    long size = read(fd, text, sizeof text);
    printf("opened at %d, %ld bytes: %.*s\n", fd, size, (int)size, text);
    close(fd);
}

static void use_low_numbers(void)
{
    int fd[FILES];
    for (int i = 0; i < FILES; i++) {
        fd[i] = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
        write_number(fd[i]);
        allocate(NULL);
    }
    for (int i = 0; i < FILES; i++)
        close(fd[i]);
}

static void use_high_numbers(void)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    for (int high = FIRST_HIGH; high <= LAST_HIGH; high++)
        if (dup2(fd, high) != high)
            printf("no %d\n", high);
    allocate_everywhere();
    for (int high = FIRST_HIGH; high <= LAST_HIGH; high++)
        write_number(high);
    struct stat s;
    fstat(fd, &s);
    printf("%ld bytes\n", (long)s.st_size);
    closefrom(3);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    path = argv[2];
    allocate(NULL);
    for (int round = 0; round < 3; round++) {
        close_all(argv[1]);
        allocate_everywhere();
        if (strcmp(argv[1], "spread") == 0)
            use_high_numbers();
        else
            use_low_numbers();
    }
    print_file();
    return 0;
}
