/*
 * real.h: the functions behind the hooks, and the few others of libc that the tap calls.
 *
 * They are found by reading the loader's list of objects, not by dlsym: that takes no lock, allocates nothing (so no
 * recursion into calloc) and needs no symbol newer than glibc 2.2.5.
 */
#ifndef PRELOAD_REAL_H
#define PRELOAD_REAL_H

#include "hooks.h"
#include "sys.h"

extern HIDDEN struct real_functions real_table;
extern HIDDEN bool real_bound;

/* Fills the table. Called by whoever needs it first, if need be by another library's constructor before our own. */
void real_bind(void);

/* Hot path. */
static inline const struct real_functions *real(void)
{
    if (unlikely(!real_bound))
        real_bind();
    return &real_table;
}

/* The next definition of `name` behind this object in the search order, as dlsym(RTLD_NEXT) finds it; or NULL. */
void *real_next(const char *name);

/* The definition of `name` in the loaded object whose file name begins with `library`; or NULL. */
void *real_in(const char *library, const char *name);

/* The definition of `name` in one loaded object, which stays loaded meanwhile; or NULL. */
void *real_of(ElfW(Addr) bias, const ElfW(Dyn) * dynamic, const char *name);

/* Makes the calls that this loaded object makes to the function `name` go to `replacement`. False if it makes none. */
bool real_rebind(const char *library, const char *name, void *replacement);

/* The address range of the object that holds this code. */
void real_own_range(uintptr_t *start, uintptr_t *end);

#endif
