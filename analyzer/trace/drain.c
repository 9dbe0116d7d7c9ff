/*
 * drain.c: empties the rings of a session while it is recorded, so that the target's threads need not append their full
 * chunks themselves, and stores them compressed. A slot is let go only when its chunk is in the log. See trace.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#include "base/memory.h"
#include "trace/inside.h"

#define REGION_SIZE ((size_t)TRACE_REGION_SLOTS * TRACE_CHUNK_SIZE)
#define LEVEL 1

/* One trace that is being drained, or was: then only its name and its process are still known. */
struct tap {
    char *name;
    uint32_t pid, marks;
    uint64_t start_ns;
    bool ended, replaced; /* replaced: by another program image of the same process */
    bool seen;            /* under its pid: it is no pid of another namespace, and that it is gone can be told */
    int fd;               /* -1: let go */
    struct trace_header *header;
    uint8_t *region[TRACE_REGIONS];
};

struct trace_drain {
    char *directory;
    struct timespec changed; /* when the directory was last read */
    struct tap *tap;
    uint32_t taps, room;
    ZSTD_CCtx *compressor;
    uint8_t chunk[TRACE_CHUNK_SIZE], entry[TRACE_CHUNK_SIZE + 1024];
};

static uint64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- which traces there are -------------------------------------------------------------------------------------- */

static bool is_known(const struct trace_drain *d, const char *name)
{
    for (uint32_t i = 0; i < d->taps; i++)
        if (strcmp(d->tap[i].name, name) == 0)
            return true;
    return false;
}

/* Of several traces of one process the one that began last is of the program that it is now. */
static void find_replaced(struct trace_drain *d, struct tap *t)
{
    for (uint32_t i = 0; i < d->taps; i++)
        if (d->tap[i].pid == t->pid) {
            bool older = d->tap[i].start_ns < t->start_ns;
            d->tap[i].replaced |= older;
            t->replaced |= !older;
        }
}

static void attach(struct trace_drain *d, const char *name)
{
    struct tap t = { .fd = -1 };
    char path[4400];
    struct stat st;
    snprintf(path, sizeof path, "%.4000s/%.255s", d->directory, name);
    t.fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (t.fd < 0)
        return;
    if (fstat(t.fd, &st) < 0 || st.st_size < (off_t)offsetof(struct trace_header, slots)) {
        close(t.fd);
        return; /* still being made: next time */
    }
    t.header = mmap(NULL, sizeof *t.header, PROT_READ | PROT_WRITE, MAP_SHARED, t.fd, 0);
    if (t.header == MAP_FAILED || t.header->identity.magic != TRACE_MAGIC || t.header->identity.major != TRACE_MAJOR) {
        if (t.header != MAP_FAILED)
            munmap(t.header, sizeof *t.header);
        close(t.fd);
        return;
    }
    t.name = memory_copy(name, strlen(name));
    t.pid = t.header->identity.pid;
    t.start_ns = t.header->identity.start_mono_ns;
    t.seen = t.header->identity.start_jiffies && trace_start_of_process(t.pid) == t.header->identity.start_jiffies;
    find_replaced(d, &t);
    __atomic_store_n(&t.header->control.reader_beat, monotonic_ns(), __ATOMIC_RELAXED);
    __atomic_store_n(&t.header->control.reader_pid, (uint32_t)getpid(), __ATOMIC_RELEASE);
    array_room(d->tap, d->taps, d->room);
    d->tap[d->taps++] = t;
}

static uint32_t regions_of(const struct tap *t)
{
    uint32_t count = __atomic_load_n(&t->header->status.region_count, __ATOMIC_ACQUIRE);
    return count <= TRACE_REGIONS ? count : 0;
}

static bool has_ended(const struct tap *t)
{
    return kill((pid_t)t->pid, 0) < 0 && errno == ESRCH;
}

