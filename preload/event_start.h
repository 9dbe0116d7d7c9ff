/*
 * event_start.h: brings the tap up, in the first program image and again in every forked child. Nothing is needed at
 * the end of a process.
 */
#ifndef PRELOAD_EVENT_START_H
#define PRELOAD_EVENT_START_H

#include "sys.h"

/* AWAKE: every event is recorded; SAMPLING, which is AWAKE and more: of the heap's, a sample. */
enum { EVENT_ASLEEP = 0, EVENT_AWAKE = 1, EVENT_OFF = 2, EVENT_SAMPLING = EVENT_AWAKE | 4 };

/* One of the above. It lies in memory that a forked child finds zeroed: such a child is asleep. */
extern HIDDEN const volatile uint32_t *event_state;

/* Brings the tap up. False if this process is not recorded, or is just being brought up. */
bool event_wake(void);

/* In a forked child, where the kernel could not wipe the state. */
void event_sleep(void);

/* Hot path: whether to record. */
static inline bool event_awake(void)
{
    return likely(*event_state & EVENT_AWAKE) || event_wake();
}

#endif
