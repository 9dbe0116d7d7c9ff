/*
 * count_live.so.c: an independent count of live heap and file-mapped bytes, to compare memtap's with: preloaded alone, it
 * adds up malloc_usable_size of what is alive and keeps the sum in the file named by COUNT_LIVE. No stacks, no trace.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int64_t before_start[2];
static int64_t *sum = before_start; /* [0] heap, [1] file mappings */

static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t), *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);
static int (*real_memalign)(void **, size_t, size_t);
static void *(*real_mmap)(void *, size_t, int, int, int, off_t);

static char early[65536]; /* for calloc while dlsym runs */
static size_t early_used;

static void bind(void)
{
    static int binding;
    if (real_free || binding)
        return;
    binding = 1;
    real_malloc = dlsym(RTLD_NEXT, "malloc");
    real_calloc = dlsym(RTLD_NEXT, "calloc");
    real_realloc = dlsym(RTLD_NEXT, "realloc");
    real_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    real_mmap = dlsym(RTLD_NEXT, "mmap");
    real_free = dlsym(RTLD_NEXT, "free");
}

static __attribute__((constructor)) void start(void)
{
    const char *path = getenv("COUNT_LIVE");
    bind();
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || ftruncate(fd, 4096) < 0)
        return;
    int64_t *shared = real_mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED)
        return;
    shared[0] += before_start[0];
    shared[1] += before_start[1];
    sum = shared;
}

static void *count(void *block)
{
    if (block)
        __atomic_fetch_add(&sum[0], (int64_t)malloc_usable_size(block), __ATOMIC_RELAXED);
    return block;
}

static void uncount(void *block)
{
    if (block)
        __atomic_fetch_sub(&sum[0], (int64_t)malloc_usable_size(block), __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
    bind();
    return count(real_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    bind();
    if (real_calloc)
        return count(real_calloc(n, size));
    void *block = early + early_used;
    early_used += (n * size + 15) & ~(size_t)15;
    return early_used <= sizeof early ? block : NULL;
}

void *realloc(void *old, size_t size)
{
    bind();
    int64_t was = old ? (int64_t)malloc_usable_size(old) : 0;
    void *block = real_realloc(old, size);
    if (block || !size)
        __atomic_fetch_sub(&sum[0], was, __ATOMIC_RELAXED);
    return count(block);
}

void free(void *block)
{
    if ((char *)block >= early && (char *)block < early + sizeof early)
        return;
    bind();
    uncount(block);
    real_free(block);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    bind();
    int failed = real_memalign(block, alignment, size);
    if (!failed)
        count(*block);
    return failed;
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    bind();
    void *address = real_mmap(at, size, prot, flags, fd, offset);
    if (address != MAP_FAILED && fd >= 0)
        __atomic_fetch_add(&sum[1], (int64_t)size, __ATOMIC_RELAXED);
    return address;
}
