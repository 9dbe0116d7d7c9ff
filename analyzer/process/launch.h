/* launch.h: starts a program under the tap and waits for it. */
#ifndef PROCESS_LAUNCH_H
#define PROCESS_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct launch {
    char **argv;            /* of the program, ends with NULL */
    const char *session;    /* absolute path of the session directory */
    const char *allocator;  /* path of a library that is to serve malloc behind the tap, or NULL */
    bool with_jemalloc_api; /* adds the second object of the tap */
    uint64_t limit;         /* bytes of one trace; 0: the tap's own default */
    uint64_t sample;        /* mean bytes between samples; 0: the tap's own default */
    bool only_first;        /* children are not recorded */
};

/* The tap's library, wherever this program was installed or built. `path` has PATH_MAX bytes. */
bool launch_find_tap(const char *name, char *path, struct error *e);

/*
 * Starts the program; its pid, or -1. The error's code is the exit status that env(1) would give: 127 not found, 126 not
 * executable, 125 anything else.
 */
pid_t launch_start(const struct launch *l, struct error *e);

/*
 * Waits for the program. Meanwhile `idle` is called again and again; it returns after how many milliseconds it wants to
 * be called next. Signals that ask this process to end are passed on. Returns the wait status.
 */
int launch_wait(pid_t pid, unsigned (*idle)(void *context), void *context);

#endif
