/* event_inside.h: what every event does; for the files of this room only. */
#ifndef PRELOAD_EVENT_INSIDE_H
#define PRELOAD_EVENT_INSIDE_H

#include "thread.h"

/* Begins an event; false if there is nothing to do. event_end must follow if true. */
bool event_begin(struct thread_pass *pass);

/* Ends it; `now` is its time stamp. */
void event_end(struct thread_pass *pass, uint64_t now);

/* Records a plain kind whose first field is the time, which is stamped now. text may be NULL. */
void event_put_now(enum record_kind kind, uint64_t *time, const char *text);

#endif
