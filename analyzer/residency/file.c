/*
 * file.c: the snapshots beside a trace, PID.pages. See residency.h.
 *
 *   head: magic, version; then snapshots, each: mark, how it is stored, its time, its size before and after compression,
 *   XXH3 of the stored bytes seeded with XXH3 of the head before it; the stored bytes (a zstd frame of encode.c's bytes)
 *
 * Little-endian. Several processes append: each under a lock, with one write.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#include "base/memory.h"
#include "base/readat.h"
#include "residency/inside.h"

#define PAGES_MAJOR 1
#define PAGES_MINOR 0
#define ENTRY_MARK 0x5354524du /* "MRTS" */
#define LEVEL 3
#define MOST_FILE (1ull << 27) /* bytes that are written */
#define MOST_READ (1ull << 30) /* and read */
#define MOST_DAMAGE 64u        /* places where reading is tried again */
#define MOST_ENTRIES (1u << 20)

struct pages_head {
    uint64_t magic;
    uint16_t major, minor;
    uint32_t reserved;
};

struct pages_entry {
    uint32_t mark, encoding; /* encoding 0: zstd */
    uint64_t mono_ns;
    uint32_t size, stored;
    uint64_t checksum;
};

_Static_assert(sizeof(struct pages_head) == 16 && sizeof(struct pages_entry) == 32, "the layout is part of the format");

struct entry {
    uint64_t mono_ns, offset;
    uint32_t size, stored;
};

struct residency {
    int fd;
    char *path;
    struct entry *entry;
    uint32_t count, room, damaged;
};

