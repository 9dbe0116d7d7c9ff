/* source.c: see source.h. */
#include "trace/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#include "base/memory.h"
#include "base/readat.h"

/* --- header ------------------------------------------------------------------------------------------------------ */

/* A small trace is shorter than a whole header: what is not there is zero. */
static void read_header(struct source *s)
{
    size_t size = s->size < sizeof s->header ? (size_t)s->size : sizeof s->header;
    memset(&s->header, 0, sizeof s->header);
    if (!readat(s->fd, &s->header, size, 0))
        s->header.identity.magic = 0;
    s->header.warnings[TRACE_WARNINGS_SIZE - 1] = '\0';
    s->header.settings[TRACE_SETTINGS_SIZE - 1] = s->header.settings[TRACE_SETTINGS_SIZE - 2] = '\0';
    s->header.strings[TRACE_STRINGS_SIZE - 1] = '\0';
    s->header.identity.fork_parent[sizeof s->header.identity.fork_parent - 1] = '\0';
    s->header.identity.version[sizeof s->header.identity.version - 1] = '\0';
    if (s->header.identity.strings_size > TRACE_STRINGS_SIZE)
        s->header.identity.strings_size = TRACE_STRINGS_SIZE;
    if (s->header.status.region_count > TRACE_REGIONS)
        s->header.status.region_count = TRACE_REGIONS;
}

static bool check_header(const struct source *s, const char *path, struct error *e)
{
    const struct trace_identity *i = &s->header.identity;
    if (source_is_unbegun(s->fd))
        return error_set(e, EXIT_DAMAGED,
                         "%s holds nothing: its process ended before the recording began, or is only "
                         "just starting",
                         path);
    if (i->magic != TRACE_MAGIC)
        return error_set(e, EXIT_DAMAGED, "%s is no memtap trace: it does not begin with the trace's mark", path);
    if (i->major > TRACE_MAJOR)
        return error_set(e, EXIT_DAMAGED, "%s has trace format %u.%u, and this memtap reads up to %u: use a newer one",
                         path, i->major, i->minor, TRACE_MAJOR);
    if (i->chunk_size != TRACE_CHUNK_SIZE || i->header_size != TRACE_HEADER_SIZE || i->time_shift > 32)
        return error_set(e, EXIT_DAMAGED, "%s is damaged: its header holds impossible sizes", path);
    return true;
}

/* --- index ------------------------------------------------------------------------------------------------------- */

static bool plausible(const struct trace_chunk *c)
{
    return c->magic == TRACE_CHUNK_MAGIC && c->encoding <= TRACE_ENCODING_ZSTD && c->committed <= TRACE_PAYLOAD_SIZE &&
           c->stored <= TRACE_CHUNK_SIZE && (c->cursor < TRACE_SLOTS || c->cursor == TRACE_CURSOR_OUTSIDE);
}

static struct chunk_ref *add_chunk(struct source *s, const struct trace_chunk *c)
{
    array_room(s->chunk, s->count, s->room);
    struct chunk_ref *ref = &s->chunk[s->count++];
    *ref = (struct chunk_ref){ .sequence = c->sequence,
                               .time = c->time,
                               .mono_ns = c->mono_ns,
                               .cursor = c->cursor,
                               .tid = c->tid,
                               .committed = c->committed,
                               .stored = c->stored,
                               .encoding = c->encoding,
                               .checksum = c->checksum,
                               .seed = XXH3_64bits(c, offsetof(struct trace_chunk, checksum)) };
    return ref;
}

static uint64_t slot_state(const struct source *s, uint32_t slot)
{
    uint64_t state = 0;
    readat(s->fd, &state, sizeof state, offsetof(struct trace_header, slots) + slot * sizeof state);
    return state;
}

/* Copies what is committed in a slot. The writer may turn the chunk meanwhile: then it is in the log, or tried again. */
static void copy_slot(struct source *s, uint32_t slot, uint64_t offset)
{
    struct trace_chunk c;
    for (int attempt = 0; attempt < 8; attempt++) {
        uint64_t state = slot_state(s, slot), what = TRACE_STATE_OF(state);
        s->busy += what == TRACE_STATE_BUSY;
        if (what == TRACE_STATE_FREE || what == TRACE_STATE_BUSY || !readat(s->fd, &c, sizeof c, offset))
            return;
        if (!plausible(&c) || c.encoding != TRACE_ENCODING_RAW) {
            s->damaged += attempt == 7;
            continue;
        }
        uint8_t *memory = memory_take(c.committed);
        bool whole = readat(s->fd, memory, c.committed, offset + sizeof c);
        if (whole && slot_state(s, slot) == state && state >> TRACE_STATE_BITS == c.sequence) {
            add_chunk(s, &c)->memory = memory;
            s->lost += c.lost;
            return;
        }
        free(memory);
        s->damaged += attempt == 7;
    }
}

static void index_ring(struct source *s)
{
    for (uint32_t region = 0; region < s->header.status.region_count; region++) {
        uint64_t first = s->header.regions[region];
        for (uint32_t i = 0; i < TRACE_REGION_SLOTS && first < s->size; i++)
            copy_slot(s, region * TRACE_REGION_SLOTS + i, first + (uint64_t)i * TRACE_CHUNK_SIZE);
    }
}

/* If the offset lies in a ring region, the offset behind it. */
static uint64_t skip_regions(const struct source *s, uint64_t offset)
{
    const uint64_t length = (uint64_t)TRACE_REGION_SLOTS * TRACE_CHUNK_SIZE;
    for (uint32_t i = 0; i < s->header.status.region_count; i++)
        if (offset - s->header.regions[i] < length)
            return s->header.regions[i] + length;
    return offset;
}

