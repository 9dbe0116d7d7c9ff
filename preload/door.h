/*
 * door.h: the way into the tap for its second object, libmemtap-je.so, which hooks the API of jemalloc. Those names may
 * not be exported where there is no jemalloc (programs test for them with weak symbols), so they live apart, and find
 * this one exported table. Both objects are built together; the version guards against a mix.
 */
#ifndef PRELOAD_DOOR_H
#define PRELOAD_DOOR_H

#include "event.h"

#define DOOR_VERSION 3u
#define DOOR_SYMBOL "memtap_door"

/* The functions of event.h by the same names; see there. */
struct door {
    uint32_t version;
    void (*alloc)(enum record_call call, const void *block, size_t size, const void *caller);
    void (*free)(const void *block);
    struct event_before (*realloc_begin)(const void *old);
    void (*realloc)(enum record_call call, struct event_before before, const void *old, const void *block, size_t size,
                    const void *caller);
};

extern const struct door memtap_door __attribute__((visibility("default")));

#endif
