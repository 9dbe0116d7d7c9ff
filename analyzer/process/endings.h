/*
 * endings.h: how processes ended that somebody else waited for. A program's own tap cannot say that it was killed; from
 * Linux 6.15 on the kernel tells whoever holds a pidfd of the process, also after it is gone.
 */
#ifndef PROCESS_ENDINGS_H
#define PROCESS_ENDINGS_H

#include <stdbool.h>
#include <sys/types.h>

struct endings;

struct endings *endings_new(void);
/* Takes hold of a process while it lives; a second call for the same one does nothing. */
void endings_watch(struct endings *e, pid_t pid);
/* The wait status of a watched process that has ended; false if it runs, or nobody can tell. */
bool endings_status(const struct endings *e, pid_t pid, int *status);
void endings_free(struct endings *e);

#endif
