/*
 * stacks.h: the table of call stacks, a trie: a node is (parent node, return address), and a stack is its innermost
 * node. Strings share the table and its numbers. Nothing is ever removed; lookups and insertions take no lock.
 *
 * A definition is committed to the trace before its number can be found, so no event names an undefined one. When two
 * threads define the same thing at once, the loser's definition is a harmless spare.
 */
#ifndef PRELOAD_STACKS_H
#define PRELOAD_STACKS_H

#include "ring.h"

/* The node for (parent, value), or 0 if it is not there yet. Hot path. */
uint32_t stacks_find(uint32_t parent, uint64_t value);

#ifdef UNWIND_CHECK
/* Whether a node (or none) has this value; sets its parent. */
bool stacks_is(uint32_t node, uint64_t value, uint32_t *parent);
#endif

/*
 * Adds and records the node. `module` and `offset` go into its definition: module 0 means that offset is an address.
 * Returns the node (somebody else's, if they were first), or 0 if the table is full or recording has stopped.
 */
uint32_t stacks_define(struct cursor *cursor, uint32_t parent, uint64_t value, uint32_t module, uint64_t offset);

/* The node of a stack under a component tag (memtap_push); `string` names the component. 0 as above. */
uint32_t stacks_tagged(struct cursor *cursor, uint32_t stack, uint32_t string);

/* The number of a string, recorded when it is new; 0 as above. */
uint32_t stacks_string(struct cursor *cursor, const char *text, size_t size);

/* Code addresses in [start, end) are about to mean something else: nodes with such values are not found again. */
void stacks_retire(uint64_t start, uint64_t end);

/* In a forked child: begins an empty table for its own trace. */
void stacks_forget(bool interrupted);

#endif
