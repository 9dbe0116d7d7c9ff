/*
 * lanes.h: chunks with the fields of their records sorted: all tags beside each other, all sizes, and so on, each kind of
 * field in a lane of its own. Compressed they take half of what the chunks do. Inside trace/.
 *
 * On disk a group of chunks is: struct lanes_head, that many struct lanes_chunk, then the lanes one after the other, in
 * the order of enum lane. A payload comes back byte for byte, whatever is in it: where something is no record, the rest
 * of that chunk goes into the last lane as it is.
 */
#ifndef TRACE_LANES_H
#define TRACE_LANES_H

#include "trace/trace.h"

#define LANES_CHUNKS 16u /* of a group, at most */

/* One for each field of alloc, free, realloc and node. The numbers are part of the format. */
enum lane {
    LANE_TAG,
    LANE_TIME,
    LANE_TOOK,
    LANE_SITE,      /* the byte that names a remembered site */
    LANE_SITE_NODE, /* and one that is not remembered */
    LANE_SITE_CALL,
    LANE_SIZE,
    LANE_NEW,        /* addresses of blocks that are made: the distance, */
    LANE_NEW_RECENT, /* or the rank of a remembered one among all of these, the one last used first */
    LANE_OLD,        /* the same of blocks that are given back */
    LANE_OLD_RECENT,
    LANE_ID,     /* of a node: the distance from the one defined before, zigzag */
    LANE_PARENT, /* of a node: how much less it is than the id, zigzag */
    LANE_MODULE,
    LANE_VALUE,
    LANE_LENGTH, /* of a node and of all other kinds, */
    LANE_BODY,   /* and their bodies but for the fields of a node */
    LANE_REST,   /* of a chunk, behind what could be sorted */
    LANES
};

struct lanes_head {
    uint32_t chunks, reserved;
    uint32_t size[LANES];
};

struct lanes_chunk {
    struct trace_chunk head; /* of a log entry with encoding raw */
    uint64_t sorted;         /* bytes of the payload that are in lanes */
};

_Static_assert(sizeof(struct lanes_head) == 80 && sizeof(struct lanes_chunk) == 72, "part of the format");

struct lanes;

struct lanes *lanes_new(void);
void lanes_free(struct lanes *l);

/* --- sorting ------------------------------------------------------------------------------------------------------ */

/* Adds a chunk: head->committed bytes, at most TRACE_PAYLOAD_SIZE. True: with this one the group is full. */
bool lanes_add(struct lanes *l, const struct trace_chunk *head, const uint8_t *payload);

/* Hands over the parts of the group in their order; each compresses better apart from the others. Then begins a new group.
 * Nothing is handed over if it has no chunk. */
void lanes_give(struct lanes *l, void (*part)(void *context, const void *bytes, size_t size), void *context);

/* --- putting together --------------------------------------------------------------------------------------------- */

/*
 * Takes bytes of groups, as many at a time as there happen to be, and hands over their chunks. False if they cannot be
 * what lanes_give handed over, or if `chunk` says so.
 */
bool lanes_take(struct lanes *l, const void *bytes, size_t size,
                bool (*chunk)(void *context, const struct trace_chunk *head, const uint8_t *payload), void *context);

/* Whether all that was taken were whole groups. */
bool lanes_whole(const struct lanes *l);

#endif
