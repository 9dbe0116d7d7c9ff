/* readat.c: see readat.h. */
#include "base/readat.h"

#include <errno.h>
#include <unistd.h>

bool readat(int fd, void *buffer, size_t size, uint64_t offset)
{
    for (char *p = buffer; size > 0;) {
        ssize_t n = pread(fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}
