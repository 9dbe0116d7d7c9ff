/*
 * settings.h: what the trace keeps of the target's environment: the variables, by name, that set how much memory an
 * engine or allocator may take. Nothing else of the environment is kept: it holds people's secrets.
 */
#ifndef PRELOAD_SETTINGS_H
#define PRELOAD_SETTINGS_H

#include <stddef.h>

/* Writes "NAME=value", each NUL-terminated, into `to` (size bytes, zeroed); what does not fit is left out. */
void settings_keep(char *const *envp, char *to, size_t size);

#endif
