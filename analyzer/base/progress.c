/* progress.c: see progress.h. */
#include "base/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"

#define PATIENCE_NS 1000000000u
#define REFRESH_NS 100000000u

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void progress_begin(struct progress *p, const char *what, uint64_t total, bool quiet)
{
    *p = (struct progress){ .what = what, .total = total, .enabled = !quiet && isatty(STDERR_FILENO) };
    p->started_ns = p->enabled ? now_ns() : 0;
}

void progress_step(struct progress *p, uint64_t done)
{
    char rest[UNITS_TEXT];
    if (!p->enabled || !done || done > p->total)
        return;
    uint64_t now = now_ns(), passed = now - p->started_ns;
    if (passed < PATIENCE_NS || now - p->shown_ns < REFRESH_NS)
        return;
    double share = (double)done / (double)p->total;
    units_duration(rest, (uint64_t)((double)passed * (1 / share - 1)));
    fprintf(stderr, "\r%s: %3.0f %%, %s left \033[K", p->what, share * 100, rest);
    p->shown_ns = now;
    p->shown = true;
}

void progress_end(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
