/*
 * unwind_memo.h: finds the node of a stack by comparing it with stacks walked before. Inside unwind*.
 *
 * A walk is a function of the registers it begins with, the rules, and the words of the stack that it reads, in their
 * order. So each walk is remembered with these words. When a later one comes to a frame of a remembered walk (same code
 * address, same stack pointer, same frame pointer if it matters from there on), and the words that were read from there
 * on are still the same, then by induction it would visit the same frames, and it need not: comparing a word costs a
 * tenth of a step. Words are compared in the order in which the walk would read them, up to the first difference, so
 * nothing is read that the walk would not read.
 *
 * What a step depends on beyond that ends a comparison: that frame is stepped over anew (signal frames; what the kernel
 * or the list of modules said). Rules change only when code is unloaded: then all is forgotten (unwind_generation).
 */
#ifndef PRELOAD_UNWIND_MEMO_H
#define PRELOAD_UNWIND_MEMO_H

#include "ring.h"
#include "unwind_step.h"

struct memos;

/* Grows when code is unloaded. */
extern uint32_t unwind_generation;

/* Bytes of zeroed memory that unwind_memo_stack wants to find at `memos`, one for each cursor. */
size_t unwind_memo_size(void);

/* The node of the stack whose innermost frame has these registers. 0: this walk takes more than rules; or there is no
 * node to be had. */
uint32_t unwind_memo_stack(struct cursor *cursor, struct memos *memos, struct unwind_registers r);

/* From unwind.c: the node of (parent, code address), defined if it is new; 0 if that is not possible. */
uint32_t unwind_node(struct cursor *cursor, uint32_t parent, uint64_t pc);

#endif