static void find_traces(struct trace_drain *d)
{
    struct stat st;
    DIR *list = NULL;
    if (stat(d->directory, &st) == 0 &&
        (st.st_mtim.tv_sec != d->changed.tv_sec || st.st_mtim.tv_nsec != d->changed.tv_nsec))
        list = opendir(d->directory);
    if (!list)
        return;
    for (struct dirent *entry; (entry = readdir(list));) {
        size_t length = strlen(entry->d_name);
        if (length > 5 && strcmp(entry->d_name + length - 5, ".mtap") == 0 && !is_known(d, entry->d_name))
            attach(d, entry->d_name);
    }
    closedir(list);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec >
        st.st_mtim.tv_sec + 1) /* what is made within the same tick of the file system's clock is not missed */
        d->changed = st.st_mtim;
}

/* --- one ring ---------------------------------------------------------------------------------------------------- */

static struct trace_chunk *slot_memory(struct tap *t, uint32_t slot)
{
    uint32_t region = slot / TRACE_REGION_SLOTS;
    if (!t->region[region]) {
        void *p = mmap(NULL, REGION_SIZE, PROT_READ, MAP_SHARED, t->fd, (off_t)t->header->regions[region]);
        if (p == MAP_FAILED)
            return NULL;
        t->region[region] = p;
    }
    return (struct trace_chunk *)(t->region[region] + (size_t)(slot % TRACE_REGION_SLOTS) * TRACE_CHUNK_SIZE);
}

/* Bytes of the slot that somebody may still read. */
static uint64_t bytes_in_use(struct tap *t, uint32_t slot)
{
    uint64_t state = TRACE_STATE_OF(t->header->slots[slot]);
    const struct trace_chunk *c = state == TRACE_STATE_OPEN ? slot_memory(t, slot) : NULL;
    if (state == TRACE_STATE_FREE)
        return 0;
    return c && c->committed <= TRACE_PAYLOAD_SIZE ? sizeof *c + c->committed : TRACE_CHUNK_SIZE;
}

/* The process has certainly ended: the disk space of its ring goes back, but for what is in it. */
static void release_space(struct tap *t)
{
    for (uint32_t slot = 0; slot < regions_of(t) * TRACE_REGION_SLOTS; slot++) {
        uint64_t used = (bytes_in_use(t, slot) + 4095) & ~(uint64_t)4095;
        uint64_t start =
            t->header->regions[slot / TRACE_REGION_SLOTS] + (uint64_t)(slot % TRACE_REGION_SLOTS) * TRACE_CHUNK_SIZE;
        if (used < TRACE_CHUNK_SIZE)
            fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(start + used),
                      (off_t)(TRACE_CHUNK_SIZE - used));
    }
}

static void let_go(struct tap *t)
{
    if (t->fd < 0)
        return;
    if (t->seen && has_ended(t))
        release_space(t);
    __atomic_store_n(&t->header->control.reader_pid, 0, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < TRACE_REGIONS; i++)
        if (t->region[i])
            munmap(t->region[i], REGION_SIZE);
    munmap(t->header, sizeof *t->header);
    close(t->fd);
    t->fd = -1;
}

