/* The ring and its file, written without hooks: what is committed can be read from the file at any moment. */
#include "unit/cmocka_tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

static char directory[64];

static void start_trace(uint64_t limit)
{
    const char *argv[] = { "program", "argument", NULL };
    static const char settings[TRACE_SETTINGS_SIZE];
    struct tracefile_start s = { .directory = directory,
                                 .program = "/bin/program",
                                 .argc = 2,
                                 .argv = (char **)argv,
                                 .settings = settings,
                                 .limit = limit,
                                 .warnings = "" };
    strcpy(directory, "/tmp/memtap-ring-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(tracefile_create(&s), 0);
}

static void put_frees(struct cursor *c, uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t *p = ring_reserve(c, RECORD_HOT_MAX);
        if (!p) {
            ring_lose(c);
            return;
        }
        ring_commit(c, record_put_free(&c->coder, p, &(struct record_free){ tracefile_now(), (first + i) * 16 }));
    }
}

/* In a child, because a process has one trace. */
static void in_child(void (*body)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        body();
        char command[128];
        snprintf(command, sizeof command, "rm -rf %s", directory);
        _exit(system(command) == 0 ? 0 : 9);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void expect(int condition, int code)
{
    if (!condition)
        _exit(code);
}

static uint64_t count_frees(const uint8_t *payload, uint32_t size, uint64_t time)
{
    static struct record_coder coder;
    struct record r;
    uint64_t count = 0;
    record_coder_begin(&coder, time);
    for (const uint8_t *p = payload; p && p < payload + size; count += p && r.kind == RECORD_FREE)
        p = record_get(&coder, p, payload + size, &r);
    return count;
}

static void fill_and_read_back(void)
{
    start_trace(1ull << 30);
    struct cursor *c = ring_take(1, &(enum trace_loss){ 0 });
    expect(c != NULL, 1);
    put_frees(c, 0, 100000); /* several chunks */
    const struct trace_header *h = tracefile_header;
    expect(h->identity.magic == TRACE_MAGIC, 2);
    expect(h->status.log_end > TRACE_HEADER_SIZE + TRACE_REGION_SLOTS * TRACE_CHUNK_SIZE, 3);
    char path[128];
    snprintf(path, sizeof path, "%s/%d.mtap", directory, getpid());
    int fd = open(path, O_RDONLY);
    expect(fd >= 0, 4);
    uint64_t found = count_frees((uint8_t *)(c->chunk + 1), c->chunk->committed, c->chunk->time);
    for (uint64_t at = h->regions[0] + (TRACE_REGION_SLOTS + 1) * TRACE_CHUNK_SIZE; at < h->status.log_end;) {
        static uint8_t entry[TRACE_CHUNK_SIZE];
        const struct trace_chunk *chunk = (const void *)entry;
        expect(pread(fd, entry, sizeof entry, (off_t)at) > (ssize_t)sizeof *chunk, 5);
        expect(chunk->magic == TRACE_CHUNK_MAGIC && chunk->stored == chunk->committed, 6);
        found += count_frees(entry + sizeof *chunk, chunk->committed, chunk->time);
        at += (sizeof *chunk + chunk->stored + TRACE_LOG_ALIGN - 1) & ~(uint64_t)(TRACE_LOG_ALIGN - 1);
    }
    expect(found == 100000, 7);
    expect(fcntl(3, F_GETFD) < 0 || fd == 3, 8); /* the trace's own descriptor is out of the way */
}

static void stop_at_the_limit(void)
{
    start_trace(2u << 20);
    struct cursor *c = ring_take(1, &(enum trace_loss){ 0 });
    put_frees(c, 0, 2000000);
    expect(tracefile_header->status.stopped == 1 + TRACE_LOSS_LIMIT, 1);
    struct stat st;
    char path[128];
    snprintf(path, sizeof path, "%s/%d.mtap", directory, getpid());
    expect(stat(path, &st) == 0 && st.st_size <= 2 << 20, 2);
    uint64_t before = c->chunk->lost;
    put_frees(c, 0, 1);
    expect(c->chunk->lost == before + 1, 3); /* what comes later is counted */
}

/* A slot that the thread had to find space for would be beyond the limit. */
static void go_on_where_the_reader_has_backed(void)
{
    start_trace(TRACE_HEADER_SIZE + 2 * TRACE_CHUNK_SIZE);
    struct cursor *c = ring_take(1, &(enum trace_loss){ 0 });
    struct trace_control *control = &tracefile_header->control;
    char path[128];
    snprintf(path, sizeof path, "%s/%d.mtap", directory, getpid());
    int fd = open(path, O_RDWR);
    expect(c && fd >= 0, 1);
    expect(fallocate(fd, 0, (off_t)tracefile_header->regions[0], TRACE_REGION_SLOTS * TRACE_CHUNK_SIZE) == 0, 2);
    control->reader_pid = (uint32_t)getpid();
    control->reader_beat = sys_clock_ns(CLOCK_MONOTONIC);
    control->backed = 1;
    put_frees(c, 0, 100000); /* several chunks */
    expect(tracefile_header->status.stopped == 0 && c->chunk->sequence > 2 && c->chunk->lost == 0, 3);
    uint64_t sequence = c->chunk->sequence;
    control->backed = 0;
    put_frees(c, 0, 100000);
    expect(tracefile_header->status.stopped == 1 + TRACE_LOSS_LIMIT && c->chunk->sequence < sequence + 2, 4);
}

static void *write_some(void *unused)
{
    uint32_t tid = (uint32_t)sys_tid();
    struct cursor *c = ring_take(tid, &(enum trace_loss){ 0 });
    expect(c != NULL && c->owner == tid, 20);
    put_frees(c, tid, 200);
    ring_give_back(c);
    return unused;
}

static void lend_cursors_to_many_threads(void)
{
    pthread_t thread[64];
    start_trace(1ull << 30);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 64; i++)
            expect(pthread_create(&thread[i], NULL, write_some, NULL) == 0, 1);
        for (int i = 0; i < 64; i++)
            pthread_join(thread[i], NULL);
    }
    expect(tracefile_header->status.region_count <= 5, 2); /* 64 at once need 4; cursors are used again */
    expect(tracefile_header->status.losses[TRACE_LOSS_NO_SLOT] == 0, 3);
}

static void committed_records_can_be_read_from_the_file(void **state)
{
    (void)state;
    in_child(fill_and_read_back);
}

static void the_limit_ends_the_recording_and_later_events_are_counted(void **state)
{
    (void)state;
    in_child(stop_at_the_limit);
}

static void slots_that_the_reader_has_backed_need_no_space(void **state)
{
    (void)state;
    in_child(go_on_where_the_reader_has_backed);
}

static void cursors_are_pooled_and_regions_added_as_needed(void **state)
{
    (void)state;
    in_child(lend_cursors_to_many_threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_records_can_be_read_from_the_file),
        cmocka_unit_test(the_limit_ends_the_recording_and_later_events_are_counted),
        cmocka_unit_test(slots_that_the_reader_has_backed_need_no_space),
        cmocka_unit_test(cursors_are_pooled_and_regions_added_as_needed),
    };
    return unit_main(tests);
}
