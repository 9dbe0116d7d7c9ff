/* pages.c: the resident pages of a live process. See inside.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "residency/inside.h"

/* include/uapi/linux/fs.h of Linux 6.7, which older headers do not have. */
struct scan_region {
    uint64_t start, end, categories;
};
struct scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN _IOWR('f', 16, struct scan_arg)

enum {
    IS_FILE = 1 << 2,
    IS_PRESENT = 1 << 3,
    IS_SWAPPED = 1 << 4,
    IS_ZERO = 1 << 5,
    IS_HUGE = 1 << 6,
    IS_GUARD = 1 << 8, /* from Linux 6.15 on; looks like a swapped page, and is none */
};

#define AT_ONCE 16384u /* pages found by one call, 64 MiB: so long the process's mmap may have to wait */
#define REGIONS 1024u
#define ENTRIES 8192u
#define LARGEST_READ (1ull << 36) /* no pagemap of a larger mapping is read: it would be most of it empty */

/* How the kernel counts such a page; false if it does not. */
static bool count_as(uint64_t categories, const struct residency_vma *v, enum residency_kind *kind)
{
    if (categories & (IS_ZERO | IS_GUARD))
        return false;
    if (v && v->backing == RESIDENCY_OF_HUGETLB)
        *kind = RESIDENCY_HUGETLB;
    else if (categories & IS_FILE)
        *kind = v && v->backing == RESIDENCY_OF_SHMEM ? RESIDENCY_SHMEM : RESIDENCY_FILE;
    else if (categories & IS_SWAPPED)
        *kind = RESIDENCY_SWAPPED;
    else if (v && (v->shared || v->backing == RESIDENCY_OF_SPECIAL))
        return false; /* memory of a device, or the kernel's: no page of it belongs to anybody */
    else
        *kind = RESIDENCY_ANON;
    return true;
}

static void add_pages(struct builder *b, struct residency_vma *v, uint64_t start, uint64_t end, uint64_t categories)
{
    enum residency_kind kind;
    bool huge = categories & IS_HUGE && (!v || v->backing != RESIDENCY_OF_HUGETLB);
    if (count_as(categories, v, &kind) && !builder_run(b, start, end, kind, huge) && v)
        v->spread.of[kind] += end - start;
}

/* A region may reach over several mappings. `at` is the first one that can matter, and moves on. */
static void add_region(struct builder *b, const struct scan_region *r, uint32_t *at)
{
    const struct residency_snapshot *s = b->s;
    for (uint64_t start = r->start; start < r->end;) {
        while (*at < s->vmas && s->vma[*at].end <= start)
            ++*at;
        struct residency_vma *v = *at < s->vmas ? &s->vma[*at] : NULL;
        uint64_t limit = !v ? r->end : start < v->start ? v->start : v->end;
        uint64_t end = limit < r->end ? limit : r->end;
        add_pages(b, v && start >= v->start ? v : NULL, start, end, r->categories);
        start = end;
    }
}

