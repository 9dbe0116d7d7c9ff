/* lines.c: see lines.h. */
#include "lines.h"

#include "sys.h"

void lines_begin(struct lines *l, int fd)
{
    l->fd = fd;
    l->offset = l->used = l->at = 0;
}

char *lines_next(struct lines *l)
{
    for (;;) {
        for (size_t i = l->at; i < l->used; i++)
            if (l->buffer[i] == '\n') {
                char *line = l->buffer + l->at;
                l->buffer[i] = '\0';
                l->at = i + 1;
                return line;
            }
        __builtin_memmove(l->buffer, l->buffer + l->at, l->used - l->at);
        l->used -= l->at;
        l->at = 0;
        size_t room = sizeof l->buffer - l->used;
        long n = room ? sys_pread(l->fd, l->buffer + l->used, room, l->offset) : 0;
        if (n <= 0)
            return NULL;
        l->offset += (uint64_t)n;
        l->used += (size_t)n;
    }
}