/* Puts the copied chunk into the log. */
static bool store(struct trace_drain *d, struct tap *t)
{
    const struct trace_chunk *c = (const struct trace_chunk *)d->chunk;
    struct trace_chunk head = *c;
    uint8_t *payload = d->entry + sizeof head;
    size_t size = ZSTD_compressCCtx(d->compressor, payload, sizeof d->entry - sizeof head, c + 1, c->committed, LEVEL);
    if (ZSTD_isError(size) || size >= c->committed) {
        size = c->committed;
        memcpy(payload, c + 1, size);
    } else {
        head.encoding = TRACE_ENCODING_ZSTD;
    }
    head.stored = (uint32_t)size;
    head.lost = 0;
    head.checksum = XXH3_64bits_withSeed(payload, size, XXH3_64bits(&head, offsetof(struct trace_chunk, checksum)));
    memcpy(d->entry, &head, sizeof head);
    uint64_t room = (sizeof head + size + TRACE_LOG_ALIGN - 1) & ~(uint64_t)(TRACE_LOG_ALIGN - 1);
    uint64_t offset = __atomic_fetch_add(&t->header->status.log_end, room, __ATOMIC_RELAXED);
    if (t->header->identity.limit && offset + room > t->header->identity.limit) {
        uint32_t going = 0;
        __atomic_compare_exchange_n(&t->header->status.stopped, &going, 1 + TRACE_LOSS_LIMIT, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
        return false;
    }
    return pwrite(t->fd, d->entry, sizeof head + size, (off_t)offset) == (ssize_t)(sizeof head + size);
}

static bool drain_slot(struct trace_drain *d, struct tap *t, uint32_t slot)
{
    uint64_t state = __atomic_load_n(&t->header->slots[slot], __ATOMIC_ACQUIRE);
    if (TRACE_STATE_OF(state) != TRACE_STATE_CLOSED)
        return false;
    const struct trace_chunk *c = slot_memory(t, slot);
    if (!c || c->committed > TRACE_PAYLOAD_SIZE)
        return false;
    memcpy(d->chunk, c, sizeof *c + c->committed);
    ((struct trace_chunk *)d->chunk)->committed = c->committed;
    if (!store(d, t)) {
        let_go(t); /* its threads store for themselves now, or know why they cannot */
        return false;
    }
    __atomic_compare_exchange_n(&t->header->slots[slot], &state, TRACE_STATE(0, TRACE_STATE_FREE), false,
                                __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    return true;
}

/* Takes disk space for whole regions, so that the target's threads need not, slot by slot. Most of it goes back. */
static void back_regions(struct tap *t, uint32_t regions)
{
    uint32_t backed = t->header->control.backed;
    uint64_t limit = t->header->identity.limit;
    for (; backed < regions; backed++) {
        uint64_t start = t->header->regions[backed];
        if ((limit && start + REGION_SIZE > limit) || fallocate(t->fd, 0, (off_t)start, REGION_SIZE) < 0)
            return; /* its threads will find out for themselves */
        __atomic_store_n(&t->header->control.backed, backed + 1, __ATOMIC_RELEASE);
    }
}

static bool drain_tap(struct trace_drain *d, struct tap *t)
{
    uint32_t regions = regions_of(t);
    bool any = false, ended = has_ended(t);
    __atomic_store_n(&t->header->control.reader_beat, monotonic_ns(), __ATOMIC_RELAXED);
    if (t->seen && !ended)
        back_regions(t, regions);
    for (uint32_t slot = 0; t->fd >= 0 && slot < regions * TRACE_REGION_SLOTS; slot++)
        any |= drain_slot(d, t, slot);
    if (t->fd >= 0)
        t->marks = __atomic_load_n(&t->header->status.marks, __ATOMIC_ACQUIRE);
    t->ended |= ended;
    if (ended && !any)
        let_go(t);
    return any;
}

/* --- the room's face --------------------------------------------------------------------------------------------- */

struct trace_drain *trace_drain_new(const char *directory)
{
    struct trace_drain *d = memory_take(sizeof *d);
    d->directory = memory_copy(directory, strlen(directory));
    d->compressor = ZSTD_createCCtx();
    return d;
}

bool trace_drain_step(struct trace_drain *d)
{
    bool any = false;
    find_traces(d);
    for (uint32_t i = 0; i < d->taps; i++)
        any |= d->tap[i].fd >= 0 && drain_tap(d, &d->tap[i]);
    return any;
}

bool trace_drain_at(const struct trace_drain *d, uint32_t i, struct trace_drained *drained)
{
    if (i >= d->taps)
        return false;
    const struct tap *t = &d->tap[i];
    *drained = (struct trace_drained){ .pid = t->pid, .running = !t->ended && !t->replaced, .marks = t->marks };
    return true;
}

void trace_drain_path(const struct trace_drain *d, uint32_t i, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", d->directory, d->tap[i].name);
}

void trace_drain_free(struct trace_drain *d)
{
    for (uint32_t i = 0; i < d->taps; i++) {
        let_go(&d->tap[i]);
        free(d->tap[i].name);
    }
    ZSTD_freeCCtx(d->compressor);
    free(d->directory);
    free(d->tap);
    free(d);
}
