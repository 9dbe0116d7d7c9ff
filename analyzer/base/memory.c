/* memory.c: see memory.h. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void (*on_failure)(size_t wanted);

void memory_on_failure(void (*handler)(size_t wanted))
{
    on_failure = handler;
}

static void *check(void *block, size_t size)
{
    if (!block && size) {
        if (on_failure)
            on_failure(size);
        abort();
    }
    return block;
}

void *memory_take(size_t size)
{
    return check(calloc(1, size ? size : 1), size);
}

void *memory_resize(void *block, size_t size)
{
    return check(realloc(block, size ? size : 1), size);
}

void *memory_take_pages(size_t size)
{
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block != MAP_FAILED)
        madvise(block, size, MADV_HUGEPAGE); /* it may not have them: then not */
    return check(block == MAP_FAILED ? NULL : block, size);
}

void memory_free_pages(void *block, size_t size)
{
    if (block)
        munmap(block, size);
}

char *memory_copy(const char *text, size_t size)
{
    char *copy = memory_take(size + 1);
    memcpy(copy, text, size);
    return copy;
}

void array_sort(void *array, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    if (count > 1)
        qsort(array, count, size, compare);
}
