/*
 * modules.h: which code lies where, found out from /proc/self/maps and so without the loader's lock: an unwinding
 * thread that waited for that lock could wait for ever on another that holds it in dlopen and allocates.
 *
 * Entries are only added, and marked as gone; looking up takes no lock. Program headers are copied, because a module
 * may be unloaded by another thread while the list is read.
 */
#ifndef PRELOAD_MODULES_H
#define PRELOAD_MODULES_H

#include "ring.h"

#include <link.h>

/* Where a code address lies. */
struct module_place {
    uint32_t module; /* its number in the trace; 0: unknown or generated code, offset is then the address itself */
    uint64_t offset; /* address minus load bias */
};

/* Finds the module of a code address that is on the calling thread's stack, and records the module if it is new to the
 * trace. */
struct module_place modules_locate(struct cursor *cursor, uint64_t pc);

/* Whether there is code at the address. *header is where its module's .eh_frame_hdr lies; 0 if it has none. */
bool modules_frame_header(uint64_t pc, uint64_t *header);

/* Does what dl_iterate_phdr does, for an unwinder, but only with the module that holds this code address. */
int modules_iterate(uint64_t pc, int (*visit)(struct dl_phdr_info *info, size_t size, void *data), void *data);

/* `retire` will be told the address range of every module that is found gone. */
void modules_start(void (*retire)(uint64_t start, uint64_t end));

/* After a dlclose: looks again. */
void modules_changed(void);

/* In a forked child: every module has to be recorded anew. */
void modules_forget(void);

#endif
