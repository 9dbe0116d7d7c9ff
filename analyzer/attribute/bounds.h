/*
 * bounds.h: how far a component may grow by the program's own settings: a cache that fills up to its bound is no leak.
 */
#ifndef ATTRIBUTE_BOUNDS_H
#define ATTRIBUTE_BOUNDS_H

#include "trace/trace.h"

struct bound {
    uint64_t bytes;     /* 0: the bound is a number of pieces */
    uint64_t pieces;    /* per slot of the server */
    const char *source; /* "--cache-ram", "LLAMA_ARG_CACHE_RAM", or "default" */
};

/*
 * The bound that is in force for a component of this process, by its command line, its environment, or the engine's
 * default. False if it has none, or none that is known.
 */
bool bounds_find(const struct trace_info *info, const char *component, struct bound *bound);

#endif
