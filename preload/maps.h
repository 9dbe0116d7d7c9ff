/*
 * maps.h: what is mapped where, as /proc/self/maps has it: a line for each mapping, or, since Linux 6.11, an answer for
 * one address.
 */
#ifndef PRELOAD_MAPS_H
#define PRELOAD_MAPS_H

#include "sys.h"

struct mapping {
    uint64_t start, end, offset, inode; /* inode 0: of no file */
    bool executable;
    const char *path;
};

/* Of a line of the file; the path is a part of it. */
struct mapping maps_parse(const char *line);

enum maps_answer {
    MAPS_FOUND,
    MAPS_NOTHING, /* nothing is mapped there */
    MAPS_SILENT,  /* this kernel cannot be asked, or the path does not fit */
};

/* The mapping of an address, by a descriptor of the file. Its path is written to `path`. */
enum maps_answer maps_at(int fd, uint64_t address, struct mapping *m, char *path, size_t size);

#endif
