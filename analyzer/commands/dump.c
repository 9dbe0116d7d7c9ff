/* dump.c: memtap dump, the records of a trace as text, or what was live at its end: for people who debug. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "commands/command.h"
#include "commands/commands.h"
#include "heap/heap.h"
#include "trace/trace.h"

struct kind_names {
    const char *name;
    const char *field[12];
};

static const struct kind_names *names_of(enum record_kind kind)
{
    switch (kind) {
#define FIELD_TEXT(name) #name,
#define KIND_CASE(tag, NAME, name, timed)                                                                              \
    case tag: {                                                                                                        \
        static const struct kind_names names = { #name, { RECORD_FIELDS_##NAME(FIELD_TEXT) } };                        \
        return &names;                                                                                                 \
    }
        RECORD_KINDS(KIND_CASE)
    default:
        return NULL;
    }
}

static void print_text(const struct record *r)
{
    uint32_t hex = r->kind == RECORD_MODULE ? (uint32_t)r->module.build_id_size : 0;
    fputs(" \"", stdout);
    for (uint32_t i = 0; i < r->text_size; i++) {
        unsigned char c = r->text[i];
        if (i < hex)
            printf("%02x%s", c, i + 1 == hex ? " " : "");
        else if (c < ' ' || c == '"' || c == '\\' || c == 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_field(const char *name, uint64_t value)
{
    static const char *const addresses[] = { "address", "old", "start", "end", "bias", "value" };
    for (unsigned i = 0; i < sizeof addresses / sizeof *addresses; i++)
        if (strcmp(name, addresses[i]) == 0) {
            printf(" %s=0x%" PRIx64, name, value);
            return;
        }
    if (strcmp(name, "call") == 0)
        printf(" call=%s", trace_call_name((uint32_t)value));
    else
        printf(" %s=%" PRIu64, name, value);
}

static void print_event(const struct trace *t, const struct trace_event *e)
{
    const struct kind_names *names = names_of(e->record.kind);
    printf("%" PRIu64 " %u %s", trace_ns(t, e->time), e->tid, names ? names->name : "unknown");
    for (unsigned i = 0; names && names->field[i]; i++)
        if (i > 0 || strcmp(names->field[i], "time") != 0)
            print_field(names->field[i], e->record.field[i]);
    if (e->record.text_size)
        print_text(&e->record);
    putchar('\n');
}

static void dump_trace(struct trace *t)
{
    const struct trace_info *info = trace_info(t);
    printf("# %s: pid %u, %s\n", trace_path(t), info->pid, info->executable);
    struct trace_reader *r = trace_reader_new(t);
    for (const struct trace_event *e; (e = trace_reader_next(r));)
        if (e->part != TRACE_RELEASES)
            print_event(t, e);
    trace_reader_free(r);
    const struct trace_health *h = trace_health(t);
    printf("# %" PRIu64 " chunks, %" PRIu64 " damaged, %" PRIu64 " missing, %" PRIu64 " bad records\n", h->chunks,
           h->damaged_chunks, h->missing_chunks, h->bad_records);
}

/* --- the live set ------------------------------------------------------------------------------------------------ */

struct live {
    struct live_block {
        uint64_t address, size;
        uint32_t site;
    } * block;
    uint32_t count, room;
};

static void add_block(void *context, uint64_t address, const struct heap_block *b)
{
    struct live *live = context;
    array_room(live->block, live->count, live->room);
    live->block[live->count++] = (struct live_block){ address, b->size, b->site };
}

