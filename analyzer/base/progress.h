/*
 * progress.h: how far long work has come, with an estimate of the rest, on stderr; only if that is a terminal and the
 * work takes over a second. This is the one thing below commands/ that writes to the terminal, and it wipes it again.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what;
    uint64_t total, started_ns, shown_ns;
    bool enabled, shown;
};

void progress_begin(struct progress *p, const char *what, uint64_t total, bool quiet);
void progress_step(struct progress *p, uint64_t done);
void progress_end(struct progress *p);

#endif
