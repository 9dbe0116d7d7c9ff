/*
 * books.c: switches glibc's mtrace on for a program that knows nothing of it, behind the tap, and marks in the trace
 * where the two books begin and end. Preload in this order: libmemtap.so books.so libc_malloc_debug.so.0.
 *
 * libc_malloc_debug.so exports only old, hidden symbol versions, which neither dlsym nor the tap choose: the functions
 * here ask for those versions by name and pass the calls on.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <mcheck.h>
#include <memtap/memtap.h>
#include <stdlib.h>

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*memalign)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
} debug;

static void bind(void)
{
#define BIND(name, version) debug.name = (__typeof__(debug.name))dlvsym(RTLD_NEXT, #name, version)
    BIND(calloc, "GLIBC_2.2.5");
    BIND(realloc, "GLIBC_2.2.5");
    BIND(free, "GLIBC_2.2.5");
    BIND(memalign, "GLIBC_2.2.5");
    BIND(posix_memalign, "GLIBC_2.2.5");
    BIND(aligned_alloc, "GLIBC_2.16");
    BIND(valloc, "GLIBC_2.2.5");
    BIND(pvalloc, "GLIBC_2.2.5");
    BIND(malloc, "GLIBC_2.2.5");
#undef BIND
}

/* The loader allocates before any constructor has run. */
#define PASS(name, arguments) (debug.malloc ? (void)0 : bind(), debug.name arguments)

void *malloc(size_t size)
{
    return PASS(malloc, (size));
}

void *calloc(size_t count, size_t size)
{
    return PASS(calloc, (count, size));
}

void *realloc(void *block, size_t size)
{
    return PASS(realloc, (block, size));
}

void free(void *block)
{
    PASS(free, (block));
}

void *memalign(size_t alignment, size_t size)
{
    return PASS(memalign, (alignment, size));
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    return PASS(posix_memalign, (block, alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return PASS(aligned_alloc, (alignment, size));
}

void *valloc(size_t size)
{
    return PASS(valloc, (size));
}

void *pvalloc(size_t size)
{
    return PASS(pvalloc, (size));
}

static void __attribute__((constructor)) open_books(void)
{
    mtrace();
    memtap_mark("books open", 0);
}

static void __attribute__((destructor)) close_books(void)
{
    memtap_mark("books closed", 0);
    muntrace();
}
