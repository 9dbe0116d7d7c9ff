/*
 * unwind_libunwind.c: the reference unwinder, libunwind's unw_backtrace, found with dlopen.
 *
 * It is not a DT_NEEDED, because libunwind exports backtrace and _Unwind_* and would replace the target's own. Its
 * calls into libc are redirected: a library that works inside malloc must not take the loader's lock (dl_iterate_phdr,
 * __tls_get_addr), leave descriptors behind (pipe2, open), allocate where the target does, or keep a mutex in a forked
 * child.
 */
#include "unwind.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include "modules.h"
#include "real.h"

#define LIBRARY "libunwind.so"

static struct {
    int (*backtrace)(void **, int);
    void (*flush_cache)(void *space, uintptr_t low, uintptr_t high);
    void **local_space;
} libunwind;

/* --- what libunwind gets instead of libc -------------------------------------------------------------------------- */

/* One lock for all of libunwind's mutexes. It takes them with signals blocked, but not one at a time. */
static struct {
    uint32_t owner, depth;
} lock;

static int lock_take(pthread_mutex_t *unused)
{
    (void)unused;
    uint32_t self = (uint32_t)sys_tid(), nobody = 0;
    if (__atomic_load_n(&lock.owner, __ATOMIC_RELAXED) != self)
        while (!__atomic_compare_exchange_n(&lock.owner, &nobody, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            nobody = 0;
            sys_yield();
        }
    lock.depth++;
    return 0;
}

static int lock_release(pthread_mutex_t *unused)
{
    (void)unused;
    if (--lock.depth == 0)
        __atomic_store_n(&lock.owner, 0, __ATOMIC_RELEASE);
    return 0;
}

/* It checks addresses by writing them to a pipe. */
static int hidden_pipe(int fd[2], int flags)
{
    return sys_pipe(fd, flags);
}

/* It would look for .debug_frame sections in files. */
static int no_open(const char *path, int flags, ...)
{
    (void)path;
    (void)flags;
    errno = ENOENT;
    return -1;
}

static void *own_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    (void)at, (void)prot, (void)flags, (void)offset;
    void *p = fd < 0 ? sys_map(size) : NULL;
    return p ? p : MAP_FAILED;
}

static int own_munmap(void *address, size_t size)
{
    sys_unmap(address, size);
    return 0;
}

/* It allocates next to nothing, once: a page each is affordable, and never freed. */
static void *own_malloc(size_t size)
{
    return sys_map((size + 4095) & ~(size_t)4095);
}

static void own_free(void *block)
{
    (void)block;
}

/*
 * A library that came by dlopen finds its thread-local variables through the loader, which allocates them on first use,
 * inside the very malloc that is being recorded. They are a few zeroed bytes (16 in 1.6.2): here they are ours.
 */
struct tls_index {
    unsigned long module, offset;
};
static __thread char own_tls[64] __attribute__((tls_model("initial-exec"), aligned(16)));

static void *tls_address(const struct tls_index *index)
{
    return own_tls + index->offset % sizeof own_tls;
}

/* It asks for the module of an address, which stands first in its data (struct dwarf_callback_data, all of 1.x). */
static int iterate(int (*visit)(struct dl_phdr_info *, size_t, void *), void *data)
{
    return modules_iterate(*(const uintptr_t *)data, visit, data);
}

static void redirect_calls(void)
{
    static const struct {
        const char *name;
        void *replacement;
    } calls[] = {
        { "__tls_get_addr", (void *)tls_address },
        { "dl_iterate_phdr", (void *)iterate },
        { "pthread_mutex_lock", (void *)lock_take },
        { "pthread_mutex_unlock", (void *)lock_release },
        { "pipe2", (void *)hidden_pipe },
        { "open", (void *)no_open },
        { "mmap", (void *)own_mmap },
        { "munmap", (void *)own_munmap },
        { "malloc", (void *)own_malloc },
        { "free", (void *)own_free },
    };
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        real_rebind(LIBRARY, calls[i].name, calls[i].replacement);
}

/* --- the member --------------------------------------------------------------------------------------------------- */

static bool start(void)
{
    void *(*open)(const char *, int) = (void *(*)(const char *, int))real_next("dlopen");
    void *pc[4];
    if (!open || !open("libunwind.so.8", RTLD_NOW | RTLD_LOCAL))
        return false;
    libunwind.backtrace = (int (*)(void **, int))real_in(LIBRARY, "unw_backtrace");
    libunwind.flush_cache = (void (*)(void *, uintptr_t, uintptr_t))real_in(LIBRARY, "_U" ARCH_NAME "_flush_cache");
    libunwind.local_space = real_in(LIBRARY, "_UL" ARCH_NAME "_local_addr_space");
    if (!libunwind.backtrace)
        return false;
    redirect_calls();
    return libunwind.backtrace(pc, 4) > 0; /* its initialisation, while there is one thread */
}

static unsigned walk(void **pc, unsigned most)
{
    int saved = errno;
    int count = libunwind.backtrace(pc, (int)most);
    errno = saved;
    return count > 0 ? (unsigned)count : 0;
}

static void code_gone(uint64_t from, uint64_t to)
{
    if (libunwind.flush_cache && libunwind.local_space)
        libunwind.flush_cache(*libunwind.local_space, from, to);
}

static void forked(void)
{
    lock.owner = lock.depth = 0;
    code_gone(0, 0); /* another thread may have been at work on the cache: all of it */
}

const struct unwinder unwind_libunwind = {
    .name = "libunwind",
    .start = start,
    .walk = walk,
    .code_gone = code_gone,
    .forked = forked,
};
