/*
 * hooks.h: what a line of hooks.def means. A wrapper is plain C named hook_NAME; the asm label gives it the symbol
 * name NAME, and its type comes from the function's own header, so a wrong signature does not compile.
 */
#ifndef PRELOAD_HOOKS_H
#define PRELOAD_HOOKS_H

#ifdef HOOKS_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi_libc.h"

#define EXPORTED __attribute__((visibility("default")))

/*
 * Where a hook's code lies. What is allocated inside a real function of these families is the doing of who called it:
 * the hook does not appear on such stacks (unwind.c). Inside an allocator it is the allocator's own, and must appear.
 */
#define HOOK_PASSES __attribute__((section("hooks_that_pass")))
#define HOOK_PLACE_engine HOOK_PASSES
#define HOOK_PLACE_file HOOK_PASSES
#define HOOK_PLACE_heap
#define HOOK_PLACE_jemalloc
#define HOOK_PLACE_map
#define HOOK_PLACE_process HOOK_PASSES

#define HOOK(family, name, need) extern __typeof__(name) hook_##name __asm__(#name) EXPORTED HOOK_PLACE_##family;
#include HOOKS_DEF
#undef HOOK

/* The functions that were there before, by name. A MAY function can be NULL. */
struct real_functions {
#define HOOK(family, name, need) __typeof__(name) *name;
#include HOOKS_DEF
#undef HOOK
};

#endif
