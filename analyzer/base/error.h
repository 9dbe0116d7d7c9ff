/* error.h: what went wrong, as one sentence for people and an exit code. Filled below, printed by commands/ only. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

enum {
    EXIT_FINE = 0,
    EXIT_FINDING = 1,      /* leaks, check, diff found something */
    EXIT_TROUBLE = 2,      /* usage, or a file that cannot be read or written */
    EXIT_DAMAGED = 3,      /* input that is no trace, or inconclusive */
    EXIT_RUN_FAILED = 125, /* memtap run itself failed, as env(1) */
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
};

struct error {
    int code;
    char text[1024];
};

/* Fills in the error: what, where, why, and what to do. Returns false, so a function can end with it. */
bool error_set(struct error *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
