/* hook_file.c: reads of model files, which say which bytes of the file came to lie where. What opens and closes is
 * watched only because it gives a new meaning to a descriptor. Nothing is done before a real call that could wait. */
#include <errno.h>
#include <stdarg.h>

#include "event.h"
#include "files.h"
#include "real.h"

/* --- reading ----------------------------------------------------------------------------------------------------- */

static bool may_matter(int fd, size_t wanted, ssize_t got)
{
    return got > 0 && wanted >= FILES_LEAST && files_may_be_model(fd);
}

ssize_t hook_read(int fd, void *buffer, size_t size)
{
    ssize_t got = real()->read(fd, buffer, size);
    if (may_matter(fd, size, got))
        event_file_bytes(fd, buffer, (size_t)got, EVENT_BEFORE_POSITION);
    return got;
}

ssize_t hook_pread(int fd, void *buffer, size_t size, off_t offset)
{
    ssize_t got = real()->pread(fd, buffer, size, offset);
    if (may_matter(fd, size, got))
        event_file_bytes(fd, buffer, (size_t)got, offset);
    return got;
}

ssize_t hook_pread64(int fd, void *buffer, size_t size, off64_t offset)
{
    ssize_t got = real()->pread64(fd, buffer, size, offset);
    if (may_matter(fd, size, got))
        event_file_bytes(fd, buffer, (size_t)got, offset);
    return got;
}

/* One record for each part that got bytes. */
static void record_parts(int fd, const struct iovec *part, ssize_t got, int64_t offset)
{
    if (!may_matter(fd, FILES_LEAST, got) || !event_reads_model(fd))
        return;
    if (offset == EVENT_BEFORE_POSITION && (offset = sys_position(fd) - got) < 0)
        return;
    for (; got > 0; part++) {
        size_t size = part->iov_len < (size_t)got ? part->iov_len : (size_t)got;
        if (size > 0)
            event_file_bytes(fd, part->iov_base, size, offset);
        got -= (ssize_t)size;
        offset += (int64_t)size;
    }
}

ssize_t hook_readv(int fd, const struct iovec *parts, int count)
{
    ssize_t got = real()->readv(fd, parts, count);
    record_parts(fd, parts, got, EVENT_BEFORE_POSITION);
    return got;
}

ssize_t hook_preadv(int fd, const struct iovec *parts, int count, off_t offset)
{
    ssize_t got = real()->preadv(fd, parts, count, offset);
    record_parts(fd, parts, got, offset);
    return got;
}

ssize_t hook_preadv64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    ssize_t got = real()->preadv64(fd, parts, count, offset);
    record_parts(fd, parts, got, offset);
    return got;
}

/* Where the stream stands, if it reads from a model; else -1. Streams that have no descriptor have a negative one. */
static int64_t stream_position(FILE *stream, size_t size, size_t count)
{
    size_t wanted;
    if (__builtin_mul_overflow(size, count, &wanted) || wanted < FILES_LEAST || !files_may_be_model(stream->_fileno) ||
        !event_reads_model(stream->_fileno))
        return -1;
    int before = errno;
    off_t position = ftello(stream);
    errno = before;
    return position;
}

/* The bytes between two positions, which are more than what fread says where the last item is cut short. */
static void record_stream(FILE *stream, const void *buffer, int64_t from)
{
    int before = errno;
    int64_t to = ftello(stream);
    errno = before;
    if (to > from)
        event_file_bytes(stream->_fileno, buffer, (size_t)(to - from), from);
}

size_t hook_fread(void *buffer, size_t size, size_t count, FILE *stream)
{
    int64_t from = stream_position(stream, size, count);
    size_t got = real()->fread(buffer, size, count, stream);
    if (from >= 0)
        record_stream(stream, buffer, from);
    return got;
}

size_t hook_fread_unlocked(void *buffer, size_t size, size_t count, FILE *stream)
{
    int64_t from = stream_position(stream, size, count);
    size_t got = (real()->fread_unlocked)(buffer, size, count, stream); /* a macro in old headers */
    if (from >= 0)
        record_stream(stream, buffer, from);
    return got;
}

/* --- descriptors that get a new meaning -------------------------------------------------------------------------- */

/* The mode counts only where `flags` create a file; elsewhere what is passed on is never looked at. */
#define MODE_AFTER(flags)                                                                                              \
    __extension__({                                                                                                    \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t given = va_arg(more, mode_t);                                                                           \
        va_end(more);                                                                                                  \
        given;                                                                                                         \
    })

int hook_open(const char *path, int flags, ...)
{
    mode_t mode = MODE_AFTER(flags);
    int fd = real()->open(path, flags, mode);
    files_changed(fd);
    return fd;
}

int hook_open64(const char *path, int flags, ...)
{
    mode_t mode = MODE_AFTER(flags);
    int fd = real()->open64(path, flags, mode);
    files_changed(fd);
    return fd;
}

int hook_openat(int directory, const char *path, int flags, ...)
{
    mode_t mode = MODE_AFTER(flags);
    int fd = real()->openat(directory, path, flags, mode);
    files_changed(fd);
    return fd;
}

int hook_openat64(int directory, const char *path, int flags, ...)
{
    mode_t mode = MODE_AFTER(flags);
    int fd = real()->openat64(directory, path, flags, mode);
    files_changed(fd);
    return fd;
}

FILE *hook_fopen(const char *path, const char *mode)
{
    FILE *stream = real()->fopen(path, mode);
    if (stream)
        files_changed(stream->_fileno);
    return stream;
}

FILE *hook_fopen64(const char *path, const char *mode)
{
    FILE *stream = real()->fopen64(path, mode);
    if (stream)
        files_changed(stream->_fileno);
    return stream;
}

int hook_dup(int fd)
{
    int copy = real()->dup(fd);
    files_changed(copy);
    return copy;
}

int hook_dup2(int fd, int copy)
{
    int result = real()->dup2(fd, copy);
    files_changed(result);
    return result;
}

int hook_dup3(int fd, int copy, int flags)
{
    int result = real()->dup3(fd, copy, flags);
    files_changed(result);
    return result;
}

/* Before the real call: after it another thread may have the number. */
int hook_close(int fd)
{
    files_changed(fd);
    return real()->close(fd);
}

int hook_fclose(FILE *stream)
{
    files_changed(stream->_fileno);
    return real()->fclose(stream);
}
