/* pack.c: see pack.h. */
#include "trace/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#include "base/memory.h"
#include "trace/inside.h"
#include "trace/lanes.h"

#define PACK_MAGIC "MTAPPACK"
#define PACK_VERSION 2u /* 1: no lanes */
#define PACK_LEVEL 9
#define MOST_SECTION ((uint64_t)1 << 40)

enum section_kind { SECTION_TRACE = 1, SECTION_SYMBOLS = 2, SECTION_PAGES = 3, SECTION_LANES = 4 };

struct pack_head {
    char magic[8];
    uint32_t version, reserved;
};

struct section {
    uint32_t kind, name_size;
    uint64_t size, stored, checksum;
};

/* --- writing ----------------------------------------------------------------------------------------------------- */

/* Feeds one section through the compressor; its head is written last, when the sizes are known. */
struct section_writer {
    FILE *out;
    ZSTD_CStream *stream;
    XXH3_state_t hash;
    struct section section;
    long head;
    bool fine;
};

static void compress(struct section_writer *w, const void *bytes, size_t size, ZSTD_EndDirective end)
{
    char stored[65536];
    ZSTD_inBuffer in = { bytes, size, 0 };
    size_t left;
    w->section.size += size;
    do {
        ZSTD_outBuffer out = { stored, sizeof stored, 0 };
        left = ZSTD_compressStream2(w->stream, &out, &in, end);
        w->fine &= !ZSTD_isError(left) && fwrite(stored, 1, out.pos, w->out) == out.pos;
        XXH3_64bits_update(&w->hash, stored, out.pos);
        w->section.stored += out.pos;
    } while (w->fine && (end == ZSTD_e_continue ? in.pos < in.size : left != 0));
}

static void section_begin(struct section_writer *w, enum section_kind kind, const char *name)
{
    w->section = (struct section){ .kind = (uint32_t)kind, .name_size = (uint32_t)strlen(name) };
    w->head = ftell(w->out);
    w->fine &= fwrite(&w->section, sizeof w->section, 1, w->out) == 1 &&
               fwrite(name, 1, w->section.name_size, w->out) == w->section.name_size;
    XXH3_64bits_reset(&w->hash);
    ZSTD_CCtx_reset(w->stream, ZSTD_reset_session_only);
}

static void section_end(struct section_writer *w)
{
    compress(w, NULL, 0, ZSTD_e_end);
    w->section.checksum = XXH3_64bits_digest(&w->hash);
    w->fine &= fseek(w->out, w->head, SEEK_SET) == 0 && fwrite(&w->section, sizeof w->section, 1, w->out) == 1 &&
               fseek(w->out, 0, SEEK_END) == 0;
}

static void write_part(void *w, const void *bytes, size_t size)
{
    compress(w, bytes, size, ZSTD_e_flush);
}

/* A damaged chunk stays missing. */
static void write_chunk(struct section_writer *w, struct lanes *lanes, const struct source *s,
                        const struct chunk_ref *c, uint8_t *payload)
{
    struct trace_chunk head = { .magic = TRACE_CHUNK_MAGIC,
                                .encoding = TRACE_ENCODING_RAW,
                                .committed = c->committed,
                                .stored = c->committed,
                                .sequence = c->sequence,
                                .cursor = c->cursor,
                                .tid = c->tid,
                                .time = c->time,
                                .mono_ns = c->mono_ns };
    if (!source_load(s, c, payload))
        return;
    head.checksum =
        XXH3_64bits_withSeed(payload, c->committed, XXH3_64bits(&head, offsetof(struct trace_chunk, checksum)));
    if (lanes_add(lanes, &head, payload))
        lanes_give(lanes, write_part, w);
}

static void write_trace(struct section_writer *w, const struct trace *t)
{
    const char *slash = strrchr(t->path, '/');
    struct trace_header *h = memory_take(sizeof *h);
    uint8_t *payload = memory_take(TRACE_CHUNK_SIZE);
    struct lanes *lanes = lanes_new();
    *h = t->source.header;
    h->status.region_count = 0;
    memset(h->slots, 0, sizeof h->slots);
    for (int cause = 0; cause < TRACE_LOSS_COUNT; cause++)
        h->status.losses[cause] = t->info.losses[cause]; /* with those that the ring's slots counted */
    section_begin(w, SECTION_LANES, slash ? slash + 1 : t->path);
    compress(w, h, sizeof *h, ZSTD_e_continue);
    for (uint32_t i = 0; i < t->source.count; i++)
        write_chunk(w, lanes, &t->source, &t->source.chunk[i], payload);
    lanes_give(lanes, write_part, w);
    section_end(w);
    lanes_free(lanes);
    free(payload);
    free(h);
}

