/* tracefile.c: see tracefile.h. */
#include "tracefile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#define MONOTONIC_SHIFT 2 /* as in tracefile_now */
#define REGION_SIZE ((uint64_t)TRACE_REGION_SLOTS * TRACE_CHUNK_SIZE)

/* Stands in for a header while there is no file, so that nobody needs to ask whether there is one. */
static struct trace_header no_header;

struct trace_header *tracefile_header = &no_header;
uint32_t tracefile_clock;

static struct {
    struct kept_file kept;
    uint64_t limit;
    bool sealed; /* there is no descriptor, and no more of the file than there was at the start */
    char path[600];
    struct trace_chunk *region[TRACE_REGIONS];
} file = { .kept = { .path = file.path, .flags = O_RDWR | O_NOFOLLOW } };

static int loss_of(int error)
{
    switch (-error) {
    case ENOSPC:
    case EDQUOT:
        return TRACE_LOSS_DISK_FULL;
    case EFBIG:
        return TRACE_LOSS_FILE_SIZE;
    case EMFILE:
    case ENFILE:
        return TRACE_LOSS_NO_DESCRIPTOR;
    case ENOMEM:
        return TRACE_LOSS_NO_MEMORY;
    default:
        return TRACE_LOSS_IO_ERROR;
    }
}

