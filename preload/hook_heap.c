/* hook_heap.c: malloc and its family. See event.h for what is recorded when. */
#include <errno.h>

#include "event.h"
#include "real.h"

#define CALLER ARCH_CALLER

void *hook_malloc(size_t size)
{
    void *block = real()->malloc(size);
    event_alloc(RECORD_CALL_MALLOC, block, size, CALLER);
    return block;
}

void *hook_calloc(size_t count, size_t size)
{
    void *block = real()->calloc(count, size);
    size_t total = block || !size || count < SIZE_MAX / size ? count * size : SIZE_MAX;
    event_alloc(RECORD_CALL_CALLOC, block, total, CALLER);
    return block;
}

void *hook_realloc(void *old, size_t size)
{
    struct event_before before = event_realloc_begin(old);
    void *block = real()->realloc(old, size);
    if (old)
        event_realloc(RECORD_CALL_REALLOC, before, old, block, size, CALLER);
    else
        event_alloc(RECORD_CALL_REALLOC, block, size, CALLER);
    return block;
}

void *hook_reallocarray(void *old, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        event_alloc(RECORD_CALL_REALLOCARRAY, NULL, SIZE_MAX, CALLER);
        return NULL;
    }
    struct event_before before = event_realloc_begin(old);
    void *block = real()->realloc(old, total);
    if (old)
        event_realloc(RECORD_CALL_REALLOCARRAY, before, old, block, total, CALLER);
    else
        event_alloc(RECORD_CALL_REALLOCARRAY, block, total, CALLER);
    return block;
}

void hook_free(void *block)
{
    if (block)
        event_free(block);
    real()->free(block);
}

void hook_cfree(void *block)
{
    if (block)
        event_free(block);
    real()->free(block);
}

/* Where libc has no free_sized, free does all that the standard asks of it. */
void hook_free_sized(void *block, size_t size)
{
    if (block)
        event_free(block);
    if (real()->free_sized)
        real()->free_sized(block, size);
    else
        real()->free(block);
}

void hook_free_aligned_sized(void *block, size_t alignment, size_t size)
{
    if (block)
        event_free(block);
    if (real()->free_aligned_sized)
        real()->free_aligned_sized(block, alignment, size);
    else
        real()->free(block);
}

void *hook_memalign(size_t alignment, size_t size)
{
    void *block = real()->memalign(alignment, size);
    event_alloc(RECORD_CALL_MEMALIGN, block, size, CALLER);
    return block;
}

int hook_posix_memalign(void **block, size_t alignment, size_t size)
{
    int failed = real()->posix_memalign(block, alignment, size);
    event_alloc(RECORD_CALL_POSIX_MEMALIGN, failed ? NULL : *block, size, CALLER);
    return failed;
}

void *hook_aligned_alloc(size_t alignment, size_t size)
{
    void *block = real()->aligned_alloc(alignment, size);
    event_alloc(RECORD_CALL_ALIGNED_ALLOC, block, size, CALLER);
    return block;
}

void *hook_valloc(size_t size)
{
    void *block = real()->valloc(size);
    event_alloc(RECORD_CALL_VALLOC, block, size, CALLER);
    return block;
}

void *hook_pvalloc(size_t size)
{
    void *block = real()->pvalloc(size);
    event_alloc(RECORD_CALL_PVALLOC, block, size, CALLER);
    return block;
}

int hook_malloc_trim(size_t pad)
{
    uint64_t before = event_stamp();
    int released = real()->malloc_trim(pad);
    event_trim(before, pad, released);
    return released;
}
