/*
 * every_kind.c: makes the tap write at least one record of every kind that a program can cause, always the same ones in
 * the same order; the golden traces are recordings of it.
 */
#include <malloc.h>
#include <memtap/memtap.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES ((size_t)64 << 10)

static void *kept[32]; /* blocks that nobody frees */
static unsigned count;

static void keep(void *block)
{
    kept[count++] = block;
}

static void use_the_heap(void)
{
    void *p = NULL;
    keep(malloc(100));
    keep(calloc(10, 20));
    keep(realloc(malloc(300), 3000));
    keep(reallocarray(NULL, 7, 70));
    keep(memalign(64, 400));
    keep(aligned_alloc(128, 512));
    keep(valloc(600));
    keep(pvalloc(700));
    if (posix_memalign(&p, 256, 800) == 0)
        keep(p);
    keep(malloc(900));
    free(kept[--count]);
    keep(malloc(SIZE_MAX / 4)); /* fails */
    malloc_trim(0);
}

static void use_address_space(void)
{
    char *p = mmap(NULL, 4 * PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p = mremap(p, 4 * PAGES, 8 * PAGES, MREMAP_MAYMOVE);
    madvise(p, PAGES, MADV_DONTNEED);
    mlock(p, 4096);
    munmap(p + 6 * PAGES, 2 * PAGES);
    void *end = sbrk((intptr_t)PAGES);
    if (brk(end) != 0)
        puts("brk failed");
    int id = shmget(IPC_PRIVATE, PAGES, IPC_CREAT | 0600);
    void *shared = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
    if (shared != (void *)-1)
        shmdt(shared);
    if (id >= 0)
        shmctl(id, IPC_RMID, NULL);
}

static void *in_a_thread(void *unused)
{
    keep(malloc(1100));
    return unused;
}

static void say_what_it_is_for(void)
{
    memtap_push_if_there("golden/pushed");
    keep(malloc(1200));
    memtap_pop_if_there();
    keep(malloc(1300));
    memtap_tag_if_there(kept[count - 1], "golden/tagged");
    memtap_mark_if_there("half", 0.5);
    for (uint64_t i = 0; i < 3; i++) {
        memtap_request_begin_if_there(i);
        keep(malloc(1400));
        memtap_request_end_if_there(i, 10);
    }
}

int main(void)
{
    pthread_t thread;
    use_the_heap();
    use_address_space();
    if (pthread_create(&thread, NULL, in_a_thread, NULL) == 0)
        pthread_join(thread, NULL);
    say_what_it_is_for();
    pid_t child = fork();
    if (child == 0) {
        free(kept[0]);
        keep(malloc(1500));
        _exit(3);
    }
    waitpid(child, NULL, 0);
    return 0;
}
