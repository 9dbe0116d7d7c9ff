/*
 * arch.h: what depends on the processor, under the same names on each. Included by sys.h; one member is picked here.
 *
 *   ARCH_NAME                     text
 *   arch_syscall(n, a, ..., f)    a raw system call; returns -errno on failure, never touches errno
 *   arch_ticks()                  the cheapest clock that all processors agree on, or 0 if ARCH_HAS_TICKS is 0
 *   arch_order()                  what is before it is done before anything behind it begins, reading the clock too
 *   arch_zero_after(value)        0; where the processor cannot foresee that, a load from there waits for the value
 *   arch_ticks_usable()           whether it runs at a constant rate, also in deep sleep
 *   ARCH_TICKS_SHIFT              log2 of the ticks that make a time unit of the trace (4 to 16 ns)
 *   ARCH_HAS_CFI                  whether frames are found by the tables of .eh_frame (cfi.h)
 *   ARCH_HAS_RECORDS              else: whether every function keeps a frame record at its frame pointer, {the caller's
 *                                 frame pointer, return address}, and the outermost one's frame pointer is 0
 *   arch_code(address)            a return address as it is stored, without what signs it
 *   ARCH_DWARF_{FP,SP,RA}         DWARF numbers of frame pointer, stack pointer and return address
 *   ARCH_DWARF_REGISTERS          how many registers the tables of frames may name, from number 0 on
 *   ARCH_CALLER                   what a hook knows of its caller; arch_caller_pc(caller): its return address
 *   ARCH_HAS_CALLER, arch_caller_registers(caller, pc, sp, fp)   the registers of the frame that called the hook
 *   arch_get_registers(pc, sp, fp), arch_get_all_registers(value),
 *   ARCH_SIGNAL_{FP,SP,PC}, arch_step_over_signal(value, read, context),
 *   ARCH_GO_CODE, arch_is_call_from_go(code)   see arch_x86_64.h
 */
#ifndef PRELOAD_ARCH_H
#define PRELOAD_ARCH_H

#if defined(MEMTAP_ARCH_UNKNOWN) /* CI builds it, which proves the wall */
#include "arch_unknown.h"
#elif defined(__x86_64__)
#include "arch_x86_64.h"
#elif defined(__aarch64__)
#include "arch_aarch64.h"
#else
#include "arch_unknown.h"
#endif

_Static_assert(ARCH_DWARF_FP < ARCH_DWARF_REGISTERS && ARCH_DWARF_SP < ARCH_DWARF_REGISTERS &&
                   ARCH_DWARF_RA < ARCH_DWARF_REGISTERS,
               "there is room for what is looked for");

#endif
