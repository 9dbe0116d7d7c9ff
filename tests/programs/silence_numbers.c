/*
 * silence_numbers.c: one thread opens a file again and again, and so always gets the lowest free number; the others
 * allocate, and open nothing.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */
static volatile int over;

static void *allocate(void *unused)
{
    (void)unused;
    while (!over)
        free(kept = malloc(100));
    return NULL;
}

int main(void)
{
    pthread_t thread[2];
    int first = -1, other = 0, failed = 0;
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, allocate, NULL);
    for (int i = 0; i < 200000; i++) {
        int fd = open("/dev/null", O_RDONLY);
        if (first < 0)
            first = fd;
        failed += fd < 0;
        other += fd != first;
        close(fd);
    }
    over = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    printf("number %d, %d other numbers, %d failures\n", first, other, failed);
    return 0;
}