static int open_pagemap(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

bool pages_scan(struct builder *b, pid_t pid)
{
    struct scan_region region[REGIONS];
    struct scan_arg arg = { .size = sizeof arg,
                            .end = b->s->vma[b->s->vmas - 1].end,
                            .vec = (uintptr_t)region,
                            .vec_len = REGIONS,
                            .max_pages = AT_ONCE,
                            .category_anyof_mask = IS_PRESENT | IS_SWAPPED,
                            .return_mask = IS_FILE | IS_PRESENT | IS_SWAPPED | IS_ZERO | IS_HUGE | IS_GUARD };
    uint32_t at = 0;
    int fd = open_pagemap(pid), found = -1;
    while (fd >= 0 && arg.start < arg.end) {
        found = ioctl(fd, SCAN, &arg);
        if (found < 0 && errno == EINVAL && arg.return_mask & IS_GUARD) {
            arg.return_mask &= ~(uint64_t)IS_GUARD;
            continue;
        }
        if (found < 0 && errno == EINTR)
            continue;
        if (found < 0 || arg.walk_end <= arg.start)
            break;
        for (int i = 0; i < found; i++)
            add_region(b, &region[i], &at);
        arg.start = arg.walk_end;
    }
    if (fd >= 0)
        close(fd);
    return found >= 0;
}

/* --- older kernels ----------------------------------------------------------------------------------------------- */

static uint64_t categories_of(uint64_t entry, bool exclusive_only)
{
    bool swapped = entry >> 62 & 1, present = entry >> 63 & 1, file = entry >> 61 & 1, guard = entry >> 58 & 1;
    if (guard || (exclusive_only && present && !file && !(entry >> 56 & 1)))
        return 0;
    return (swapped ? IS_SWAPPED : 0) | (present ? IS_PRESENT : 0) | (file ? IS_FILE : 0);
}

/* The pages of one mapping. False if they cannot be read. */
static bool read_pagemap(struct builder *b, int fd, struct residency_vma *v, bool exclusive_only)
{
    uint64_t entry[ENTRIES], page = (uint64_t)sysconf(_SC_PAGESIZE), address = v->start;
    while (address < v->end) {
        uint64_t left = (v->end - address) / page, want = left < ENTRIES ? left : ENTRIES;
        ssize_t got = pread(fd, entry, want * sizeof *entry, (off_t)(address / page * sizeof *entry));
        if (got < (ssize_t)sizeof *entry)
            return false;
        for (size_t i = 0; i < (size_t)got / sizeof *entry; i++, address += page) {
            uint64_t categories = categories_of(entry[i], exclusive_only);
            if (categories)
                add_pages(b, v, address, address + page, categories);
        }
    }
    return true;
}

static uint64_t anonymous_since(const struct residency_snapshot *s, uint32_t first, uint64_t start)
{
    uint64_t sum = 0;
    for (uint32_t i = first; i < s->runs; i++)
        if (s->run[i].kind == RESIDENCY_ANON && s->run[i].end > start)
            sum += s->run[i].end - (s->run[i].start > start ? s->run[i].start : start);
    return sum;
}

/* Takes back the runs of a mapping that did not come out right. */
static void take_back(struct residency_snapshot *s, uint32_t runs, uint64_t start)
{
    s->runs = runs;
    if (runs && s->run[runs - 1].end > start)
        s->run[runs - 1].end = start;
}

/*
 * pagemap shows the zero page as an anonymous one. smaps does not count it; and it is never mapped only once, so if there
 * are too many pages, those go that others map too. If that is wrong (a fork shares pages), the sums are all there is.
 */
static void read_vma(struct builder *b, int fd, struct residency_vma *v)
{
    const struct residency_bytes sums = v->spread, none = { .huge = 0 };
    uint32_t runs = b->s->runs;
    for (int exclusive_only = 0; exclusive_only < 2; exclusive_only++) {
        v->spread = none;
        bool fine = read_pagemap(b, fd, v, exclusive_only);
        uint64_t anonymous = anonymous_since(b->s, runs ? runs - 1 : 0, v->start) + v->spread.anon;
        if (fine && (exclusive_only ? anonymous >= sums.anon : anonymous <= sums.anon))
            return;
        take_back(b->s, runs, v->start);
        if (!fine)
            break;
    }
    v->spread = sums;
}

bool pages_pagemap(struct builder *b, pid_t pid)
{
    int fd = open_pagemap(pid);
    if (fd < 0)
        return false;
    for (uint32_t i = 0; i < b->s->vmas; i++) {
        struct residency_vma *v = &b->s->vma[i];
        uint64_t sum = 0;
        for (int kind = 0; kind < RESIDENCY_KINDS; kind++)
            sum += v->spread.of[kind];
        if (sum && v->end - v->start <= LARGEST_READ)
            read_vma(b, fd, v);
    }
    close(fd);
    return true;
}
