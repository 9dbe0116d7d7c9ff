/* elf.h: one module's file and debug information, by elfutils. Inside symbols/. */
#ifndef SYMBOLS_ELF_H
#define SYMBOLS_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One frame found at an address. Texts belong to the module. */
struct elf_frame {
    const char *function; /* mangled; NULL: unknown */
    const char *file;
    uint32_t line;
    bool inlined;
};

struct elf_module;

/* Opens the file, if it is there and has this build-id (size 0: any), and its separate debug information, which
 * elfutils looks for in the usual places and, if DEBUGINFOD_URLS is set, asks a server for. NULL: no names. */
struct elf_module *elf_open(const char *path, const uint8_t *build_id, size_t build_id_size);
void elf_close(struct elf_module *m);

/* Fills in up to `most` frames at an address of the file, innermost first. Returns how many, at least 1. */
uint32_t elf_frames(struct elf_module *m, uint64_t address, struct elf_frame *frame, uint32_t most);

/* Whether code at this address runs on a frame that the kernel made for a signal: what called it was interrupted. */
bool elf_is_signal_frame(struct elf_module *m, uint64_t address);

#endif