void residency_path(const char *trace, char *path, size_t size)
{
    size_t length = strlen(trace);
    bool named = length > 5 && strcmp(trace + length - 5, ".mtap") == 0;
    snprintf(path, size, "%.*s.pages", (int)(named ? length - 5 : length), trace);
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static uint64_t checksum(const struct pages_entry *head, const void *stored)
{
    return XXH3_64bits_withSeed(stored, head->stored, XXH3_64bits(head, offsetof(struct pages_entry, checksum)));
}

/* The snapshot as it stands in the file; *size is 0 if it is too large. */
static uint8_t *make_entry(const struct residency_snapshot *s, size_t *size)
{
    struct bytes plain = { .byte = NULL };
    encode(s, (uint64_t)sysconf(_SC_PAGESIZE), &plain);
    size_t room = ZSTD_compressBound(plain.size);
    uint8_t *entry = memory_take(sizeof(struct pages_entry) + room);
    size_t stored = ZSTD_compress(entry + sizeof(struct pages_entry), room, plain.byte, plain.size, LEVEL);
    struct pages_entry head = { .mark = ENTRY_MARK, .mono_ns = s->mono_ns, .size = (uint32_t)plain.size };
    *size = 0;
    if (!ZSTD_isError(stored) && plain.size <= MOST_PAYLOAD) {
        head.stored = (uint32_t)stored;
        head.checksum = checksum(&head, entry + sizeof head);
        memcpy(entry, &head, sizeof head);
        *size = sizeof head + stored;
    }
    free(plain.byte);
    return entry;
}

/* One write behind what is there, or nothing. */
static bool append(int fd, const void *bytes, size_t size, off_t end)
{
    ssize_t n = pwrite(fd, bytes, size, end);
    if (n == (ssize_t)size)
        return true;
    if (n >= 0)
        errno = ENOSPC;
    int reason = errno;
    if (ftruncate(fd, end) < 0)
        return false;
    errno = reason;
    return false;
}

static bool append_locked(int fd, const char *path, const uint8_t *entry, size_t size, struct error *e)
{
    struct pages_head head = { 0 };
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(e, EXIT_TROUBLE, "%s is not a regular file", path);
    if ((uint64_t)st.st_size + size > MOST_FILE)
        return error_set(e, EXIT_TROUBLE, "%s has %llu MiB of snapshots, and gets no more", path, MOST_FILE >> 20);
    if (st.st_size == 0) {
        head = (struct pages_head){ .magic = PAGES_MAGIC, .major = PAGES_MAJOR, .minor = PAGES_MINOR };
        if (!append(fd, &head, sizeof head, 0))
            return error_set(e, EXIT_TROUBLE, "cannot write %s: %s", path, strerror(errno));
        st.st_size = sizeof head;
    } else if (pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head || head.magic != PAGES_MAGIC ||
               head.major != PAGES_MAJOR) {
        return error_set(e, EXIT_DAMAGED, "%s holds no snapshots of this version", path);
    }
    return append(fd, entry, size, st.st_size) ||
           error_set(e, EXIT_TROUBLE, "cannot write %s: %s", path, strerror(errno));
}

bool residency_keep(const char *trace, const struct residency_snapshot *s, struct error *e)
{
    char path[4400];
    struct stat st;
    size_t size;
    residency_path(trace, path, sizeof path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set(e, EXIT_TROUBLE, "cannot open %s: %s", path, strerror(errno));
    if (geteuid() == 0 && stat(trace, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) < 0)
        errno = 0; /* root may mark somebody's session; the file should be theirs, where that can be */
    uint8_t *entry = make_entry(s, &size);
    bool fine = flock(fd, LOCK_EX) == 0;
    if (!fine)
        error_set(e, EXIT_TROUBLE, "cannot lock %s: %s", path, strerror(errno));
    else if (!size)
        fine = error_set(e, EXIT_TROUBLE, "the process has too many mappings for a snapshot in %s", path);
    else
        fine = append_locked(fd, path, entry, size, e);
    free(entry);
    close(fd);
    return fine;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static bool plausible(const struct pages_entry *head, uint64_t offset, uint64_t size)
{
    return head->mark == ENTRY_MARK && head->encoding == 0 && head->size <= MOST_PAYLOAD &&
           head->stored <= size - offset - sizeof *head;
}

/* The next place behind `offset` that begins like a snapshot; `size` if there is none. */
static uint64_t find_mark(int fd, uint64_t offset, uint64_t size)
{
    const uint32_t mark = ENTRY_MARK;
    uint8_t block[65536];
    while (offset + sizeof mark <= size) {
        size_t part = size - offset < sizeof block ? (size_t)(size - offset) : sizeof block;
        if (!readat(fd, block, part, offset))
            return size;
        const uint8_t *found = memmem(block, part, &mark, sizeof mark);
        if (found)
            return offset + (uint64_t)(found - block);
        offset += part - (sizeof mark - 1);
    }
    return size;
}

/* The stored bytes of a snapshot, checked; NULL if they are not what was written. */
static uint8_t *read_entry(int fd, const struct pages_entry *head, uint64_t offset)
{
    uint8_t *stored = memory_take(head->stored);
    if (readat(fd, stored, head->stored, offset) && checksum(head, stored) == head->checksum)
        return stored;
    free(stored);
    return NULL;
}

static void index_entries(struct residency *r, uint64_t size)
{
    struct pages_entry head;
    for (uint64_t offset = sizeof(struct pages_head); offset < size && r->count < MOST_ENTRIES;) {
        bool fine =
            offset + sizeof head <= size && readat(r->fd, &head, sizeof head, offset) && plausible(&head, offset, size);
        uint8_t *stored = fine ? read_entry(r->fd, &head, offset + sizeof head) : NULL;
        if (stored) {
            array_room(r->entry, r->count, r->room);
            r->entry[r->count++] = (struct entry){ head.mono_ns, offset + sizeof head, head.size, head.stored };
            offset += sizeof head + head.stored;
        } else {
            if (++r->damaged == MOST_DAMAGE)
                return;
            offset = find_mark(r->fd, offset + 1, size);
        }
        free(stored);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->mono_ns != y->mono_ns)
        return x->mono_ns < y->mono_ns ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static bool check_head(int fd, const char *path, uint64_t *size, struct error *e)
{
    struct pages_head head;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(e, EXIT_TROUBLE, "%s is not a regular file", path);
    *size = (uint64_t)st.st_size < MOST_READ ? (uint64_t)st.st_size : MOST_READ;
    if (!readat(fd, &head, sizeof head, 0) || head.magic != PAGES_MAGIC)
        return error_set(e, EXIT_DAMAGED, "%s is damaged: it does not begin as a file of snapshots does", path);
    if (head.major > PAGES_MAJOR)
        return error_set(e, EXIT_DAMAGED, "%s has format %u.%u, and this memtap reads up to %u: use a newer one", path,
                         head.major, head.minor, PAGES_MAJOR);
    return true;
}

struct residency *residency_open_fd(int fd, const char *path, struct error *e)
{
    uint64_t size = 0;
    if (!check_head(fd, path, &size, e)) {
        close(fd);
        return NULL;
    }
    struct residency *r = memory_take(sizeof *r);
    r->fd = fd;
    r->path = memory_copy(path, strlen(path));
    index_entries(r, size);
    array_sort(r->entry, r->count, sizeof *r->entry, by_time);
    return r;
}

struct residency *residency_open(const char *path, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set(e, EXIT_TROUBLE, "cannot open %s: %s", path, strerror(errno));
        return NULL;
    }
    return residency_open_fd(fd, path, e);
}

void residency_close(struct residency *r)
{
    if (!r)
        return;
    close(r->fd);
    free(r->entry);
    free(r->path);
    free(r);
}

uint32_t residency_count(const struct residency *r)
{
    return r->count;
}

uint64_t residency_mono_ns(const struct residency *r, uint32_t i)
{
    return r->entry[i].mono_ns;
}

bool residency_whole(const struct residency *r, struct error *e)
{
    return !r->damaged || error_set(e, EXIT_DAMAGED, "%s is damaged or cut off: %u snapshot%s in it can be read",
                                    r->path, r->count, r->count == 1 ? "" : "s");
}

uint32_t residency_nearest(const struct residency *r, uint64_t mono_ns)
{
    uint32_t low = 0, high = r->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (r->entry[middle].mono_ns < mono_ns)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == r->count)
        return low ? low - 1 : low;
    bool before = low && mono_ns - r->entry[low - 1].mono_ns < r->entry[low].mono_ns - mono_ns;
    return before ? low - 1 : low;
}

struct residency_snapshot *residency_load(const struct residency *r, uint32_t i)
{
    const struct entry *entry = &r->entry[i];
    uint8_t *stored = memory_take(entry->stored), *plain = memory_take(entry->size);
    struct residency_snapshot *s = memory_take(sizeof *s);
    s->mono_ns = entry->mono_ns;
    bool fine = readat(r->fd, stored, entry->stored, entry->offset) &&
                ZSTD_decompress(plain, entry->size, stored, entry->stored) == entry->size &&
                decode(plain, entry->size, s);
    free(stored);
    free(plain);
    if (fine)
        return s;
    residency_free(s);
    return NULL;
}
