/*
 * cfi.h: what a module's .eh_frame says about one code address: how to find the frame of the caller. Interprets the call
 * frame information of DWARF 5 (section 6.4) in the form of the Linux Standard Base (.eh_frame, .eh_frame_hdr), as far as
 * compilers use it for the stack pointer, the frame pointer and the return address. Pure: reads the tables, nothing else.
 */
#ifndef PRELOAD_CFI_H
#define PRELOAD_CFI_H

#include <stdbool.h>
#include <stdint.h>

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
    uint64_t saves_fp : 1; /* the caller's frame pointer is at the frame + 8 * fp, else it is unchanged */
    int64_t fp : 16;
    int64_t add : 11; /* of the DEREF kinds */
    int64_t cfa : 32;
};

/*
 * `header` is the module's .eh_frame_hdr in memory. The address must lie in the module, which must stay loaded during
 * the call. For a return address pass the address before it.
 */
struct cfi_rule cfi_find(const void *header, uint64_t address);

#endif
