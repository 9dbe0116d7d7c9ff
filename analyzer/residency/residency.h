/*
 * residency.h: which bytes of a process are resident, by address. A snapshot is taken of a live process from outside,
 * without stopping it, and kept beside its trace (PID.mtap) in PID.pages, so that it can be asked for afterwards.
 *
 * Bytes are counted as the kernel counts them: the anonymous ones of all snapshots' runs are RssAnon, those of files
 * RssFile, and so on. Pages that are in page tables but in none of these counters (the zero page, [vvar], memory of
 * devices) are in no run. Swapped pages are those of VmSwap: shared memory that is swapped out is in no page table.
 */
#ifndef RESIDENCY_RESIDENCY_H
#define RESIDENCY_RESIDENCY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* --- a snapshot -------------------------------------------------------------------------------------------------- */

enum residency_kind {
    RESIDENCY_ANON,    /* private memory, also the copied pages of a private file mapping: RssAnon */
    RESIDENCY_FILE,    /* the page cache: RssFile */
    RESIDENCY_SHMEM,   /* shared memory, tmpfs: RssShmem */
    RESIDENCY_SWAPPED, /* VmSwap */
    RESIDENCY_HUGETLB, /* pages of the reserved pool: HugetlbPages, in no Rss */
    RESIDENCY_KINDS
};

struct residency_bytes {
    union {
        struct {
            uint64_t anon, file, shmem, swapped, hugetlb;
        };
        uint64_t of[RESIDENCY_KINDS];
    };
    uint64_t huge; /* of these bytes, those mapped by transparent huge pages */
};

/* How the pages were found. */
enum residency_method {
    RESIDENCY_BY_SCAN,    /* the ioctl PAGEMAP_SCAN (Linux 6.7): exact */
    RESIDENCY_BY_PAGEMAP, /* /proc/PID/pagemap: exact but for zero pages that a fork has made look alike */
    RESIDENCY_BY_SMAPS,   /* /proc/PID/smaps: sums only; within a mapping the bytes are taken to lie evenly */
    RESIDENCY_BY_STATUS,  /* /proc/PID/status: totals only */
};

/* What the kernel says of the whole process, bytes. */
struct residency_totals {
    uint64_t rss, rss_anon, rss_file, rss_shmem, swap, hugetlb;
    bool has_oom_kills;
    uint64_t oom_kills; /* of the process's control group, since it was made */
};

enum residency_backing {
    RESIDENCY_OF_ANON,    /* no file behind it */
    RESIDENCY_OF_FILE,    /* a file on a disk */
    RESIDENCY_OF_SHMEM,   /* tmpfs, memfd, shared anonymous memory */
    RESIDENCY_OF_HUGETLB, /* the pool of huge pages */
    RESIDENCY_OF_SPECIAL, /* a device, or the kernel's own pages */
};

/* One line of /proc/PID/maps. */
struct residency_vma {
    uint64_t start, end, offset, inode;
    uint32_t major, minor; /* device of the file */
    uint8_t prot;          /* PROT_READ, PROT_WRITE, PROT_EXEC */
    bool shared, deleted;
    enum residency_backing backing;
    const char *path;                /* "/usr/lib/libc.so.6", "[heap]", "[anon:arena]", ""; without " (deleted)" */
    struct residency_bytes resident; /* of the whole mapping */
    struct residency_bytes spread;   /* the part of it whose addresses are not known: an estimate is all there is */
};

/* Neighbouring pages of one kind. */
struct residency_run {
    uint64_t start, end;
    enum residency_kind kind : 8;
    bool huge;
};

struct residency_snapshot {
    uint64_t mono_ns; /* CLOCK_MONOTONIC when it was begun */
    uint64_t cost_ns; /* how long it took */
    enum residency_method method;
    struct residency_totals totals;
    struct residency_bytes found; /* the sum of all runs and estimates */
    struct residency_vma *vma;    /* by address */
    uint32_t vmas;
    struct residency_run *run; /* by address */
    uint32_t runs;
    bool has_spread; /* some mapping has an estimate */
    /* private */
    struct residency_bytes *before; /* before[i]: bytes of the runs below i */
    char *names;
};

/*
 * Takes a snapshot. NULL if the process is gone or may not be looked into; `e` says which. Takes about 0.5 ms,
 * and 11 ms for each GiB of small pages; the process runs on, at worst its mmap waits for a piece of the walk (0.7 ms).
 */
struct residency_snapshot *residency_take(pid_t pid, struct error *e);
void residency_free(struct residency_snapshot *s); /* NULL is fine */

/* How many processes of its control group the kernel has killed for want of memory. False if that is not known. */
bool residency_oom_kills(pid_t pid, uint64_t *kills);

/* The resident bytes of an address range; page parts are clipped to it. */
struct residency_bytes residency_of(const struct residency_snapshot *s, uint64_t start, uint64_t end);
/* The mapping that holds the address; NULL if none does. */
const struct residency_vma *residency_vma_at(const struct residency_snapshot *s, uint64_t address);

/* --- snapshots beside a trace ------------------------------------------------------------------------------------- */

/* The name of the file for the snapshots of a trace: "DIR/12.mtap" -> "DIR/12.pages". */
void residency_path(const char *trace, char *path, size_t size);

/* Appends a snapshot to the file that belongs to the trace, whoever else does; a half written one is taken back. */
bool residency_keep(const char *trace, const struct residency_snapshot *s, struct error *e);

struct residency;

/*
 * Opens such a file by its descriptor, which it takes over; `path` names it in messages. The bytes are not trusted: what
 * is damaged is left out. NULL if it is no such file at all.
 */
struct residency *residency_open_fd(int fd, const char *path, struct error *e);
struct residency *residency_open(const char *path, struct error *e);
void residency_close(struct residency *r); /* NULL is fine */

uint32_t residency_count(const struct residency *r);
uint64_t residency_mono_ns(const struct residency *r, uint32_t i); /* rises with i */
/* False if something in the file is damaged or cut off; `e` says what, and how many snapshots were read. */
bool residency_whole(const struct residency *r, struct error *e);
/* Number of the snapshot nearest to the time; residency_count() if there is none. */
uint32_t residency_nearest(const struct residency *r, uint64_t mono_ns);
/* Loads one, to be freed by the caller; NULL if it cannot be decoded. */
struct residency_snapshot *residency_load(const struct residency *r, uint32_t i);

/* --- when to take them -------------------------------------------------------------------------------------------- */

struct residency_watch;

/* Snapshots of the processes of a session, early ones first and then ever more seldom, and at marks. */
struct residency_watch *residency_watch_new(void);
/*
 * To be called often for each live process; `number` names it, small and the same each time. `trace` is the path of its
 * trace, `marks` how many marks it has had. Takes a snapshot and keeps it if it is time to, or at the next call that can
 * afford it: those at intervals take less than 0.5 % of the time of one processor, those at marks less than 5 %.
 */
void residency_watch_step(struct residency_watch *w, uint32_t number, pid_t pid, const char *trace, uint32_t marks);
void residency_watch_free(struct residency_watch *w);

#endif
