/* hook_map.c: the address space. Only calls of the target and its libraries come here; libc's own are internal. */
#include <stdarg.h>
#include <sys/syscall.h>

#include "event.h"
#include "real.h"

#define CALLER ARCH_CALLER

static void record_map(uint64_t before, void *address, size_t size, int prot, int flags, int fd, uint64_t offset,
                       const void *caller)
{
    if (address == MAP_FAILED)
        event_map_failed(RECORD_CALL_MMAP, size, caller);
    else
        event_map(RECORD_CALL_MMAP, before, address, size, prot, flags, flags & MAP_ANONYMOUS ? -1 : fd, offset,
                  caller);
}

void *hook_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    uint64_t before = event_stamp();
    void *address = real()->mmap(at, size, prot, flags, fd, offset);
    record_map(before, address, size, prot, flags, fd, (uint64_t)offset, CALLER);
    return address;
}

void *hook_mmap64(void *at, size_t size, int prot, int flags, int fd, off64_t offset)
{
    uint64_t before = event_stamp();
    void *address = real()->mmap64(at, size, prot, flags, fd, offset);
    record_map(before, address, size, prot, flags, fd, (uint64_t)offset, CALLER);
    return address;
}

int hook_munmap(void *address, size_t size)
{
    uint64_t before = event_stamp();
    int failed = real()->munmap(address, size);
    if (!failed)
        event_unmap(RECORD_CALL_MUNMAP, before, address, size);
    return failed;
}

void *hook_mremap(void *old, size_t old_size, size_t size, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    void *at = flags & MREMAP_FIXED ? va_arg(more, void *) : NULL;
    va_end(more);
    uint64_t before = event_stamp();
    void *address = real()->mremap(old, old_size, size, flags, at);
    if (address != MAP_FAILED)
        event_remap(before, old, old_size, address, size, flags, CALLER);
    else
        event_map_failed(RECORD_CALL_MREMAP, size, CALLER);
    return address;
}

/* The break as the kernel sees it, which sbrk(0) reports as well. */
static void *current_break(void)
{
    return (void *)arch_syscall(SYS_brk, 0, 0, 0, 0, 0, 0);
}

int hook_brk(void *end)
{
    uint64_t before = event_stamp();
    void *old = current_break();
    int failed = real()->brk(end);
    if (!failed)
        event_break(RECORD_CALL_BRK, before, old, end, CALLER);
    else
        event_map_failed(RECORD_CALL_BRK, (size_t)((char *)end - (char *)old), CALLER);
    return failed;
}

void *hook_sbrk(intptr_t increment)
{
    uint64_t before = event_stamp();
    void *old = real()->sbrk(increment);
    if (old == (void *)-1)
        event_map_failed(RECORD_CALL_SBRK, (size_t)increment, CALLER);
    else if (increment != 0)
        event_break(RECORD_CALL_SBRK, before, old, (char *)old + increment, CALLER);
    return old;
}

int hook_madvise(void *address, size_t size, int advice)
{
    int failed = real()->madvise(address, size, advice);
    if (!failed)
        event_advise(address, size, advice);
    return failed;
}

int hook_mlock(const void *address, size_t size)
{
    int failed = real()->mlock(address, size);
    if (!failed)
        event_lock(address, size);
    return failed;
}

static size_t segment_size(int id)
{
    struct shmid_ds segment = { .shm_segsz = 0 };
    return arch_syscall(SYS_shmctl, id, IPC_STAT, (long)&segment, 0, 0, 0) < 0 ? 0 : segment.shm_segsz;
}

void *hook_shmat(int id, const void *at, int flags)
{
    uint64_t before = event_stamp();
    void *address = real()->shmat(id, at, flags);
    if (address == (void *)-1)
        event_map_failed(RECORD_CALL_SHMAT, segment_size(id), CALLER);
    else
        event_map(RECORD_CALL_SHMAT, before, address, segment_size(id), flags & SHM_RDONLY ? PROT_READ : PROT_WRITE,
                  MAP_SHARED, -1, 0, CALLER);
    return address;
}

/* The kernel detaches the whole segment that was attached there; replay knows how long it is. */
int hook_shmdt(const void *address)
{
    uint64_t before = event_stamp();
    int failed = real()->shmdt(address);
    if (!failed)
        event_unmap(RECORD_CALL_SHMDT, before, address, 0);
    return failed;
}
