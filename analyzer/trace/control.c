/* control.c: what the command line writes into a trace. Access is the permission of the file. See trace.h. */
#include "trace/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define LONGEST_NAME 1024u

/* --- a live header ----------------------------------------------------------------------------------------------- */

static struct trace_header *map_header(const char *path, int *fd, struct error *e)
{
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0) {
        error_set(e, EXIT_TROUBLE, "cannot open the trace %s: %s", path, strerror(errno));
        return NULL;
    }
    struct trace_header *h = mmap(NULL, sizeof *h, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (lseek(*fd, 0, SEEK_END) >= 4096 && h != MAP_FAILED && h->identity.magic == TRACE_MAGIC &&
        h->identity.major == TRACE_MAJOR)
        return h;
    if (h != MAP_FAILED)
        munmap(h, sizeof *h);
    close(*fd);
    error_set(e, EXIT_DAMAGED, "%s is no memtap trace of this version", path);
    return NULL;
}

static void unmap_header(struct trace_header *h, int fd)
{
    munmap(h, sizeof *h);
    close(fd);
}

static uint64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The clock that the tap uses, read on the same machine. */
static uint64_t trace_now(const struct trace_header *h)
{
#if defined(__x86_64__)
    if (h->identity.clock == TRACE_CLOCK_TSC)
        return __rdtsc() >> h->identity.time_shift;
#elif defined(__aarch64__)
    if (h->identity.clock == TRACE_CLOCK_TSC) {
        uint64_t ticks;
        __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
        return ticks >> h->identity.time_shift;
    }
#endif
    return monotonic_ns() >> h->identity.time_shift;
}

/* --- appending --------------------------------------------------------------------------------------------------- */

/* Puts a chunk of its own behind the log; the place is drawn with an atomic add, as the tap's threads do. */
static bool append(int fd, struct trace_header *h, struct trace_chunk *c, const uint8_t *payload)
{
    uint64_t room = (sizeof *c + c->committed + TRACE_LOG_ALIGN - 1) & ~(uint64_t)(TRACE_LOG_ALIGN - 1);
    uint8_t entry[4096];
    c->magic = TRACE_CHUNK_MAGIC;
    c->encoding = TRACE_ENCODING_RAW;
    c->stored = c->committed;
    c->cursor = TRACE_CURSOR_OUTSIDE;
    c->sequence = __atomic_fetch_add(&h->status.next_sequence, 1, __ATOMIC_RELAXED);
    c->checksum = XXH3_64bits_withSeed(payload, c->stored, XXH3_64bits(c, offsetof(struct trace_chunk, checksum)));
    memcpy(entry, c, sizeof *c);
    memcpy(entry + sizeof *c, payload, c->stored);
    uint64_t offset = __atomic_fetch_add(&h->status.log_end, room, __ATOMIC_RELAXED);
    return pwrite(fd, entry, sizeof *c + c->stored, (off_t)offset) == (ssize_t)(sizeof *c + c->stored);
}

/* Appends one record of a plain kind, whose first field is the time: now. */
static bool append_record(int fd, struct trace_header *h, enum record_kind kind, uint64_t *time, const char *text)
{
    struct trace_chunk c = { .time = trace_now(h), .mono_ns = monotonic_ns(), .tid = (uint32_t)getpid() };
    struct record_coder coder;
    uint8_t payload[2048];
    *time = c.time;
    record_coder_begin(&coder, c.time);
    uint8_t *end = record_put_plain(&coder, payload, kind, time, text, strlen(text), NULL, 0);
    c.committed = (uint32_t)(end - payload);
    return append(fd, h, &c, payload);
}

bool trace_mark(const char *path, const char *name, double value, struct error *e)
{
    int fd;
    struct record_mark mark;
    if (strlen(name) > LONGEST_NAME)
        return error_set(e, EXIT_TROUBLE, "the name of a mark may have %u bytes, and this one has %zu", LONGEST_NAME,
                         strlen(name));
    struct trace_header *h = map_header(path, &fd, e);
    if (!h)
        return false;
    memcpy(&mark.value, &value, sizeof value);
    bool fine = append_record(fd, h, RECORD_MARK, &mark.time, name);
    if (!fine)
        error_set(e, EXIT_TROUBLE, "cannot append to the trace %s: %s", path, strerror(errno));
    unmap_header(h, fd);
    return fine;
}

bool trace_pause(const char *path, bool pause, struct error *e)
{
    int fd;
    struct record_pause r = { .on = pause };
    struct trace_header *h = map_header(path, &fd, e);
    if (!h)
        return false;
    __atomic_store_n(&h->control.pause, pause, __ATOMIC_RELAXED);
    bool fine = append_record(fd, h, RECORD_PAUSE, &r.time, "");
    if (!fine)
        error_set(e, EXIT_TROUBLE, "cannot append to the trace %s: %s", path, strerror(errno));
    unmap_header(h, fd);
    return fine;
}

bool trace_set_end(const char *path, enum trace_end kind, int status, struct error *e)
{
    int fd;
    struct trace_header *h = map_header(path, &fd, e);
    if (!h)
        return false;
    if (h->status.end == TRACE_END_OPEN) {
        h->status.end_status = status;
        h->status.end_time = trace_now(h);
        h->status.end_mono_ns = monotonic_ns();
        __atomic_store_n(&h->status.end, (uint32_t)kind, __ATOMIC_RELEASE);
    }
    unmap_header(h, fd);
    return true;
}