static bool all_zero(const uint8_t *p, size_t size)
{
    return size == 0 || (p[0] == 0 && memcmp(p, p + 1, size - 1) == 0);
}

/* The next place at or behind `offset` where a log entry begins; the end of the file if there is none. */
static uint64_t find_entry(struct source *s, uint64_t offset, struct trace_chunk *c, bool *damaged)
{
    uint8_t block[TRACE_LOG_ALIGN];
    for (;; offset += TRACE_LOG_ALIGN) {
        off_t data = lseek(s->fd, (off_t)offset, SEEK_DATA); /* jumps over holes, where the file system knows them */
        if (data > (off_t)offset)
            offset = (uint64_t)data & ~(uint64_t)(TRACE_LOG_ALIGN - 1);
        uint64_t behind = skip_regions(s, offset);
        if (behind != offset) {
            offset = behind - TRACE_LOG_ALIGN;
            continue;
        }
        if ((data < 0 && errno == ENXIO) || offset + sizeof *c > s->size)
            return s->size;
        size_t size = s->size - offset < sizeof block ? (size_t)(s->size - offset) : sizeof block;
        if (!readat(s->fd, block, size, offset))
            return s->size;
        memcpy(c, block, sizeof *c);
        if (plausible(c))
            return offset;
        *damaged |= !all_zero(block, size);
    }
}

static void index_log(struct source *s)
{
    struct trace_chunk c;
    uint64_t offset = TRACE_HEADER_SIZE;
    for (;;) {
        bool damaged = false;
        offset = find_entry(s, offset, &c, &damaged);
        s->damaged += damaged;
        if (offset >= s->size)
            return;
        uint64_t length = sizeof c + c.stored;
        if (offset + length > s->size)
            return; /* torn off: its number is missing now, unless the chunk is still in the ring */
        add_chunk(s, &c)->offset = offset + sizeof c;
        offset += (length + TRACE_LOG_ALIGN - 1) & ~(uint64_t)(TRACE_LOG_ALIGN - 1);
    }
}

static int by_sequence(const void *a, const void *b)
{
    const struct chunk_ref *x = a, *y = b;
    if (x->sequence != y->sequence)
        return x->sequence < y->sequence ? -1 : 1;
    return x->committed != y->committed ? (x->committed > y->committed ? -1 : 1)
                                        : (y->memory != NULL) - (x->memory != NULL);
}

static int by_cursor(const void *a, const void *b)
{
    const struct chunk_ref *x = a, *y = b;
    if (x->cursor != y->cursor)
        return x->cursor < y->cursor ? -1 : 1;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

/* Of copies of one chunk the longest stays, and of equals the one from the ring: nobody tears it. */
static void drop_copies(struct source *s)
{
    uint32_t kept = 0;
    array_sort(s->chunk, s->count, sizeof *s->chunk, by_sequence);
    for (uint32_t i = 0; i < s->count; i++) {
        if (kept && s->chunk[kept - 1].sequence == s->chunk[i].sequence)
            free(s->chunk[i].memory);
        else
            s->chunk[kept++] = s->chunk[i];
    }
    s->count = kept;
    uint64_t expected = s->header.status.next_sequence;
    expected -= expected < s->busy ? expected : s->busy; /* a busy slot may have drawn a number and not used it yet */
    s->missing = expected > kept ? expected - kept : 0;
    for (uint32_t i = 0; i < kept; i++)
        s->bytes += sizeof(struct trace_chunk) + s->chunk[i].stored + (s->chunk[i].memory ? s->chunk[i].committed : 0);
    array_sort(s->chunk, s->count, sizeof *s->chunk, by_cursor);
}

/* --- the room's face --------------------------------------------------------------------------------------------- */

/* The tap writes the mark when all else of the header is there, and makes the ring behind it. */
bool source_is_unbegun(int fd)
{
    struct stat st;
    uint64_t magic = 0;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > TRACE_HEADER_SIZE)
        return false;
    return st.st_size == 0 || (readat(fd, &magic, sizeof magic, 0) && magic == 0);
}

bool source_open(struct source *s, int fd, const char *path, struct error *e)
{
    struct stat st;
    memset(s, 0, sizeof *s);
    s->fd = fd;
    if (fstat(s->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(s->fd);
        return error_set(e, EXIT_TROUBLE, "%s is not a regular file", path);
    }
    s->size = (uint64_t)st.st_size;
    read_header(s);
    if (!check_header(s, path, e)) {
        close(s->fd);
        return false;
    }
    index_ring(s); /* first: what leaves the ring from now on is found in the log */
    if (fstat(s->fd, &st) == 0)
        s->size = (uint64_t)st.st_size;
    index_log(s);
    drop_copies(s);
    return true;
}

void source_close(struct source *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        free(s->chunk[i].memory);
    free(s->chunk);
    close(s->fd);
}

bool source_load(const struct source *s, const struct chunk_ref *c, uint8_t *buffer)
{
    uint8_t stored[TRACE_CHUNK_SIZE];
    if (c->memory) {
        memcpy(buffer, c->memory, c->committed);
        return true;
    }
    uint8_t *place = c->encoding == TRACE_ENCODING_RAW ? buffer : stored;
    if (c->encoding == TRACE_ENCODING_RAW && c->stored != c->committed)
        return false;
    if (!readat(s->fd, place, c->stored, c->offset) || XXH3_64bits_withSeed(place, c->stored, c->seed) != c->checksum)
        return false;
    if (c->encoding == TRACE_ENCODING_RAW)
        return true;
    return ZSTD_decompress(buffer, c->committed, stored, c->stored) == c->committed;
}