/* As it is: it may be cut off or damaged, and its reader knows how to deal with that. */
static void write_pages(struct section_writer *w, const struct trace *t)
{
    char name[256], block[65536];
    const char *slash = strrchr(t->path, '/'), *base = slash ? slash + 1 : t->path;
    int fd = trace_pages(t);
    if (fd < 0)
        return;
    snprintf(name, sizeof name, "%.*s.pages", (int)(strlen(base) - strlen(".mtap")), base);
    section_begin(w, SECTION_PAGES, name);
    uint64_t done = 0;
    for (ssize_t n; w->fine && (n = pread(fd, block, sizeof block, (off_t)done)) > 0; done += (uint64_t)n)
        compress(w, block, (size_t)n, ZSTD_e_continue);
    section_end(w);
    close(fd);
}

bool session_pack(const struct session *s, const char *symbols, const char *path, struct error *e)
{
    struct pack_head head = { PACK_MAGIC, PACK_VERSION, 0 };
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(e, EXIT_TROUBLE, "cannot make %s: %s", path, strerror(errno));
    struct section_writer w = { .out = fdopen(fd, "w"), .stream = ZSTD_createCStream(), .fine = true };
    ZSTD_CCtx_setParameter(w.stream, ZSTD_c_compressionLevel, PACK_LEVEL);
    w.fine = fwrite(&head, sizeof head, 1, w.out) == 1;
    section_begin(&w, SECTION_SYMBOLS, "symbols");
    compress(&w, symbols, strlen(symbols), ZSTD_e_continue);
    section_end(&w);
    for (uint32_t i = 0; i < s->count && w.fine; i++) {
        write_trace(&w, s->trace[i]);
        write_pages(&w, s->trace[i]);
    }
    ZSTD_freeCStream(w.stream);
    w.fine &= fclose(w.out) == 0;
    if (w.fine)
        return true;
    error_set(e, EXIT_TROUBLE, "cannot write %s: %s", path, strerror(errno));
    unlink(path);
    return false;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

bool pack_is(const char *path)
{
    char magic[8] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is = fd >= 0 && read(fd, magic, sizeof magic) == (ssize_t)sizeof magic &&
              memcmp(magic, PACK_MAGIC, sizeof magic) == 0;
    if (fd >= 0)
        close(fd);
    return is;
}

/* A file without a name, for a trace that is unpacked: it can be larger than the memory. */
static int nameless_file(void)
{
    const char *directory = getenv("TMPDIR");
    int fd = open(directory ? directory : "/var/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : memfd_create("memtap", MFD_CLOEXEC);
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

/* Where the bytes of a section go. */
struct unpacked {
    int fd;
    struct lanes *lanes; /* through which, behind the header; NULL: as they are */
    uint64_t size;       /* how many there have been */
};

/* A chunk as a log entry. */
static bool write_entry(void *u, const struct trace_chunk *head, const uint8_t *payload)
{
    static const char zeros[TRACE_LOG_ALIGN];
    size_t behind = (TRACE_LOG_ALIGN - (sizeof *head + head->committed) % TRACE_LOG_ALIGN) % TRACE_LOG_ALIGN;
    int fd = ((const struct unpacked *)u)->fd;
    return write_all(fd, (const char *)head, sizeof *head) && write_all(fd, (const char *)payload, head->committed) &&
           write_all(fd, zeros, behind);
}

static bool write_unpacked(struct unpacked *u, const char *bytes, size_t size)
{
    size_t header = 0;
    if (!u->lanes || u->size + size <= sizeof(struct trace_header))
        header = size;
    else if (u->size < sizeof(struct trace_header))
        header = sizeof(struct trace_header) - u->size;
    u->size += size;
    return write_all(u->fd, bytes, header) &&
           (header == size || lanes_take(u->lanes, bytes + header, size - header, write_entry, u));
}

/* Unpacks a section's bytes; checks them on the way. */
static bool unpack(FILE *in, const struct section *section, struct unpacked *to)
{
    char stored[65536], plain[65536];
    ZSTD_DStream *stream = ZSTD_createDStream();
    XXH3_state_t hash;
    uint64_t left = section->stored;
    bool fine = true;
    XXH3_64bits_reset(&hash);
    while (fine && left > 0) {
        size_t size = left < sizeof stored ? (size_t)left : sizeof stored;
        ZSTD_inBuffer from = { stored, fread(stored, 1, size, in), 0 };
        XXH3_64bits_update(&hash, stored, from.size);
        fine = from.size == size;
        left -= size;
        while (fine && from.pos < from.size) {
            ZSTD_outBuffer out = { plain, sizeof plain, 0 };
            fine = !ZSTD_isError(ZSTD_decompressStream(stream, &out, &from)) && write_unpacked(to, plain, out.pos) &&
                   to->size <= section->size;
        }
    }
    ZSTD_freeDStream(stream);
    return fine && to->size == section->size && XXH3_64bits_digest(&hash) == section->checksum &&
           (!to->lanes || lanes_whole(to->lanes));
}

static char *read_symbols(int fd, uint64_t size)
{
    char *text = memory_take((size_t)size + 1);
    if (pread(fd, text, (size_t)size, 0) != (ssize_t)size)
        *text = '\0';
    return text;
}

/* Where what is in a pack goes. */
struct unpacker {
    const char *path;
    const struct pack_taker *taker;
    char **symbols;
    struct error *e;
};

static void give(const struct unpacker *u, const struct section *section, const char *name, int fd)
{
    char label[600];
    snprintf(label, sizeof label, "%.300s/%.255s", u->path, name);
    if (section->kind == SECTION_TRACE || section->kind == SECTION_LANES) {
        u->taker->trace(u->taker->context, fd, label);
        return;
    }
    if (section->kind == SECTION_PAGES) {
        u->taker->pages(u->taker->context, fd, label);
        return;
    }
    if (section->kind == SECTION_SYMBOLS && !*u->symbols && section->size < (uint64_t)1 << 30)
        *u->symbols = read_symbols(fd, section->size);
    close(fd);
}

/* One section. False at the end, or if what follows cannot be found any more. */
static bool read_section(const struct unpacker *u, FILE *in)
{
    struct section section;
    char name[256];
    if (fread(&section, sizeof section, 1, in) != 1)
        return false;
    if (section.name_size >= sizeof name || section.size > MOST_SECTION || section.stored > MOST_SECTION ||
        fread(name, 1, section.name_size, in) != section.name_size)
        return error_set(u->e, EXIT_DAMAGED, "%s is damaged: a section has an impossible size", u->path);
    name[section.name_size] = '\0';
    struct unpacked to = { .fd = nameless_file() };
    if (to.fd < 0)
        return error_set(u->e, EXIT_TROUBLE, "cannot make a temporary file: %s", strerror(errno));
    if (section.kind == SECTION_LANES)
        to.lanes = lanes_new();
    bool fine = unpack(in, &section, &to);
    if (to.lanes)
        lanes_free(to.lanes);
    if (!fine) {
        close(to.fd);
        return error_set(u->e, EXIT_DAMAGED, "%s is damaged: its section %.80s does not match its checksum", u->path,
                         name);
    }
    give(u, &section, name, to.fd);
    return true;
}

bool pack_read(const char *path, const struct pack_taker *taker, char **symbols, struct error *e)
{
    const struct unpacker u = { path, taker, symbols, e };
    struct pack_head head;
    FILE *in = fopen(path, "re");
    bool whole = in && fread(&head, sizeof head, 1, in) == 1;
    e->code = 0;
    if (!whole)
        error_set(e, EXIT_DAMAGED, "%s is cut off", path);
    else if (head.version > PACK_VERSION)
        error_set(e, EXIT_DAMAGED, "%s is packed in format %u, and this memtap reads up to %u: use a newer one", path,
                  head.version, PACK_VERSION);
    while (e->code == 0 && read_section(&u, in))
        ;
    if (in)
        fclose(in);
    return e->code == 0;
}