static int by_address(const void *a, const void *b)
{
    const struct live_block *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

static void print_blocks(const struct heap *h)
{
    struct live live = { .count = 0 };
    heap_each_block(h, add_block, &live);
    array_sort(live.block, live.count, sizeof *live.block, by_address);
    for (uint32_t i = 0; i < live.count; i++) {
        const struct live_block *b = &live.block[i];
        const struct heap_site *site = heap_site(h, b->site);
        printf("block 0x%" PRIx64 " %" PRIu64 " %s node=%u\n", b->address, b->size, trace_call_name(site->call),
               site->node);
    }
    free(live.block);
}

static void print_live(const struct trace *t, const struct heap *h)
{
    printf("# %s: pid %u, %s\n", trace_path(t), trace_info(t)->pid, trace_info(t)->executable);
    print_blocks(h);
    for (uint32_t i = 0; i < heap_mapping_count(h); i++) {
        const struct heap_mapping *m = heap_mapping(h, i);
        const struct heap_site *site = heap_site(h, m->site);
        printf("mapping 0x%" PRIx64 " %" PRIu64 " %s node=%u prot=%u\n", m->start, m->end - m->start,
               trace_call_name(site->call), site->node, m->prot);
    }
}

static void dump_live(const struct session *s)
{
    struct heap_options options = { .quiet = true };
    struct heap **heap = heap_replay(s, &options);
    for (uint32_t i = 0; i < s->count; i++)
        print_live(s->trace[i], heap[i]);
    heap_free_all(heap, s->count);
}

/* --- resident pages ---------------------------------------------------------------------------------------------- */

static const char *const kind_name[RESIDENCY_KINDS] = { "anon", "file", "shmem", "swapped", "hugetlb" };

static void print_resident(const struct residency_bytes *bytes)
{
    for (int kind = 0; kind < RESIDENCY_KINDS; kind++)
        if (bytes->of[kind])
            printf(" %s=%" PRIu64, kind_name[kind], bytes->of[kind]);
    if (bytes->huge)
        printf(" huge=%" PRIu64, bytes->huge);
}

/* Paths may hold anything. */
static void print_path(const char *path)
{
    putchar('"');
    for (; *path; path++)
        if ((unsigned char)*path < ' ' || *path == '"' || *path == 127)
            printf("\\x%02x", (unsigned char)*path);
        else
            putchar(*path);
    putchar('"');
}

static void print_snapshot(const struct trace *t, const struct residency_snapshot *s)
{
    static const char *const method_name[] = { "scan", "pagemap", "smaps", "status" };
    const struct residency_totals *sum = &s->totals;
    uint64_t start = trace_mono_ns(t, 0);
    printf("%" PRIu64 " snapshot by=%s took=%" PRIu64 " rss=%" PRIu64 " rss_anon=%" PRIu64 " rss_file=%" PRIu64
           " rss_shmem=%" PRIu64 " swap=%" PRIu64,
           s->mono_ns > start ? s->mono_ns - start : 0, method_name[s->method], s->cost_ns, sum->rss, sum->rss_anon,
           sum->rss_file, sum->rss_shmem, sum->swap);
    if (sum->has_oom_kills)
        printf(" oom_kills=%" PRIu64, sum->oom_kills);
    print_resident(&s->found);
    putchar('\n');
    for (uint32_t i = 0; i < s->vmas; i++) {
        const struct residency_vma *v = &s->vma[i];
        printf("vma 0x%" PRIx64 " %" PRIu64 " prot=%u%s%s ", v->start, v->end - v->start, v->prot,
               v->shared ? " shared" : "", v->deleted ? " deleted" : "");
        print_path(v->path);
        print_resident(&v->resident);
        putchar('\n');
    }
    for (uint32_t i = 0; i < s->runs; i++)
        printf("run 0x%" PRIx64 " %" PRIu64 " %s%s\n", s->run[i].start, s->run[i].end - s->run[i].start,
               kind_name[s->run[i].kind], s->run[i].huge ? " huge" : "");
}

static void dump_pages(const struct trace *t)
{
    struct residency *r = command_residency(t);
    uint32_t count = r ? residency_count(r) : 0;
    printf("# %s: pid %u, %u snapshot%s\n", trace_path(t), trace_info(t)->pid, count, count == 1 ? "" : "s");
    for (uint32_t i = 0; i < count; i++) {
        struct residency_snapshot *s = residency_load(r, i);
        if (s)
            print_snapshot(t, s);
        else
            printf("# snapshot %u cannot be decoded\n", i);
        residency_free(s);
    }
    residency_close(r);
}

int command_dump(int argc, char **argv)
{
    static const struct option options[] = { { "live", no_argument, NULL, 'l' },
                                             { "pages", no_argument, NULL, 'p' },
                                             { NULL, 0, NULL, 0 } };
    struct session s;
    struct error e;
    bool live = false, pages = false;
    int answer;
    while ((answer = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (answer != 'l' && answer != 'p')
            return command_bad_option("dump", answer, argv);
        live |= answer == 'l';
        pages |= answer == 'p';
    }
    if (optind + 1 != argc)
        return command_misused("dump", "dump wants one trace or session");
    if (!command_session(argv[optind], &s, &e))
        return command_fail(&e);
    if (live)
        dump_live(&s);
    for (uint32_t i = 0; i < s.count && pages; i++)
        dump_pages(s.trace[i]);
    for (uint32_t i = 0; i < s.count && !live && !pages; i++)
        dump_trace(s.trace[i]);
    session_close(&s);
    return command_finish(EXIT_FINE);
}
