/* sys.c: see sys.h. */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define CALL(n, ...) CALL_(n, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(n, a, b, c, d, e, f, ...)                                                                                \
    arch_syscall((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

/* --- files ------------------------------------------------------------------------------------------------------- */

int sys_open(const char *path, int flags, int mode)
{
    return (int)CALL(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

int sys_close(int fd)
{
    return (int)CALL(SYS_close, fd);
}

long sys_read(int fd, void *buffer, size_t size)
{
    return CALL(SYS_read, fd, buffer, size);
}

long sys_pread(int fd, void *buffer, size_t size, uint64_t offset)
{
    return CALL(SYS_pread64, fd, buffer, size, offset);
}

int sys_pwrite_all(int fd, const void *buffer, size_t size, uint64_t offset)
{
    for (const char *p = buffer; size > 0;) {
        long n = CALL(SYS_pwrite64, fd, p, size, offset);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

int sys_truncate(int fd, uint64_t size)
{
    return (int)CALL(SYS_ftruncate, fd, size);
}

int64_t sys_position(int fd)
{
    return CALL(SYS_lseek, fd, 0, SEEK_CUR);
}

bool sys_identify(int fd, struct sys_file *file)
{
    struct stat s = { .st_ino = 0 };
    if (CALL(SYS_fstat, fd, &s) < 0)
        return false;
    *file = (struct sys_file){ s.st_dev, s.st_ino, (uint64_t)s.st_size, S_ISREG(s.st_mode) };
    return true;
}

/* Where the file system cannot reserve (NFS, some FUSE), zeros are written: that takes the space as well. */
int sys_reserve(int fd, uint64_t offset, uint64_t size)
{
    static const char zeros[4096];
    int result;
    do
        result = (int)CALL(SYS_fallocate, fd, 0, offset, size);
    while (result == -EINTR);
    if (result != -EOPNOTSUPP && result != -ENOSYS)
        return result;
    for (uint64_t done = 0; done < size; done += sizeof zeros)
        if ((result = sys_pwrite_all(fd, zeros, sizeof zeros, offset + done)))
            return result;
    return 0;
}

int sys_make_dir(const char *path, int mode)
{
    return (int)CALL(SYS_mkdirat, AT_FDCWD, path, mode);
}

int sys_unlink(const char *path)
{
    return (int)CALL(SYS_unlinkat, AT_FDCWD, path, 0);
}

int sys_ioctl(int fd, unsigned long request, void *argument)
{
    return (int)CALL(SYS_ioctl, fd, request, argument);
}

long sys_read_link(const char *path, char *buffer, size_t size)
{
    long n = CALL(SYS_readlinkat, AT_FDCWD, path, buffer, size - 1);
    buffer[n > 0 ? n : 0] = '\0';
    return n;
}

/* --- files that are kept open ------------------------------------------------------------------------------------ */

const char *sys_single_threaded;

/* Whether a descriptor that belongs to nobody else could have been moved out of the way; if not, why try again. */
static bool cannot_raise;

static int duplicate_at(int fd, uint64_t least)
{
    return (int)CALL(SYS_fcntl, fd, F_DUPFD_CLOEXEC, least);
}

/*
 * Moves fd out of the target's way: to a number at or above its soft limit, which is raised for the moment of the call,
 * so that it can open as many files as ever; else, where the hard limit leaves no room, to a high one below. A
 * descriptor above the limit stays usable. The new number, or -errno with fd still open.
 */
static int raise_fd(int fd)
{
    enum { FIRST = 100, HIGH = 1000, HIGHEST = 1 << 20 }; /* the table of descriptors grows with the highest */
    struct rlimit64 was = { 0, 0 }, more;
    int high = -EMFILE;
    if (CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &was) == 0) {
        more = (struct rlimit64){ (was.rlim_cur < FIRST ? FIRST : was.rlim_cur) + 64, was.rlim_max };
        if (more.rlim_max < more.rlim_cur)
            more.rlim_max = more.rlim_cur; /* for the privileged only */
        if (was.rlim_cur < HIGHEST && CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, &more, 0) == 0) {
            high = duplicate_at(fd, was.rlim_cur < FIRST ? FIRST : was.rlim_cur);
            CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, &was, 0);
        }
    }
    if (high < 0)
        high = duplicate_at(fd, HIGH);
    if (high < 0)
        high = duplicate_at(fd, FIRST);
    if (high >= 0)
        sys_close(fd);
    cannot_raise = high < 0;
    return high;
}

int sys_pipe(int fd[2], int flags)
{
    int result = (int)CALL(SYS_pipe2, fd, flags | O_CLOEXEC);
    for (int end = 0; result == 0 && end < 2; end++) {
        int high = raise_fd(fd[end]);
        if (high >= 0)
            fd[end] = high;
    }
    return result;
}

static bool identify(int fd, uint64_t *device, uint64_t *inode)
{
    struct sys_file f;
    if (!sys_identify(fd, &f))
        return false;
    *device = f.device;
    *inode = f.inode;
    return true;
}

static bool is_file(const struct kept_file *file, int fd)
{
    uint64_t device, inode;
    return identify(fd, &device, &inode) && device == file->device && inode == file->inode;
}

int kept_get(struct kept_file *file)
{
    if (file->fd && is_file(file, file->fd))
        return file->fd;
    /* Where no high number can be had, a low one for a moment is no harm as long as there is one thread. */
    bool alone = sys_single_threaded && *sys_single_threaded;
    int fd = cannot_raise && !alone ? -EMFILE : sys_open(file->path, file->flags, 0);
    if (fd < 0)
        return fd;
    if (file->pinned && !is_file(file, fd)) {
        sys_close(fd);
        return -ENOENT;
    }
    identify(fd, &file->device, &file->inode);
    int high = raise_fd(fd);
    file->fd = high < 0 ? 0 : high;
    return high < 0 ? fd : high;
}

void kept_put(struct kept_file *file, int fd)
{
    if (fd != file->fd)
        sys_close(fd);
}

bool kept_adopt(struct kept_file *file, int fd)
{
    int high = raise_fd(fd);
    file->fd = high < 0 ? 0 : high;
    file->pinned = identify(high < 0 ? fd : high, &file->device, &file->inode);
    return high >= 0;
}

void kept_close(struct kept_file *file)
{
    if (file->fd && is_file(file, file->fd))
        sys_close(file->fd);
    file->fd = 0;
}

uint64_t sys_block_signals(void)
{
    uint64_t all = ~(uint64_t)0, before = 0;
    CALL(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all, 0, 0);
    return before;
}

void sys_unblock_signals(uint64_t before)
{
    CALL(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before, 0, 0);
}

/* The kernel looks at the set before it looks at what to do with it. */
bool sys_can_read(const void *word)
{
    return CALL(SYS_rt_sigprocmask, -1, word, 0, sizeof(uint64_t), 0, 0) != -EFAULT;
}

bool sys_on_signal_stack(void)
{
    stack_t now = { .ss_flags = 0 };
    return CALL(SYS_sigaltstack, 0, &now) == 0 && now.ss_flags & SS_ONSTACK;
}

/* --- processes and time ------------------------------------------------------------------------------------------ */

void sys_yield(void)
{
    CALL(SYS_sched_yield, 0);
}

int sys_pid(void)
{
    return (int)CALL(SYS_getpid, 0);
}

int sys_tid(void)
{
    return (int)CALL(SYS_gettid, 0);
}

int sys_ppid(void)
{
    return (int)CALL(SYS_getppid, 0);
}

int sys_uid(void)
{
    return (int)CALL(SYS_geteuid, 0);
}

bool sys_thread_alive(int pid, int tid)
{
    return CALL(SYS_tgkill, pid, tid, 0) != -ESRCH;
}

uint64_t sys_limit(int resource)
{
    struct rlimit64 limit = { UINT64_MAX, UINT64_MAX };
    if (CALL(SYS_prlimit64, 0, resource, 0, &limit) < 0)
        return UINT64_MAX;
    return limit.rlim_cur;
}

void sys_clock(int clock, struct timespec *now)
{
    *now = (struct timespec){ 0, 0 };
    CALL(SYS_clock_gettime, clock, now);
}

uint64_t sys_clock_ns(int clock)
{
    struct timespec now;
    sys_clock(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void sys_thread_name(char name[16])
{
    name[0] = '\0';
    CALL(SYS_prctl, PR_GET_NAME, name);
}

void sys_host_name(char *name, size_t size)
{
    struct utsname u;
    struct text t = { name, size, 0, false };
    name[0] = '\0';
    if (CALL(SYS_uname, &u) == 0)
        text_add(&t, u.nodename);
}

size_t sys_page_size(void)
{
    return getauxval(AT_PAGESZ);
}

/* A sandbox may forbid the call. Then the copy is made without its net: what is read here is there but for a race. */
bool sys_read_memory(const void *address, void *buffer, size_t size)
{
    struct iovec to = { buffer, size }, from = { (void *)(uintptr_t)address, size };
    long n = CALL(SYS_process_vm_readv, sys_pid(), &to, 1, &from, 1, 0);
    if (n == -ENOSYS || n == -EPERM)
        __builtin_memcpy(buffer, address, size);
    else if (n != (long)size)
        return false;
    return true;
}

/* --- memory of the tap itself ------------------------------------------------------------------------------------ */

/* What sys_map holds, so that the tap can account for itself. A range that finds no place is counted only. */
static struct {
    uint64_t bytes;
    struct {
        uintptr_t start;
        size_t size;
    } range[256];
} own;

static void *map(size_t size)
{
    long p = CALL(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p < 0 && p > -4096 ? NULL : (void *)p;
}

void *sys_map(size_t size)
{
    void *p = map(size);
    if (!p)
        return NULL;
    __atomic_fetch_add(&own.bytes, size, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < sizeof own.range / sizeof *own.range; i++) {
        uintptr_t free = 0;
        if (__atomic_compare_exchange_n(&own.range[i].start, &free, (uintptr_t)p, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            __atomic_store_n(&own.range[i].size, size, __ATOMIC_RELEASE);
            break;
        }
    }
    return p;
}

void sys_unmap(void *address, size_t size)
{
    for (unsigned i = 0; i < sizeof own.range / sizeof *own.range; i++)
        if (__atomic_load_n(&own.range[i].start, __ATOMIC_RELAXED) == (uintptr_t)address) {
            __atomic_store_n(&own.range[i].size, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&own.range[i].start, 0, __ATOMIC_RELEASE);
        }
    __atomic_fetch_sub(&own.bytes, size, __ATOMIC_RELAXED);
    CALL(SYS_munmap, address, size);
}

void *sys_map_file(int fd, uint64_t offset, size_t size, void *at)
{
    long p = CALL(SYS_mmap, at, size, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), fd, offset);
    return p < 0 && p > -4096 ? NULL : (void *)p;
}

void sys_unmap_file(void *address, size_t size)
{
    CALL(SYS_munmap, address, size);
}

void sys_map_over(void *address, size_t size)
{
    CALL(SYS_mmap, address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
         0);
}

void *sys_map_wiped(size_t size)
{
    void *p = sys_map(size);
    if (p && CALL(SYS_madvise, p, size, MADV_WIPEONFORK) < 0) {
        sys_unmap(p, size);
        return NULL;
    }
    return p;
}

bool sys_protect(void *address, size_t size, int prot)
{
    return CALL(SYS_mprotect, address, size, prot) == 0;
}

uint64_t sys_mapped_bytes(void)
{
    return __atomic_load_n(&own.bytes, __ATOMIC_RELAXED);
}

void sys_own_ranges(uint64_t *range, unsigned count)
{
    for (size_t i = 0; i < sizeof own.range / sizeof *own.range && i < count; i++) {
        uintptr_t start = __atomic_load_n(&own.range[i].start, __ATOMIC_ACQUIRE);
        size_t size = __atomic_load_n(&own.range[i].size, __ATOMIC_ACQUIRE);
        range[2 * i] = size ? start : 0;
        range[2 * i + 1] = size ? start + size : 0;
    }
}

uint64_t sys_resident_bytes(void)
{
    enum { PAGES = 256 };
    unsigned char there[PAGES] = { 0 };
    const size_t page_size = sys_page_size();
    uint64_t pages = 0;
    for (unsigned i = 0; i < sizeof own.range / sizeof *own.range; i++) {
        uintptr_t start = __atomic_load_n(&own.range[i].start, __ATOMIC_ACQUIRE);
        size_t size = __atomic_load_n(&own.range[i].size, __ATOMIC_ACQUIRE);
        for (size_t at = 0; start && at < size; at += page_size * PAGES) {
            size_t part = size - at < page_size * PAGES ? size - at : page_size * PAGES;
            if (CALL(SYS_mincore, start + at, part, there) < 0)
                break;
            for (size_t page = 0; page < (part + page_size - 1) / page_size; page++)
                pages += there[page] & 1;
        }
    }
    return pages * page_size;
}
