/*
 * fuzz_residency.c: any bytes as a file of snapshots, for libFuzzer and AFL++. Opens it, loads every snapshot, asks it;
 * must neither crash, nor hang, nor take memory out of proportion.
 *
 * If the input's first byte is even, the rest goes as a whole file, with checksums put right; else as the uncompressed
 * bytes of one snapshot, which compression would keep mutations away from.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "residency/inside.h"

static uint8_t file[1 << 18];

static void mend_checksums(uint8_t *bytes, size_t size)
{
    for (size_t at = 16; at + 32 <= size; at++) {
        uint32_t stored;
        memcpy(&stored, bytes + at + 20, sizeof stored);
        if (memcmp(bytes + at, "MRTS", 4) != 0 || stored > size - at - 32)
            continue;
        uint64_t sum = XXH3_64bits_withSeed(bytes + at + 32, stored, XXH3_64bits(bytes + at, 24));
        memcpy(bytes + at + 24, &sum, sizeof sum);
    }
}

static void ask(const struct residency_snapshot *s)
{
    residency_of(s, 0, UINT64_MAX);
    residency_of(s, UINT64_MAX, 0);
    for (uint32_t i = 0; i < s->vmas && i < 1000; i++) {
        struct residency_bytes b = residency_of(s, s->vma[i].start + 1, s->vma[i].end);
        if (residency_vma_at(s, s->vma[i].start) != &s->vma[i] || strlen(s->vma[i].path) + b.huge == UINT64_MAX)
            abort();
    }
    /* what can be read can be written again */
    struct bytes again = { .byte = NULL };
    encode(s, 1, &again);
    free(again.byte);
}

static void read_snapshot(const uint8_t *data, size_t size)
{
    struct residency_snapshot *s = calloc(1, sizeof *s);
    if (decode(data, size, s))
        ask(s);
    residency_free(s);
}

static void read_file(const uint8_t *data, size_t size)
{
    struct error e = { .code = 0 };
    memcpy(file, data, size);
    mend_checksums(file, size);
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, file, size) != (ssize_t)size)
        abort();
    struct residency *r = residency_open_fd(fd, "fuzz", &e);
    for (uint32_t i = 0; r && i < residency_count(r); i++) {
        struct residency_snapshot *s = residency_load(r, i);
        if (s)
            ask(s);
        residency_free(s);
    }
    if (r)
        residency_nearest(r, size);
    residency_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > sizeof file)
        return 0;
    if (data[0] % 2)
        read_snapshot(data + 1, size - 1);
    else
        read_file(data + 1, size - 1);
    return 0;
}
