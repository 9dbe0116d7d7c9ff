/*
 * fuzz_trace.c: any bytes as a trace file, for libFuzzer and AFL++. Opens it, reads all events, replays them, builds the
 * stacks; must neither crash, nor hang, nor take memory out of proportion.
 *
 * The checksums would keep mutations out of the decoder, so every chunk's is put right first, except where the input's
 * first byte is odd. Its second byte tells where the rest goes: as a whole file, or as the payload of one chunk.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "heap/heap.h"
#include "trace/inside.h"

static uint8_t file[1 << 20];

static size_t wrap_payload(const uint8_t *data, size_t size)
{
    struct trace_header *h = (struct trace_header *)file;
    struct trace_chunk *c = (struct trace_chunk *)(file + sizeof *h);
    memset(file, 0, sizeof *h + sizeof *c);
    h->identity = (struct trace_identity){ .magic = TRACE_MAGIC,
                                           .major = TRACE_MAJOR,
                                           .header_size = TRACE_HEADER_SIZE,
                                           .chunk_size = TRACE_CHUNK_SIZE,
                                           .page_size = 4096,
                                           .start_time = 1 };
    *c = (struct trace_chunk){
        .magic = TRACE_CHUNK_MAGIC, .committed = (uint32_t)size, .stored = (uint32_t)size, .time = 1
    };
    memcpy(c + 1, data, size);
    return sizeof *h + sizeof *c + size;
}

static void mend_checksums(uint8_t *bytes, size_t size)
{
    for (size_t at = TRACE_HEADER_SIZE; at + sizeof(struct trace_chunk) <= size; at += TRACE_LOG_ALIGN) {
        struct trace_chunk *c = (struct trace_chunk *)(bytes + at);
        if (c->magic == TRACE_CHUNK_MAGIC && at + sizeof *c + c->stored <= size)
            c->checksum =
                XXH3_64bits_withSeed(c + 1, c->stored, XXH3_64bits(c, offsetof(struct trace_chunk, checksum)));
    }
}

static void walk_stacks(const struct trace *t)
{
    for (uint32_t node = 0; node < trace_node_count(t); node++)
        for (const struct trace_node *n = trace_node(t, node); n; n = trace_node(t, n->parent))
            if (n->module != RECORD_MODULE_TAG)
                trace_module(t, n->module);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error e = { .code = 0 };
    struct trace *t;
    if (size < 2 || size > sizeof file - TRACE_HEADER_SIZE - 64)
        return 0;
    size_t length = size - 2;
    if (data[1] % 4)
        memcpy(file, data + 2, length);
    else
        length = wrap_payload(data + 2, length < TRACE_PAYLOAD_SIZE ? length : TRACE_PAYLOAD_SIZE);
    if (data[0] % 2 == 0)
        mend_checksums(file, length);
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, file, length) != (ssize_t)length || !trace_open_fd(fd, "fuzz", &t, &e))
        return 0;
    struct session s = { .trace = &t, .count = 1 };
    struct heap **heap = heap_replay(&s, &(struct heap_options){ .quiet = true });
    walk_stacks(t);
    heap_free_all(heap, 1);
    trace_close(t);
    return 0;
}
