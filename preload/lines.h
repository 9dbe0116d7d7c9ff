/* lines.h: the lines of a file of /proc, without stdio. */
#ifndef PRELOAD_LINES_H
#define PRELOAD_LINES_H

#include <stddef.h>
#include <stdint.h>

/* Large: keep it off the target's stack. */
struct lines {
    int fd;
    uint64_t offset;
    size_t used, at;
    char buffer[8192];
};

void lines_begin(struct lines *l, int fd);

/* The next line, NUL-terminated, valid until the next call; NULL at the end, or where a line is longer than the buffer. */
char *lines_next(struct lines *l);

#endif
