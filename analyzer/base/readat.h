/* readat.h: exactly so many bytes of a file, from an offset on. */
#ifndef BASE_READAT_H
#define BASE_READAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False if they cannot be read, or not all of them are there; the file's own position stays. */
bool readat(int fd, void *buffer, size_t size, uint64_t offset);

#endif
