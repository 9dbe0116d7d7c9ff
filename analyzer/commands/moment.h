/* moment.h: a session as it stood at a moment. Inside commands/. */
#ifndef COMMANDS_MOMENT_H
#define COMMANDS_MOMENT_H

#include "commands/command.h"
#include "heap/heap.h"
#include "report/report.h"

/* All zero: the end. */
struct command_moment {
    struct heap_until until;
    bool peak; /* each process at its own */
    bool oom;  /* when an allocation failed */
};

/* "end", "peak", "oom", "request N", or the name of a mark, which must live on. */
void moment_read(struct command_moment *m, const char *at);

struct command_answer {
    struct summary summary;
    struct heap **heap; /* as many as the session has traces */
    struct residency_snapshot **pages;
    struct tensors *tensors;
    uint32_t count;
};

/* Replays the session up to the moment and puts together what was held then; `pid` 0: of all processes. False and a
 * sentence if there is no such moment, or no such process. */
bool moment_answer(const struct command_input *in, const struct command_moment *m, uint32_t pid, bool quiet,
                   struct command_answer *answer, struct error *e);
void moment_free(struct command_answer *answer);

#endif
