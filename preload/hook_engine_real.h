/*
 * hook_engine_real.h: the functions behind the hooks of hooks_engine.def, and those that the hooks ask. A process can
 * have several copies of an engine, in scopes of their own, so the real functions depend on who calls: they are those
 * that the loader would have bound the caller to if the tap were not there.
 */
#ifndef PRELOAD_HOOK_ENGINE_REAL_H
#define PRELOAD_HOOK_ENGINE_REAL_H

#include "abi_ggml.h"
#include "hooks.h"

#define HOOK(family, name, need) extern __typeof__(name) hook_##name __asm__(#name) EXPORTED HOOK_PLACE_##family;
#include "hooks_engine.def"
#undef HOOK

#define ENGINE_ASKED(A)                                                                                                \
    A(ggml_backend_buffer_get_base)                                                                                    \
    A(ggml_backend_buffer_get_size)                                                                                    \
    A(ggml_backend_buffer_get_usage)                                                                                   \
    A(ggml_backend_buffer_name)                                                                                        \
    A(ggml_backend_buffer_is_multi_buffer)                                                                             \
    A(ggml_get_name)                                                                                                   \
    A(ggml_nbytes)

/* Each can be NULL. */
struct engine {
#define HOOK(family, name, need) __typeof__(name) *name;
#include "hooks_engine.def"
#undef HOOK
#define ENGINE_MEMBER(name) __typeof__(name) *name;
    ENGINE_ASKED(ENGINE_MEMBER)
#undef ENGINE_MEMBER
};

/*
 * The functions for the code that will be returned to at `caller`; `wanted` is the offset in struct engine of the one
 * that it called, `handle` what it passed first. Valid until the calling thread asks again. A call site's first call
 * takes the loader's lock on its list of objects, which nobody holds for long; later ones take no lock.
 */
const struct engine *engine_of(const void *caller, size_t wanted, const void *handle);

/* After a dlclose: other code may come to lie where call sites were. */
void engine_forget(void);

#endif
