/*
 * trace_builder.h: makes trace files record by record, without a tap, for tests of the analyzer. A builder has one
 * chunk after another in the log; records are coded as the tap codes them.
 */
#ifndef TESTS_TRACE_BUILDER_H
#define TESTS_TRACE_BUILDER_H

#include <memtap/record.h>
#include <memtap/trace.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct builder {
    struct trace_header header;
    uint8_t log[1 << 20]; /* finished chunks */
    size_t log_size;
    struct trace_chunk chunk;
    uint8_t payload[TRACE_PAYLOAD_SIZE];
    uint8_t *at;
    struct record_coder coder;
};

static const char *builder_written = "";

static inline void builder_begin(struct builder *b, uint32_t pid)
{
    static const char strings[] = "host\0/bin/program\0program\0--option";
    memset(b, 0, sizeof *b);
    b->header.identity = (struct trace_identity){ .magic = TRACE_MAGIC,
                                                  .major = TRACE_MAJOR,
                                                  .header_size = TRACE_HEADER_SIZE,
                                                  .pid = pid,
                                                  .start_time = 1000,
                                                  .start_mono_ns = 1000000,
                                                  .clock = TRACE_CLOCK_MONOTONIC,
                                                  .chunk_size = TRACE_CHUNK_SIZE,
                                                  .page_size = 4096,
                                                  .strings_size = sizeof strings };
    memcpy(b->header.strings, strings, sizeof strings);
}

/* What is put from here on belongs to this cursor and thread, and is not earlier than `time`. */
static inline void builder_chunk(struct builder *b, uint32_t cursor, uint32_t tid, uint64_t time)
{
    b->chunk = (struct trace_chunk){ .magic = TRACE_CHUNK_MAGIC,
                                     .cursor = cursor,
                                     .tid = tid,
                                     .time = time,
                                     .mono_ns = 1000000 + time,
                                     .sequence = b->header.status.next_sequence++ };
    b->at = b->payload;
    record_coder_begin(&b->coder, time);
}

static inline void builder_end_chunk(struct builder *b)
{
    struct trace_chunk *c = &b->chunk;
    c->committed = c->stored = (uint32_t)(b->at - b->payload);
    c->checksum = XXH3_64bits_withSeed(b->payload, c->stored, XXH3_64bits(c, offsetof(struct trace_chunk, checksum)));
    memcpy(b->log + b->log_size, c, sizeof *c);
    memcpy(b->log + b->log_size + sizeof *c, b->payload, c->stored);
    b->log_size += (sizeof *c + c->stored + TRACE_LOG_ALIGN - 1) & ~(size_t)(TRACE_LOG_ALIGN - 1);
}

static inline void builder_alloc(struct builder *b, uint64_t time, uint64_t address, uint64_t size)
{
    b->at = record_put_alloc(&b->coder, b->at, &(struct record_alloc){ time, address, size, 2, RECORD_CALL_MALLOC });
}

static inline void builder_free(struct builder *b, uint64_t time, uint64_t address)
{
    b->at = record_put_free(&b->coder, b->at, &(struct record_free){ time, address });
}

static inline void builder_realloc(struct builder *b, uint64_t time, uint64_t took, uint64_t old, uint64_t address,
                                   uint64_t size)
{
    struct record_realloc r = { time, took, old, address, size, 2, RECORD_CALL_REALLOC };
    b->at = record_put_realloc(&b->coder, b->at, &r);
}

static inline void builder_put(struct builder *b, enum record_kind kind, const void *fields, const char *text)
{
    b->at = record_put_plain(&b->coder, b->at, kind, fields, text, strlen(text), "", 0);
}

/* Writes the trace to PATH. */
static inline void builder_write(struct builder *b, const char *path)
{
    FILE *f = fopen(path, "w");
    b->header.status.log_end = TRACE_HEADER_SIZE + b->log_size;
    fwrite(&b->header, sizeof b->header, 1, f);
    fwrite(b->log, 1, b->log_size, f);
    fclose(f);
    builder_written = path;
}

/* After a test: removes the file that was written last. */
static inline int builder_remove(void **state)
{
    (void)state;
    unlink(builder_written);
    return 0;
}

#endif
