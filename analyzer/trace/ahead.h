/*
 * ahead.h: a thread that fills batches while the reader merges those that are filled. Inside trace/. The two share
 * nothing but the batches, and each of these belongs to one of them at a time: to the thread from ahead_ask until
 * ahead_wait returns. Of one decoder the batches are filled in the order of asking.
 */
#ifndef TRACE_AHEAD_H
#define TRACE_AHEAD_H

#include "trace/decode.h"

/* A batch and whom it is filled by. */
struct order {
    struct batch batch;
    struct decoder *decoder;
    uint32_t bytes;
    bool filled;        /* the lock guards this, */
    struct order *next; /* and this: the next that was asked for */
};

struct ahead;

/* Whether a second thread would find a processor of its own. */
bool ahead_pays(void);
/* NULL if no thread can be had. */
struct ahead *ahead_begin(void);
void ahead_ask(struct ahead *a, struct order *o);
void ahead_wait(struct ahead *a, struct order *o);
/* The thread ends; what was asked for last may not be filled. */
void ahead_end(struct ahead *a);

#endif
