/* session.h: the directory in which the traces of one process tree meet. */
#ifndef PRELOAD_SESSION_H
#define PRELOAD_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/*
 * Decides where the trace of this process goes and makes the directory (mode 0700). An output without placeholders is
 * taken by parent and children alike; otherwise a process joins the session of its parent, if that has one, and else
 * expands the placeholders. With `fallback` the last part of that name is put under config->temporary instead: for a
 * place that cannot be written. `path` receives the absolute name, `size` >= 512. False: there is no place, or this
 * process is the child of a recorded one and children are not to be followed.
 */
bool session_choose(const struct config *config, const char *program, bool fallback, char *path, size_t size);

#endif
