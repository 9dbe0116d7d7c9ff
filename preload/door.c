/* door.c: see door.h. */
#include "door.h"

#include "event.h"

const struct door memtap_door = {
    .version = DOOR_VERSION,
    .stamp = event_stamp,
    .alloc = event_alloc,
    .free = event_free,
    .realloc = event_realloc,
};
