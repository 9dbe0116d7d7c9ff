/* span.c: a file read forward through a buffer. pread, because a mapping of a file that shrinks kills the reader. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/inside.h"

struct span *span_open(const char *path, struct error *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make us wait */
    if (fd < 0 || fstat(fd, &st) != 0) {
        error_set(e, EXIT_TROUBLE, "cannot open %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        error_set(e, EXIT_TROUBLE, "%s is not a regular file, so it is no model", path);
        close(fd);
        return NULL;
    }
    struct span *s = memory_take(sizeof *s);
    s->fd = fd;
    s->path = path;
    s->size = (uint64_t)st.st_size;
    s->error = e;
    return s;
}

void span_close(struct span *s)
{
    if (s)
        close(s->fd);
    free(s);
}

bool span_damaged(struct span *s, const char *format, ...)
{
    char why[700];
    va_list values;
    if (s->failed)
        return false;
    s->failed = true;
    va_start(values, format);
    vsnprintf(why, sizeof why, format, values);
    va_end(values);
    return error_set(s->error, EXIT_DAMAGED, "%s is damaged at byte %" PRIu64 ": %s", s->path, s->at, why);
}

/* Whether `size` more bytes are there. */
static bool check(struct span *s, uint64_t size, const char *what)
{
    if (s->failed)
        return false;
    if (size <= s->size - s->at)
        return true;
    s->failed = true;
    return error_set(s->error, EXIT_DAMAGED,
                     "%s is damaged or cut off: at byte %" PRIu64 " %s should take %" PRIu64
                     " bytes, and there are %" PRIu64,
                     s->path, s->at, what, size, s->size - s->at);
}

static bool refill(struct span *s)
{
    ssize_t n;
    do
        n = pread(s->fd, s->buffer, sizeof s->buffer, (off_t)s->at);
    while (n < 0 && errno == EINTR);
    s->buffer_at = s->at;
    s->buffered = n > 0 ? (uint32_t)n : 0;
    if (n > 0)
        return true;
    s->failed = true;
    return error_set(s->error, EXIT_TROUBLE, "cannot read %s at byte %" PRIu64 ": %s", s->path, s->at,
                     n < 0 ? strerror(errno) : "it has become shorter");
}

bool span_bytes(struct span *s, void *to, uint64_t size, const char *what)
{
    uint8_t *out = to;
    if (!check(s, size, what)) {
        memset(to, 0, size);
        return false;
    }
    while (size) {
        bool inside = s->at >= s->buffer_at && s->at < s->buffer_at + s->buffered;
        if (!inside && !refill(s)) {
            memset(out, 0, size);
            return false;
        }
        uint64_t there = s->buffer_at + s->buffered - s->at, n = size < there ? size : there;
        memcpy(out, s->buffer + (s->at - s->buffer_at), n);
        out += n;
        s->at += n;
        size -= n;
    }
    return true;
}

bool span_skip(struct span *s, uint64_t size, const char *what)
{
    if (!check(s, size, what))
        return false;
    s->at += size;
    return true;
}

bool span_seek(struct span *s, uint64_t at, const char *what)
{
    if (s->failed)
        return false;
    if (at > s->size)
        return span_damaged(s, "%s is said to be at byte %" PRIu64 ", behind the end of the file at %" PRIu64, what, at,
                            s->size);
    s->at = at;
    return true;
}

char *span_text(struct span *s, uint64_t length, uint64_t most, const char *what)
{
    if (length > most && length <= s->size - s->at)
        span_damaged(s, "%s has %" PRIu64 " bytes, more than the %" PRIu64 " that are allowed", what, length, most);
    if (!check(s, length, what))
        return NULL;
    char *text = memory_take(length + 1);
    if (span_bytes(s, text, length, what))
        return text;
    free(text);
    return NULL;
}

uint8_t span_u8(struct span *s, const char *what)
{
    uint8_t n;
    span_bytes(s, &n, 1, what);
    return n;
}

static uint64_t little(struct span *s, uint32_t size, const char *what)
{
    uint8_t b[8] = { 0 };
    uint64_t n = 0;
    span_bytes(s, b, size, what);
    for (uint32_t i = 0; i < size; i++)
        n |= (uint64_t)b[i] << 8 * i;
    return n;
}

uint16_t span_u16(struct span *s, const char *what)
{
    return (uint16_t)little(s, 2, what);
}

uint32_t span_u32(struct span *s, const char *what)
{
    return (uint32_t)little(s, 4, what);
}

uint64_t span_u64(struct span *s, const char *what)
{
    return little(s, 8, what);
}