void tracefile_stop(enum trace_loss cause)
{
    uint32_t going = 0;
    __atomic_compare_exchange_n(&tracefile_header->status.stopped, &going, 1 + (uint32_t)cause, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
}

void tracefile_resume(enum trace_loss cause)
{
    uint32_t stopped = 1 + (uint32_t)cause;
    __atomic_compare_exchange_n(&tracefile_header->status.stopped, &stopped, 0, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
}

void tracefile_lose(enum trace_loss cause, uint64_t events)
{
    __atomic_fetch_add(&tracefile_header->status.losses[cause], events, __ATOMIC_RELAXED);
}

void tracefile_shortfall(enum trace_shortfall what)
{
    __atomic_fetch_or(&tracefile_header->status.shortfall, what, __ATOMIC_RELAXED);
}

void tracefile_count_walks(const uint32_t walks[TRACE_WALK_COUNT])
{
    for (unsigned i = 0; i < TRACE_WALK_COUNT; i++)
        if (walks[i])
            __atomic_add_fetch(&tracefile_header->walks[i], walks[i], __ATOMIC_RELAXED);
}

void tracefile_count_mark(void)
{
    if (tracefile_header)
        __atomic_fetch_add(&tracefile_header->status.marks, 1, __ATOMIC_RELEASE);
}

/* --- limits ------------------------------------------------------------------------------------------------------ */

/* Whether the file may be `end` bytes long. */
static int check_size(uint64_t end)
{
    if (end > file.limit)
        return TRACE_LOSS_LIMIT;
    return end > sys_limit(RLIMIT_FSIZE) ? (int)TRACE_LOSS_FILE_SIZE : -1;
}

static bool stop_if(int loss)
{
    if (loss >= 0)
        tracefile_stop((enum trace_loss)loss);
    return loss >= 0;
}

/* --- the ring ---------------------------------------------------------------------------------------------------- */

struct trace_chunk *tracefile_slot(uint32_t slot)
{
    char *first = (char *)__atomic_load_n(&file.region[slot / TRACE_REGION_SLOTS], __ATOMIC_ACQUIRE);
    return (struct trace_chunk *)(first + (size_t)(slot % TRACE_REGION_SLOTS) * TRACE_CHUNK_SIZE);
}

static bool reserve(int fd, uint64_t offset, uint64_t size)
{
    if (stop_if(check_size(offset + size)))
        return false;
    int result = sys_reserve(fd, offset, size);
    if (result < 0)
        tracefile_stop(loss_of(result));
    return result == 0;
}

bool tracefile_can_append(void)
{
    return !file.sealed;
}

/* Maps a new region behind the log. Two threads may do so for the same number: one wins the place. */
static int map_region(int fd, uint32_t n)
{
    struct trace_status *status = &tracefile_header->status;
    uint64_t offset = __atomic_fetch_add(&status->log_end, REGION_SIZE + TRACE_CHUNK_SIZE, __ATOMIC_RELAXED);
    offset = (offset + TRACE_CHUNK_SIZE - 1) & ~(uint64_t)(TRACE_CHUNK_SIZE - 1);
    uint64_t states = offsetof(struct trace_header, slots) + (uint64_t)n * TRACE_REGION_SLOTS * sizeof(uint64_t);
    if (!reserve(fd, states & ~(uint64_t)4095, 4096))
        return (int)__atomic_load_n(&status->stopped, __ATOMIC_RELAXED) - 1;
    void *memory = sys_map_file(fd, offset, REGION_SIZE, NULL);
    struct trace_chunk *none = NULL;
    if (!memory)
        return TRACE_LOSS_NO_MEMORY;
    if (!__atomic_compare_exchange_n(&file.region[n], &none, memory, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        sys_unmap_file(memory, REGION_SIZE);
        return -1;
    }
    tracefile_header->regions[n] = offset;
    __atomic_store_n(&status->region_count, n + 1, __ATOMIC_RELEASE);
    return -1;
}

int tracefile_add_region(void)
{
    uint32_t n = __atomic_load_n(&tracefile_header->status.region_count, __ATOMIC_ACQUIRE);
    if (n == TRACE_REGIONS)
        return TRACE_LOSS_NO_SLOT;
    if (file.sealed)
        return TRACE_LOSS_NO_DESCRIPTOR;
    int fd = kept_get(&file.kept);
    if (fd < 0)
        return loss_of(fd);
    int hindrance = map_region(fd, n);
    kept_put(&file.kept, fd);
    return hindrance;
}

bool tracefile_reserve_slot(uint32_t slot, uint32_t from, uint32_t to)
{
    if (file.sealed)
        return true;
    int fd = kept_get(&file.kept);
    if (fd < 0) {
        tracefile_stop(loss_of(fd));
        return false;
    }
    uint64_t offset =
        tracefile_header->regions[slot / TRACE_REGION_SLOTS] + (uint64_t)(slot % TRACE_REGION_SLOTS) * TRACE_CHUNK_SIZE;
    bool done = reserve(fd, offset + from, to - from);
    kept_put(&file.kept, fd);
    return done;
}

/* --- the log ----------------------------------------------------------------------------------------------------- */

bool tracefile_append(const struct trace_chunk *chunk)
{
    uint64_t size = sizeof *chunk + chunk->committed;
    uint64_t room = (size + TRACE_LOG_ALIGN - 1) & ~(uint64_t)(TRACE_LOG_ALIGN - 1);
    uint64_t offset = __atomic_fetch_add(&tracefile_header->status.log_end, room, __ATOMIC_RELAXED);
    if (stop_if(check_size(offset + room)))
        return false;
    int fd = kept_get(&file.kept);
    int result = fd < 0 ? fd : sys_pwrite_all(fd, chunk, size, offset);
    if (fd >= 0)
        kept_put(&file.kept, fd);
    if (result < 0)
        tracefile_stop(loss_of(result));
    return result == 0;
}

/* --- beginning --------------------------------------------------------------------------------------------------- */

static void write_strings(struct trace_header *h, const struct tracefile_start *start)
{
    char host[65];
    struct text t = { h->strings, TRACE_STRINGS_SIZE, 0, false };
    sys_host_name(host, sizeof host);
    text_add_bytes(&t, host, sys_strlen(host) + 1);
    text_add_bytes(&t, start->program, sys_strlen(start->program) + 1);
    for (int i = 0; i < start->argc && start->argv[i] && !t.full; i++)
        text_add_bytes(&t, start->argv[i], sys_strlen(start->argv[i]) + 1);
    h->identity.strings_size = (uint32_t)t.used;
    t = (struct text){ h->warnings, TRACE_WARNINGS_SIZE, 0, false };
    text_add(&t, start->warnings);
    __builtin_memcpy(h->settings, start->settings, TRACE_SETTINGS_SIZE);
}

/* /proc/PID/stat: the command's name is in parentheses and may hold anything, so fields count from the last one. */
static uint64_t start_jiffies(void)
{
    char stat[1024];
    int fd = sys_open("/proc/self/stat", O_RDONLY, 0);
    if (fd < 0)
        return 0;
    long size = sys_read(fd, stat, sizeof stat - 1);
    sys_close(fd);
    const char *p = stat + (size > 0 ? size : 0), *end;
    stat[size > 0 ? size : 0] = '\0';
    while (p > stat && *p != ')')
        p--;
    for (int field = 2; *p && field < 22; p++)
        field += *p == ' ';
    return sys_parse_number(p, &end, 10);
}

static void write_identity(struct trace_header *h, const struct tracefile_start *start, const char *parent)
{
    tracefile_clock = arch_ticks_usable() ? TRACE_CLOCK_TSC : TRACE_CLOCK_MONOTONIC;
    h->identity = (struct trace_identity){
        .major = TRACE_MAJOR,
        .minor = TRACE_MINOR,
        .header_size = TRACE_HEADER_SIZE,
        .pid = (uint32_t)sys_pid(),
        .ppid = (uint32_t)sys_ppid(),
        .uid = (uint32_t)sys_uid(),
        .origin = start->forked ? TRACE_ORIGIN_FORK : TRACE_ORIGIN_EXEC,
        .start_realtime_ns = sys_clock_ns(CLOCK_REALTIME),
        .start_mono_ns = sys_clock_ns(CLOCK_MONOTONIC),
        .start_time = tracefile_now(),
        .start_jiffies = start_jiffies(),
        .clock = tracefile_clock,
        .time_shift = tracefile_clock == TRACE_CLOCK_TSC ? ARCH_TICKS_SHIFT : MONOTONIC_SHIFT,
        .chunk_size = TRACE_CHUNK_SIZE,
        .page_size = (uint32_t)sys_page_size(),
        .fork_before = start->fork_before,
        .fork_after = start->forked ? tracefile_now() : 0,
        .tap_start = start->tap_start,
        .tap_end = start->tap_end,
        .limit = start->limit,
        .sample_bytes = start->sample_bytes,
    };
    struct text t = TEXT_ON(h->identity.version);
    text_add(&t, MEMTAP_VERSION);
    t = TEXT_ON(h->identity.fork_parent);
    text_add(&t, start->forked ? parent : "");
    write_strings(h, start);
    h->status.log_end = TRACE_HEADER_SIZE;
    __atomic_store_n(&h->identity.magic, TRACE_MAGIC, __ATOMIC_RELEASE);
}

/* A pid can come more than once in a session: exec keeps it, and the kernel gives it out again. */
static int make_file(const char *directory)
{
    for (unsigned n = 1; n < 1000; n++) {
        struct text t = TEXT_ON(file.path);
        text_add(&t, directory);
        text_add(&t, "/");
        text_add_number(&t, (uint64_t)sys_pid());
        if (n > 1) {
            text_add(&t, "-");
            text_add_number(&t, n);
        }
        text_add(&t, ".mtap");
        if (t.full)
            return -ENAMETOOLONG;
        int fd = sys_open(file.path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (fd != -EEXIST)
            return fd;
    }
    return -EEXIST;
}

/* Maps the header: the pages that will be written are backed first; those of the slots' states when regions come. */
static struct trace_header *map_header(int fd)
{
    const uint64_t used = offsetof(struct trace_header, reserved);
    if (check_size(used) >= 0 || sys_reserve(fd, 0, used) < 0)
        return NULL;
    return sys_map_file(fd, 0, TRACE_HEADER_SIZE, NULL);
}

/* Gives the low descriptor back to the target, after backing all of the ring that there will be. */
static int seal(int fd)
{
    int hindrance = map_region(fd, 0);
    if (hindrance < 0 && !reserve(fd, tracefile_header->regions[0], REGION_SIZE))
        hindrance = (int)tracefile_header->status.stopped - 1;
    sys_close(fd);
    file.sealed = true;
    return hindrance;
}

int tracefile_create(const struct tracefile_start *start)
{
    char parent[sizeof file.path];
    struct text t = TEXT_ON(parent);
    const char *name = file.path;
    for (const char *p = file.path; *p; p++)
        name = *p == '/' ? p + 1 : name;
    text_add(&t, name);
    int fd = make_file(start->directory);
    if (fd < 0)
        return fd;
    file.limit = start->limit;
    struct trace_header *h = map_header(fd);
    bool kept = kept_adopt(&file.kept, fd);
    if (!h) {
        sys_unlink(file.path);
        sys_close(kept ? file.kept.fd : fd);
        file.kept.fd = 0;
        return -ENOSPC;
    }
    write_identity(h, start, parent);
    tracefile_header = h;
    file.sealed = false;
    int hindrance = kept ? tracefile_add_region() : seal(fd);
    if (hindrance >= 0)
        tracefile_stop((enum trace_loss)hindrance);
    return 0;
}

void tracefile_forget(bool interrupted)
{
    struct trace_header *h = tracefile_header;
    kept_close(&file.kept);
    for (unsigned i = 0; i < TRACE_REGIONS && file.region[i]; i++) {
        if (interrupted)
            sys_map_over(file.region[i], REGION_SIZE);
        else
            sys_unmap_file(file.region[i], REGION_SIZE);
        file.region[i] = NULL;
    }
    tracefile_header = &no_header;
    no_header.status = (struct trace_status){ .stopped = 0 };
    if (h == &no_header)
        return;
    if (interrupted)
        sys_map_over(h, TRACE_HEADER_SIZE);
    else
        sys_unmap_file(h, TRACE_HEADER_SIZE);
}
