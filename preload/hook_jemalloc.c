/*
 * hook_jemalloc.c: the extended API of jemalloc, in an object of its own (see door.h). memtap run adds it when the
 * target uses jemalloc. Recorded by the tap's own event functions.
 */
#include <jemalloc/jemalloc.h>

#include "door.h"
#include "real.h"

#define CALLER ARCH_CALLER

/* The tap's door; before it is found, or if it is of another version, calls are only passed on. */
static const struct door *door(void)
{
    static const struct door *found;
    if (!found) {
        const struct door *d = real_in("libmemtap.so", DOOR_SYMBOL);
        found = d && d->version == DOOR_VERSION ? d : NULL;
    }
    return found;
}

void *hook_mallocx(size_t size, int flags)
{
    void *block = real()->mallocx(size, flags);
    if (door())
        door()->alloc(RECORD_CALL_MALLOCX, block, size, CALLER);
    return block;
}

void *hook_rallocx(void *old, size_t size, int flags)
{
    struct event_before before = { 0, false };
    if (door())
        before = door()->realloc_begin(old);
    void *block = real()->rallocx(old, size, flags);
    if (door())
        door()->realloc(RECORD_CALL_RALLOCX, before, old, block, size, CALLER);
    return block;
}

/* Resizes in place or not at all; the result is the size that the block has now. The address stays the caller's, so
 * both stamps may come after the call. */
size_t hook_xallocx(void *block, size_t size, size_t extra, int flags)
{
    size_t now = real()->xallocx(block, size, extra, flags);
    if (door() && now >= size)
        door()->realloc(RECORD_CALL_XALLOCX, door()->realloc_begin(block), block, block, size, CALLER);
    return now;
}

void hook_sdallocx(void *block, size_t size, int flags)
{
    if (door())
        door()->free(block);
    real()->sdallocx(block, size, flags);
}

void hook_dallocx(void *block, int flags)
{
    if (door())
        door()->free(block);
    real()->dallocx(block, flags);
}
