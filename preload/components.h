/*
 * components.h: the components that the program has named by memtap_push. Their names are kept, since a trace knows them
 * only by number, and a forked child writes a trace of its own. Nothing is ever removed; no call takes a lock.
 */
#ifndef PRELOAD_COMPONENTS_H
#define PRELOAD_COMPONENTS_H

#include "ring.h"

/* The number of a component, the same for the same name; 0 if there are too many. A long name is cut. */
uint32_t components_number(const char *name);

/* The string that names it in this process's trace, recorded when it is new there; 0 if that cannot be. */
uint32_t components_string(struct cursor *cursor, uint32_t number);

/* In a forked child: its trace knows no strings yet. */
void components_forget(void);

#endif
