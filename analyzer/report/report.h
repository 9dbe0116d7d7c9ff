/*
 * report.h: the answer to "where is the memory", as data, and the ways to show it. Numbers are bytes unless a name says
 * otherwise. Everything lives until summary_free, texts of the session as long as that.
 */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include <stdio.h>

#include "attribute/attribute.h"
#include "attribute/bounds.h"
#include "attribute/owners.h"
#include "heap/heap.h"
#include "symbols/symbols.h"
#include "trace/trace.h"

struct summary_process {
    const struct trace_info *info;
    const struct trace_health *health;
    struct heap_totals totals;
    struct heap_sample sample; /* the last one; all zero if there is none */
    bool has_sample;
    const char *role;          /* "main", "child" (a program of its own), "fork" */
    uint64_t start_ns, end_ns; /* since the start of the session */
    struct attribution *site;  /* of the sites of its heap */
    struct owners *owners;
    uint64_t *site_id;             /* of those sites, by which they are found in the summary */
    struct residency_totals pages; /* when its snapshot was taken */
    int64_t pages_late_ns;         /* the snapshot was taken that long after the moment of the report */
};

/* When in the life of a model server memory was asked for. */
enum phase { PHASE_LOAD, PHASE_WARM_UP, PHASE_SERVE, PHASE_COUNT };
const char *phase_name(enum phase p); /* "load", "warm-up", "serve" */

struct summary_component {
    const char *path, *how, *model;
    const char *about;  /* what it is, in a sentence; NULL: nobody says it */
    uint64_t allocated; /* live heap blocks and mappings */
    double variance;    /* of that, where it is an estimate (heap.h) */
    uint64_t resident;  /* of these, and of what belongs to them without having been asked for; without swap */
    uint64_t swapped;
    double blocks;
    uint64_t evidence[EVIDENCE_COUNT]; /* allocated, by what decided */
    uint64_t born[PHASE_COUNT];        /* allocated, by when it was asked for */
    struct bound bound;                /* source NULL: it has none that is known */
};

struct summary_site {
    uint64_t id; /* hash of the call and the stack: the same in other runs of the same build */
    const char *component, *how, *call;
    const char *module; /* path; see struct attribution */
    enum evidence evidence;
    bool mapping;
    double alloc_count, live_blocks;
    uint64_t alloc_bytes, live_bytes, peak_bytes, temporary, failed;
    double alloc_variance, live_variance; /* of these bytes */
    struct symbol_frame *frame;           /* innermost first */
    uint32_t frames;
};

struct summary_group { /* a module or a thread */
    const char *name;
    uint32_t pid, tid; /* of a thread */
    double alloc_count, live_blocks;
    uint64_t alloc_bytes, live_bytes;
    double live_variance;
};

/* What the parts of a process held at a mark, or when a request ended: by call stacks only, and as allocated. */
struct summary_moment {
    uint32_t process;
    uint64_t time_ns; /* since the start of the session */
    const char *mark; /* NULL: request number `request` ended */
    uint64_t request;
    uint64_t live_bytes, mapped_bytes;
    double live_variance;
    uint64_t *bytes; /* of summary.part, by number */
    uint32_t parts;
};

/* The last allocation that failed before the moment of the report, and what its process held then. */
#define SUMMARY_BLOCKS 10u
struct summary_block {
    uint64_t address, size;
    uint64_t age_ns; /* at that moment */
    uint64_t site;   /* its id */
    const char *component;
};
struct summary_failure {
    const struct summary_process *process; /* NULL: nothing failed */
    uint64_t size, site;
    const char *call;
    struct summary_block largest[SUMMARY_BLOCKS], newest[SUMMARY_BLOCKS];
    uint32_t blocks; /* in each */
};

struct summary {
    const char *session;
    char at[80];               /* "end", "peak", "mark NAME", "request N" */
    struct heap_totals totals; /* sums over the processes; spreads are not: */
    double alloc_variance, live_variance, peak_variance;
    uint64_t sample_mean; /* the largest of the processes; 0: every event was recorded */
    struct heap_sample sample;
    uint64_t duration_ns; /* from the first start to the last end */
    uint64_t losses[TRACE_LOSS_COUNT], damaged_chunks, missing_chunks, bad_records, left_out;
    uint32_t unbegun; /* processes of which nothing was recorded, as they ended, or were looked at, too early */
    uint64_t walks[TRACE_WALK_COUNT]; /* how the tap found stacks, see trace.h */
    uint64_t own_anonymous, own_ring; /* the tap's own memory */
    bool measured;                    /* resident parts are known, of one process at least */
    uint64_t model_file_bytes;        /* of the model files that were mapped or read */
    uint64_t resident, unexplained;   /* RssAnon + RssFile + VmSwap without the tap's own; what of it has no owner */
    uint64_t frames_asked, frames_named;
    uint64_t backing; /* mapped by an allocator that runs behind the tap: its blocks are counted, not this */
    struct summary_process *process;
    uint32_t processes;
    struct summary_component *component; /* by path */
    uint32_t components, component_room;
    struct summary_site *site; /* by live bytes, largest first */
    uint32_t sites, site_room;
    struct summary_failure failure;
    struct summary_moment *moment; /* in the order of time, process by process */
    uint32_t moments, moment_room;
    const char **part; /* components in the timeline */
    uint32_t parts, part_room;
    struct summary_group *module, *thread; /* by live bytes, largest first */
    uint32_t modules, module_room, threads, thread_room;
};

/* What a summary is made from: a session, replayed. All of it must outlive the summary. */
struct summary_input {
    const struct session *session;
    struct heap **heap;                /* heap[i] belongs to session->trace[i] */
    struct residency_snapshot **pages; /* nearest to that moment; NULL where there is none */
    uint32_t only_pid;                 /* 0: all */
    uint64_t moment_ns;                /* CLOCK_MONOTONIC; who does not live then is left out. 0: nobody is */
    struct symbols *symbols;
    struct rules *rules;
    struct tensors *tensors;
};

void summary_build(struct summary *s, const struct summary_input *in);
void summary_free(struct summary *s);

/* The share of the resident memory that has an owner, 0 to 1. */
double summary_explained(const struct summary *s);

/* How a process ended, or that it runs: "exit 3", "signal 9", "exec", "running", "unknown". */
const char *report_end(const struct trace_info *info, char text[32]);

enum report_by { REPORT_BY_COMPONENT, REPORT_BY_SITE, REPORT_BY_MODULE, REPORT_BY_THREAD, REPORT_BY_TIME };

struct report_style {
    enum report_by by;
    uint32_t top;   /* most rows, and sites in JSON */
    uint32_t width; /* columns */
    bool color, verbose;
    bool failure; /* tell of the allocation that failed */
};

void report_text(const struct summary *s, const struct report_style *style, FILE *out);

/*
 * Why memory counts as what it does: `what` is an address ("0x7f12...") or the path of a component, with all below it.
 * False if no process holds such a thing.
 */
bool report_why(const struct summary *s, const char *what, const struct report_style *style, FILE *out);
/* False if the JSON could not be written. */
bool report_json(const struct summary *s, const struct report_style *style, FILE *out);

#endif
