/* functions.h: which function and which inlined calls hold an address, by DWARF. Inside symbols/. */
#ifndef SYMBOLS_FUNCTIONS_H
#define SYMBOLS_FUNCTIONS_H

#include <elfutils/libdw.h>
#include <stdint.h>

/* What is known of the compilation units of one file; a unit is read when it is first asked for. */
struct functions;

struct functions *functions_new(void);
void functions_free(struct functions *f);

/*
 * The function of this unit that holds the address, then the calls inlined into it that do, outermost first. Returns how
 * many; 0: no function. Valid until the next call.
 */
uint32_t functions_at(struct functions *f, Dwarf_Die *cu, Dwarf_Addr address, Dwarf_Die **scope);

#endif
