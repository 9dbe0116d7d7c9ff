/* test_snapshot.c: a child with pages of every kind; what a snapshot says of each range, by every method. */
#include "unit/cmocka_tap.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "residency/inside.h"

enum { PAGES = 64, RANGES = 10 };

static uint8_t *range[RANGES];
enum { TOUCHED, UNTOUCHED, EVERY_SECOND, FILE_READ, FILE_COPIED, SHARED, ZERO, LOCKED, FREED, TMPFS };
static size_t page;
static pid_t child;
static char directory[] = "/var/tmp/memtap-residency-XXXXXX";
static char trace[sizeof directory + 16];

static uint8_t *map(int flags, int fd)
{
    /* the last page is there so that ranges do not touch: nothing may be in it */
    uint8_t *p = mmap(NULL, (PAGES + 1) * page, PROT_READ | PROT_WRITE, flags, fd, 0);
    assert_true(p != MAP_FAILED);
    assert_int_equal(mprotect(p + PAGES * page, page, PROT_NONE), 0);
    if (flags & MAP_ANONYMOUS)
        madvise(p, PAGES * page, MADV_NOHUGEPAGE);
    return p;
}

static void touch(uint8_t *p, int first, int count, int step)
{
    for (int i = first; i < first + count; i += step)
        p[(size_t)i * page] = 1;
}

static unsigned look(const uint8_t *p, int count)
{
    unsigned sum = 0;
    for (int i = 0; i < count; i++)
        sum += *(const volatile uint8_t *)&p[(size_t)i * page];
    return sum;
}

static int make_file(const char *name)
{
    char block[4096];
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    memset(block, 'x', sizeof block);
    for (size_t done = 0; done < PAGES * page; done += sizeof block)
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
    return fd;
}

static void touch_all(void)
{
    touch(range[TOUCHED], 0, PAGES, 1);
    touch(range[EVERY_SECOND], 0, PAGES, 2);
    look(range[FILE_READ], PAGES);
    look(range[FILE_COPIED], PAGES);
    touch(range[FILE_COPIED], 0, PAGES / 4, 1);
    touch(range[SHARED], 0, PAGES / 2, 1);
    look(range[ZERO], PAGES);
    touch(range[ZERO], 0, 3, 1);
    mlock(range[LOCKED], PAGES * page);
    touch(range[FREED], 0, PAGES, 1);
    madvise(range[FREED] + PAGES / 2 * page, PAGES / 2 * page, MADV_DONTNEED);
    look(range[TMPFS], PAGES);
    touch(range[TMPFS], 0, PAGES / 8, 1);
}

static int begin(void **state)
{
    int ready[2], file, shm = memfd_create("test", MFD_CLOEXEC);
    char name[sizeof directory + 16], done = 0;
    (void)state;
    page = (size_t)sysconf(_SC_PAGESIZE);
    assert_non_null(mkdtemp(directory));
    snprintf(name, sizeof name, "%s/file", directory);
    snprintf(trace, sizeof trace, "%s/1.mtap", directory);
    file = make_file(name);
    assert_int_equal(ftruncate(shm, (off_t)(PAGES * page)), 0);
    assert_int_equal(pipe(ready), 0);
    for (int i = 0; i < RANGES; i++)
        range[i] = map(i == FILE_READ                   ? MAP_SHARED
                       : i == FILE_COPIED || i == TMPFS ? MAP_PRIVATE
                       : i == SHARED                    ? MAP_SHARED | MAP_ANONYMOUS
                                                        : MAP_PRIVATE | MAP_ANONYMOUS,
                       i == FILE_READ || i == FILE_COPIED ? file
                       : i == TMPFS                       ? shm
                                                          : -1);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        touch_all();
        if (write(ready[1], "!", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &done, 1), 1);
    return 0;
}

