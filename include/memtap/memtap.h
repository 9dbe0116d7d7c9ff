/*
 * memtap.h: what a program can tell memtap about itself. C and C++; version 1 of this interface.
 *
 * Every call does nothing at all when the program does not run under the tap: the functions are weak symbols, so there
 * is nothing to link with. Under the tap a call costs less than a microsecond; all of them may be called from any
 * thread, also in a signal handler, and none of them changes errno. Strings are copied where needed and may be freed
 * after the call. The same functions can be called by name, as with Python's ctypes.CDLL(None).memtap_mark.
 */
#ifndef MEMTAP_MEMTAP_H
#define MEMTAP_MEMTAP_H

#include <stdint.h>

#define MEMTAP_API_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

/* GCC binds a weak symbol of position-dependent code to nothing when it links, unless told to go through the GOT. */
#if defined(__GNUC__) && !defined(__clang__)
#define MEMTAP_WEAK __attribute__((weak, visibility("default"), noplt))
#else
#define MEMTAP_WEAK __attribute__((weak, visibility("default")))
#endif

/*
 * From here on, what this thread allocates belongs to `component`, a path such as "kv-cache/full/layer.3", until the
 * matching memtap_pop. Pushes nest up to 32 deep, the innermost counts; deeper ones count as the 32nd.
 */
MEMTAP_WEAK void memtap_push(const char *component);
MEMTAP_WEAK void memtap_pop(void);

/* The block or mapping at `block` (its first byte, as malloc or mmap returned it) belongs to `component`. */
MEMTAP_WEAK void memtap_tag(const void *block, const char *component);

/* Names this instant, so that reports can refer to it; `value` is the caller's own, in the caller's unit. */
MEMTAP_WEAK void memtap_mark(const char *name, double value);

/*
 * A unit of work that leaks are judged by begins or ends: a request, with `units` the work it took (tokens, images; 0
 * if that has no meaning). `id` tells concurrent requests apart.
 */
MEMTAP_WEAK void memtap_request_begin(uint64_t id);
MEMTAP_WEAK void memtap_request_end(uint64_t id, uint64_t units);

#ifndef MEMTAP_IMPLEMENTATION /* the tap itself defines it */

static inline void memtap_push_if_there(const char *component)
{
    if (memtap_push)
        memtap_push(component);
}

static inline void memtap_pop_if_there(void)
{
    if (memtap_pop)
        memtap_pop();
}

static inline void memtap_tag_if_there(const void *block, const char *component)
{
    if (memtap_tag)
        memtap_tag(block, component);
}

static inline void memtap_mark_if_there(const char *name, double value)
{
    if (memtap_mark)
        memtap_mark(name, value);
}

static inline void memtap_request_begin_if_there(uint64_t id)
{
    if (memtap_request_begin)
        memtap_request_begin(id);
}

static inline void memtap_request_end_if_there(uint64_t id, uint64_t units)
{
    if (memtap_request_end)
        memtap_request_end(id, units);
}

#define memtap_push(component) memtap_push_if_there(component)
#define memtap_pop() memtap_pop_if_there()
#define memtap_tag(block, component) memtap_tag_if_there(block, component)
#define memtap_mark(name, value) memtap_mark_if_there(name, value)
#define memtap_request_begin(id) memtap_request_begin_if_there(id)
#define memtap_request_end(id, units) memtap_request_end_if_there(id, units)

#endif

#ifdef __cplusplus
}
#endif

#endif
