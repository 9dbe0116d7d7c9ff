/* door.c: see door.h. */
#include "door.h"

const struct door memtap_door = {
    .version = DOOR_VERSION,
    .alloc = event_alloc,
    .free = event_free,
    .realloc_begin = event_realloc_begin,
    .realloc = event_realloc,
};
