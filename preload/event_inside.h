/* event_inside.h: what every event does; for the files of this room only. */
#ifndef PRELOAD_EVENT_INSIDE_H
#define PRELOAD_EVENT_INSIDE_H

#include "thread.h"

/* Begins an event; false if there is nothing to do. event_end must follow if true. */
#define event_begin(pass) event_begin_at(pass, (uintptr_t)__builtin_frame_address(0))
bool event_begin_at(struct thread_pass *pass, uintptr_t here);

/* Ends it; `now` is its time stamp. */
void event_end(struct thread_pass *pass, uint64_t now);

/* The number of the event's stack. */
uint32_t event_stack(const struct thread_pass *pass, const void *caller);

/* Records that a call gave no memory. */
void event_failure(const struct thread_pass *pass, enum record_call call, size_t size, uint32_t node);

/* Records a plain kind whose first field is the time, which is stamped now. text may be NULL. */
void event_put_now(enum record_kind kind, uint64_t *time, const char *text);

#endif
