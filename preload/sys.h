/*
 * sys.h: what the tap needs from the kernel and from memory when libc may not be called. Everything here is safe in a
 * signal handler and in a forked child, takes no lock, allocates nothing and leaves errno alone.
 */
#ifndef PRELOAD_SYS_H
#define PRELOAD_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "arch.h"
#include "text.h"

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* For variables of the hot path: read directly, not through the table of what other objects may define. */
#define HIDDEN __attribute__((visibility("hidden")))

/* --- system calls: the result, or -errno ------------------------------------------------------------------------- */

int sys_open(const char *path, int flags, int mode); /* O_CLOEXEC is added */
int sys_close(int fd);
long sys_read(int fd, void *buffer, size_t size);
long sys_pread(int fd, void *buffer, size_t size, uint64_t offset);
int sys_pwrite_all(int fd, const void *buffer, size_t size, uint64_t offset); /* 0 or -errno; no partial success */
int sys_truncate(int fd, uint64_t size);
int64_t sys_position(int fd);                            /* where the next read begins; or -errno */
int sys_reserve(int fd, uint64_t offset, uint64_t size); /* backs a range of the file with disk space; 0 or -errno */
int sys_make_dir(const char *path, int mode);
int sys_unlink(const char *path);
int sys_ioctl(int fd, unsigned long request, void *argument);
long sys_read_link(const char *path, char *buffer, size_t size); /* NUL-terminates; length or -errno */
int sys_pipe(int fd[2], int flags);                              /* both ends at 100 or above where possible */
void sys_yield(void);
int sys_pid(void);
int sys_tid(void);
int sys_ppid(void);
int sys_uid(void);
bool sys_thread_alive(int pid, int tid);
uint64_t sys_limit(int resource); /* soft limit; UINT64_MAX if there is none */
void sys_clock(int clock, struct timespec *now);
uint64_t sys_clock_ns(int clock);
void sys_thread_name(char name[16]); /* of the calling thread */
void sys_host_name(char *name, size_t size);
size_t sys_page_size(void);
bool sys_can_read(const void *word);                                  /* 8 bytes of whatever kind of memory */
bool sys_read_memory(const void *address, void *buffer, size_t size); /* own memory that may not be there */

/* What a descriptor leads to. */
struct sys_file {
    uint64_t device, inode, size;
    bool regular;
};
bool sys_identify(int fd, struct sys_file *file);

/* --- files that are kept open, out of the target's way ------------------------------------------------------------ */

/*
 * A file with a descriptor of 100 or above, where one can be had: programs own the low ones, count on the lowest free
 * one, and close descriptors that they do not know. Zeroed but for path and flags at first.
 */
struct kept_file {
    const char *path;
    int flags;
    int fd; /* 0: none is kept */
    uint64_t device, inode;
    bool pinned; /* only this very file will do, not another one under the same name */
};

/* A descriptor of the file: the kept one if it still is that file, else a new one. Or -errno. */
int kept_get(struct kept_file *file);
void kept_put(struct kept_file *file, int fd); /* when done with what kept_get gave */
/* Takes over a fresh descriptor and pins its file. False: it could not be moved away, and is still open and low. */
bool kept_adopt(struct kept_file *file, int fd);
void kept_close(struct kept_file *file);

/* libc's word on whether there is only one thread; NULL: it does not say. */
extern const char *sys_single_threaded;

/* Keeps signal handlers of this thread out until sys_unblock_signals: they might leave by siglongjmp. */
uint64_t sys_block_signals(void);
void sys_unblock_signals(uint64_t before);

bool sys_on_signal_stack(void); /* whether the thread runs on its alternate signal stack now */

/* --- memory of the tap itself ------------------------------------------------------------------------------------ */

void *sys_map(size_t size);                                         /* private and zero; NULL if there is none */
void sys_unmap(void *address, size_t size);                         /* what sys_map gave */
void *sys_map_file(int fd, uint64_t offset, size_t size, void *at); /* shared; over `at` if not NULL; NULL on failure */
void sys_unmap_file(void *address, size_t size);                    /* what sys_map_file gave */
void sys_map_over(void *address, size_t size);                      /* private zero pages instead of what is there */
void *sys_map_wiped(size_t size); /* private, zero in a forked child; NULL if the kernel cannot (before 4.14) */
bool sys_protect(void *address, size_t size, int prot);
uint64_t sys_mapped_bytes(void);                      /* what sys_map holds now */
void sys_own_ranges(uint64_t *range, unsigned count); /* start and end of each of them; 0 and 0: none */
uint64_t sys_resident_bytes(void);                    /* how much of that is in memory */

#endif