static int end(void **state)
{
    char command[sizeof directory + 16];
    (void)state;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

static struct residency_bytes of(const struct residency_snapshot *s, int which, int first, int count)
{
    uint64_t start = (uintptr_t)range[which] + (uint64_t)first * page;
    return residency_of(s, start, start + (uint64_t)count * page);
}

static void expect(const struct residency_snapshot *s, int which, int anon, int file, int shmem)
{
    struct residency_bytes b = of(s, which, 0, PAGES);
    assert_int_equal(b.anon / page, anon);
    assert_int_equal(b.file / page, file);
    assert_int_equal(b.shmem / page, shmem);
    assert_int_equal(b.swapped, 0);
    assert_int_equal(b.huge, 0);
}

static void expect_sums(const struct residency_snapshot *s)
{
    expect(s, TOUCHED, PAGES, 0, 0);
    expect(s, UNTOUCHED, 0, 0, 0);
    expect(s, EVERY_SECOND, PAGES / 2, 0, 0);
    expect(s, FILE_READ, 0, PAGES, 0);
    expect(s, FILE_COPIED, PAGES / 4, PAGES - PAGES / 4, 0);
    expect(s, SHARED, 0, 0, PAGES / 2);
    expect(s, ZERO, 3, 0, 0);
    expect(s, LOCKED, PAGES, 0, 0);
    expect(s, FREED, PAGES / 2, 0, 0);
    expect(s, TMPFS, PAGES / 8, 0, PAGES - PAGES / 8);
}

static void expect_places(const struct residency_snapshot *s)
{
    assert_int_equal(of(s, FREED, 0, PAGES / 2).anon, PAGES / 2 * page);
    assert_int_equal(of(s, FREED, PAGES / 2, PAGES / 2).anon, 0);
    assert_int_equal(of(s, EVERY_SECOND, 4, 1).anon, page);
    assert_int_equal(of(s, EVERY_SECOND, 5, 1).anon, 0);
    assert_int_equal(of(s, FILE_COPIED, 0, 20).anon, PAGES / 4 * page);
    assert_int_equal(of(s, FILE_COPIED, 0, 20).file, (20 - PAGES / 4) * page);
    uint64_t start = (uintptr_t)range[EVERY_SECOND];
    assert_int_equal(residency_of(s, start + 100, start + 2 * page + 7).anon, page - 100 + 7);
    assert_int_equal(residency_of(s, start + 5, start + 5).anon, 0);
    assert_int_equal(residency_of(s, start + 9, start + 5).anon, 0);
}

static uint64_t apart(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static void expect_totals(const struct residency_snapshot *s)
{
    assert_true(s->totals.rss_anon > 0 && s->totals.rss_file > 0);
    assert_true(apart(s->found.anon, s->totals.rss_anon) <= page);
    assert_true(apart(s->found.file, s->totals.rss_file) <= page);
    assert_true(apart(s->found.shmem, s->totals.rss_shmem) <= page);
    assert_true(apart(s->found.swapped, s->totals.swap) <= page);
    assert_int_equal(s->totals.rss, s->totals.rss_anon + s->totals.rss_file + s->totals.rss_shmem);
}

static struct residency_snapshot *take(enum residency_method method)
{
    struct error e;
    struct residency_snapshot *s = take_by(child, method, &e);
    assert_non_null(s);
    return s;
}

static void a_scan_finds_every_page_where_it_is(void **state)
{
    struct residency_snapshot *s = take(RESIDENCY_BY_SCAN);
    (void)state;
    expect_sums(s);
    expect_places(s);
    expect_totals(s);
    residency_free(s);
}

static void pagemap_finds_the_same(void **state)
{
    struct residency_snapshot *s = take(RESIDENCY_BY_PAGEMAP);
    (void)state;
    assert_int_equal(s->method, RESIDENCY_BY_PAGEMAP);
    expect_sums(s);
    expect_places(s);
    expect_totals(s);
    residency_free(s);
}

static void smaps_gives_sums_and_estimates(void **state)
{
    struct residency_snapshot *s = take(RESIDENCY_BY_SMAPS);
    (void)state;
    assert_int_equal(s->method, RESIDENCY_BY_SMAPS);
    expect_sums(s);
    expect_totals(s);
    assert_true(s->has_spread);
    assert_int_equal(of(s, EVERY_SECOND, 0, PAGES / 2).anon, PAGES / 4 * page);
    residency_free(s);
}

static void status_gives_totals_only(void **state)
{
    struct residency_snapshot *s = take(RESIDENCY_BY_STATUS);
    (void)state;
    assert_int_equal(s->vmas, 0);
    assert_true(s->totals.rss_anon > 0);
    residency_free(s);
}

static void mappings_are_described(void **state)
{
    struct residency_snapshot *s = take(RESIDENCY_BY_SCAN);
    (void)state;
    const struct residency_vma *v = residency_vma_at(s, (uintptr_t)range[FILE_COPIED] + 5);
    assert_non_null(v);
    assert_non_null(strstr(v->path, "/file"));
    assert_int_equal(v->backing, RESIDENCY_OF_FILE);
    assert_false(v->shared);
    assert_false(v->deleted);
    assert_int_equal(v->prot, PROT_READ | PROT_WRITE);
    assert_int_equal(v->resident.anon, PAGES / 4 * page);
    v = residency_vma_at(s, (uintptr_t)range[TMPFS]);
    assert_string_equal(v->path, "/memfd:test");
    assert_true(v->deleted);
    assert_int_equal(v->backing, RESIDENCY_OF_SHMEM);
    v = residency_vma_at(s, (uintptr_t)range[SHARED]);
    assert_true(v->shared);
    assert_null(residency_vma_at(s, 1));
    residency_free(s);
}

static void a_process_that_is_not_there_gives_a_sentence(void **state)
{
    struct error e = { 0, "" };
    (void)state;
    assert_null(residency_take(0x3ffffffe, &e));
    assert_string_equal(e.text, "there is no process 1073741822");
}

/* Transparent huge pages may be switched off; then there is nothing to see. */
static void huge_pages_are_told_apart(void **state)
{
    const size_t huge = 2 << 20;
    struct error e;
    (void)state;
    uint8_t *p = mmap(NULL, 4 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    uint8_t *aligned = (uint8_t *)(((uintptr_t)p + huge - 1) & ~(uintptr_t)(huge - 1));
    madvise(p, 4 * huge, MADV_HUGEPAGE);
    touch(aligned, 0, (int)(huge / page), 1);
    look(aligned + huge, (int)(huge / page));
    struct residency_snapshot *s = residency_take(getpid(), &e);
    assert_non_null(s);
    struct residency_bytes b = residency_of(s, (uintptr_t)aligned, (uintptr_t)aligned + huge);
    assert_int_equal(b.anon, huge);
    assert_true(b.huge == huge || b.huge == 0);
    b = residency_of(s, (uintptr_t)aligned + huge, (uintptr_t)aligned + 2 * huge);
    assert_int_equal(b.anon, 0); /* the huge zero page */
    residency_free(s);
    munmap(p, 4 * huge);
}

static void runs_join_and_have_a_bound(void **state)
{
    struct builder b = { .s = calloc(1, sizeof *b.s) };
    (void)state;
    assert_true(builder_run(&b, 0, page, RESIDENCY_ANON, false));
    assert_true(builder_run(&b, page, 2 * page, RESIDENCY_ANON, false));
    assert_int_equal(b.s->runs, 1);
    for (uint64_t i = 1; i < MOST_RUNS; i++)
        assert_true(builder_run(&b, 3 * i * page, (3 * i + 1) * page, RESIDENCY_FILE, false));
    assert_int_equal(b.s->runs, MOST_RUNS);
    assert_false(builder_run(&b, (uint64_t)1 << 40, ((uint64_t)1 << 40) + page, RESIDENCY_FILE, false));
    builder_finish(&b);
    assert_int_equal(b.s->found.anon, 2 * page);
    assert_int_equal(residency_of(b.s, 0, (uint64_t)1 << 50).file, (uint64_t)(MOST_RUNS - 1) * page);
    residency_free(b.s);
}

static struct residency *reopen(void)
{
    char path[sizeof trace + 8];
    struct error e;
    residency_path(trace, path, sizeof path);
    struct residency *r = residency_open(path, &e);
    assert_non_null(r);
    return r;
}

static void what_is_kept_comes_back(void **state)
{
    struct error e;
    uint64_t times[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct residency_snapshot *s = take(i == 2 ? RESIDENCY_BY_SMAPS : RESIDENCY_BY_SCAN);
        times[i] = s->mono_ns;
        assert_true(residency_keep(trace, s, &e));
        residency_free(s);
    }
    struct residency *r = reopen();
    assert_int_equal(residency_count(r), 3);
    assert_true(residency_whole(r, &e));
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(residency_mono_ns(r, i), times[i]);
        assert_int_equal(residency_nearest(r, times[i] + 1), i);
        struct residency_snapshot *s = residency_load(r, i);
        assert_non_null(s);
        expect_sums(s);
        expect_totals(s);
        if (i < 2)
            expect_places(s);
        assert_non_null(strstr(residency_vma_at(s, (uintptr_t)range[FILE_READ])->path, "/file"));
        residency_free(s);
    }
    assert_int_equal(residency_nearest(r, 0), 0);
    assert_int_equal(residency_nearest(r, UINT64_MAX), 2);
    residency_close(r);
}

/* After what_is_kept_comes_back. */
static void damage_leaves_the_others(void **state)
{
    char path[sizeof trace + 8];
    struct error e;
    (void)state;
    residency_path(trace, path, sizeof path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_int_equal(pwrite(fd, "damage", 6, 100), 6);
    struct residency *r = reopen();
    assert_int_equal(residency_count(r), 2);
    assert_false(residency_whole(r, &e));
    assert_non_null(strstr(e.text, "is damaged or cut off: 2 snapshots in it can be read"));
    residency_close(r);
    assert_int_equal(ftruncate(fd, size - 1), 0);
    r = reopen();
    assert_int_equal(residency_count(r), 1);
    residency_close(r);
    struct residency_snapshot *s = take(RESIDENCY_BY_SCAN);
    assert_true(residency_keep(trace, s, &e)); /* behind the torn one */
    r = reopen();
    assert_int_equal(residency_count(r), 2);
    residency_close(r);
    assert_int_equal(pwrite(fd, "!", 1, 0), 1);
    assert_null(residency_open(path, &e));
    assert_non_null(strstr(e.text, "does not begin as a file of snapshots does"));
    assert_false(residency_keep(trace, s, &e));
    residency_free(s);
    close(fd);
}

static void names_follow_the_trace(void **state)
{
    char path[64];
    (void)state;
    residency_path("/a/12-3.mtap", path, sizeof path);
    assert_string_equal(path, "/a/12-3.pages");
    residency_path("odd", path, sizeof path);
    assert_string_equal(path, "odd.pages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scan_finds_every_page_where_it_is),
        cmocka_unit_test(pagemap_finds_the_same),
        cmocka_unit_test(smaps_gives_sums_and_estimates),
        cmocka_unit_test(status_gives_totals_only),
        cmocka_unit_test(mappings_are_described),
        cmocka_unit_test(a_process_that_is_not_there_gives_a_sentence),
        cmocka_unit_test(what_is_kept_comes_back),
        cmocka_unit_test(damage_leaves_the_others),
        cmocka_unit_test(huge_pages_are_told_apart),
        cmocka_unit_test(runs_join_and_have_a_bound),
        cmocka_unit_test(names_follow_the_trace),
    };
    setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 1);
    return cmocka_run_group_tests(tests, begin, end);
}
