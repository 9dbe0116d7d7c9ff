/*
 * cfi.h: what a module's .eh_frame says about one code address: how to find the frame of the caller. Interprets the call
 * frame information of DWARF 5 (section 6.4) in the form of the Linux Standard Base (.eh_frame, .eh_frame_hdr), as far as
 * compilers use it for the stack pointer, the frame pointer and the return address. Pure: reads the tables, nothing else.
 */
#ifndef PRELOAD_CFI_H
#define PRELOAD_CFI_H

#include <stdbool.h>
#include <stdint.h>

#include "sys.h"

enum cfi_kind {
    CFI_UNKNOWN = 0, /* not looked up */
    CFI_NONE,        /* the address is in no table: hand-written or generated code */
    CFI_STACK,       /* the frame begins at stack pointer + cfa */
    CFI_FRAME,       /* at frame pointer + cfa */
    CFI_DEREF_STACK, /* at the word at stack pointer + cfa, plus add */
    CFI_DEREF_FRAME, /* at the word at frame pointer + cfa, plus add (realigned stacks) */
    CFI_SIGNAL,      /* the kernel's frame of a signal handler */
    CFI_END,         /* the outermost frame: there is no caller */
    CFI_UNSUPPORTED, /* valid, but beyond what is told here */
};

/* The rule for one address; fits a word, so that it can be published at once. */
struct cfi_rule {
    uint64_t kind : 4;
    uint64_t saves_fp : 1; /* the caller's frame pointer is saved, 8 * fp from the frame; else it is unchanged */
    uint64_t fp_at_fp : 1; /* it is saved 8 * fp from this function's frame pointer instead (realigned stacks) */
    int64_t fp : 16;
    int64_t add : 10; /* of the DEREF kinds */
    int64_t cfa : 32;
};

/*
 * `header` is the module's .eh_frame_hdr in memory. The address must lie in the module, which must stay loaded during
 * the call. For a return address pass the address before it.
 */
struct cfi_rule cfi_find(const void *header, uint64_t address);

/* --- the whole truth, for the rare frames that need it ------------------------------------------------------------ */

struct cfi_registers {
    uint64_t
        value[ARCH_DWARF_REGISTERS]; /* by their DWARF numbers, of a frame; value[ARCH_DWARF_RA] is where it runs */
    bool exact;                      /* it is the instruction that runs next, not the one after a call */
};

/*
 * Turns the registers of a frame into those of its caller by everything the tables say: any register, any expression.
 * `read` gets a word of the stack, or says that there is none. Returns what kind of frame this was: CFI_NONE, CFI_END,
 * CFI_SIGNAL (registers unchanged) or CFI_UNSUPPORTED end the walk; all else is a step made.
 */
enum cfi_kind cfi_step(const void *header, struct cfi_registers *r,
                       bool (*read)(void *context, uint64_t address, uint64_t *word), void *context);

#endif
