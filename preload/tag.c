/* tag.c: the functions of memtap.h. */
#define MEMTAP_IMPLEMENTATION
#include <memtap/memtap.h>

#include "event.h"

void memtap_push(const char *component)
{
    event_tag_push(component);
}

void memtap_pop(void)
{
    event_tag_pop();
}

void memtap_tag(const void *block, const char *component)
{
    event_tag_block(block, component);
}

void memtap_mark(const char *name, double value)
{
    event_mark(name, value);
}

void memtap_request_begin(uint64_t id)
{
    event_request_begin(id);
}

void memtap_request_end(uint64_t id, uint64_t units)
{
    event_request_end(id, units);
}
