/* sample.c: see sample.h. */
#include "sample.h"

#include <fcntl.h>
#include <time.h>

uint64_t sample_next;

static uint32_t busy;
static struct kept_file status = { .path = "/proc/self/status", .flags = O_RDONLY };

/* The number behind "\nNAME:" in the text; 0 if there is none. */
static uint64_t field(const char *text, const char *name)
{
    for (const char *p = text; *p; p++) {
        if (p != text && p[-1] != '\n')
            continue;
        if (!sys_starts(p, name) || p[sys_strlen(name)] != ':')
            continue;
        p += sys_strlen(name) + 1;
        while (*p == ' ' || *p == '\t')
            p++;
        return sys_parse_number(p, &p, 10);
    }
    return 0;
}

static bool read_status(struct record_sample *r)
{
    static char text[4096]; /* not on the target's stack; busy guards it */
    int fd = kept_get(&status);
    long size = fd < 0 ? fd : sys_pread(fd, text, sizeof text - 1, 0);
    if (fd >= 0)
        kept_put(&status, fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    r->rss_anon = field(text, "RssAnon") << 10; /* the file counts in kB */
    r->rss_file = field(text, "RssFile") << 10;
    r->rss_shmem = field(text, "RssShmem") << 10;
    r->swap = field(text, "VmSwap") << 10;
    r->threads = field(text, "Threads");
    return true;
}

void sample_take(struct cursor *cursor, uint64_t now)
{
    uint64_t due = __atomic_load_n(&sample_next, __ATOMIC_RELAXED);
    struct record_sample r = { .time = now, .mono_ns = sys_clock_ns(CLOCK_MONOTONIC) };
    if (now < due || !__atomic_compare_exchange_n(&sample_next, &due, now + SAMPLE_INTERVAL, false, __ATOMIC_RELAXED,
                                                  __ATOMIC_RELAXED))
        return;
    if (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
        return;
    bool done = read_status(&r);
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
    if (!done) {
        tracefile_shortfall(TRACE_SHORT_NO_PROC);
        return;
    }
    struct trace_status *s = &tracefile_header->status;
    r.own = sys_resident_bytes();
    __atomic_store_n(&s->own_anonymous, sys_mapped_bytes(), __ATOMIC_RELAXED);
    __atomic_store_n(&s->own_resident, r.own, __ATOMIC_RELAXED);
    sys_own_ranges(&tracefile_header->own->start, TRACE_OWN);
    ring_put(cursor, RECORD_SAMPLE, &r, NULL, 0, NULL, 0);
}

void sample_forget(void)
{
    kept_close(&status);
    sample_next = 0;
    busy = 0;
}
