/* inspect.h: what can be told of a program before it runs: whether a preloaded library will be in it, and see its calls. */
#ifndef PROCESS_INSPECT_H
#define PROCESS_INSPECT_H

#include <limits.h>
#include <stdbool.h>

#include "base/error.h"

struct inspection {
    char path[PATH_MAX]; /* of the program itself; for a script, of its interpreter */
    bool is_script;
    bool is_elf, other_machine; /* other_machine: not for this processor, or not 64-bit */
    bool is_static;             /* no dynamic loader: nothing can be preloaded */
    bool is_musl;               /* another C library, whose loader cannot load the tap */
    bool privileged;            /* setuid, setgid or file capabilities: the loader drops LD_PRELOAD */
    bool own_malloc;            /* defines malloc itself: its calls do not come to the tap */
    bool needs_jemalloc;        /* linked with libjemalloc dynamically: fine, and its own API is recorded too */
    bool is_go;                 /* a Go program: its heap is seen as mappings only */
    char interpreter[256];
};

/* Looks at a program found as the shell would find it, or at the executable of a running process if `pid` is not 0. */
bool inspect_program(const char *name, int pid, struct inspection *i, struct error *e);

/* Whether the tap is in that process already. */
bool inspect_is_tapped(int pid);

#endif
