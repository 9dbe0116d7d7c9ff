/*
 * trace.h: from the bytes of trace files, which are not to be trusted, to events in the order of time. Opening a trace
 * that is still being written, or that was cut off, works; what is missing is counted.
 */
#ifndef TRACE_TRACE_H
#define TRACE_TRACE_H

#include <memtap/record.h>
#include <memtap/trace.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* --- one trace --------------------------------------------------------------------------------------------------- */

/* What the header says of the process, checked and ready to print. Texts live as long as the trace. */
struct trace_info {
    uint32_t pid, ppid, uid;
    bool forked;        /* a child without exec: it began with its parent's heap */
    const char *parent; /* forked: file name of the parent's trace */
    const char *name;   /* last part of the executable's path */
    const char *executable, *host, *version;
    uint32_t argc;
    const char *const *argv;
    uint64_t start_realtime_ns;
    uint64_t start_jiffies;
    uint64_t start_time, fork_before, fork_after; /* trace clock */
    uint64_t tap_start, tap_end;
    enum trace_end end;
    int end_status;
    bool replaced;      /* by another program image of the same process: exec */
    bool running;       /* the process is alive, on this machine */
    uint32_t shortfall; /* enum trace_shortfall */
    int stopped;        /* enum trace_loss that ended the recording early, or -1 */
    uint64_t losses[TRACE_LOSS_COUNT];
    const uint64_t *walks;            /* TRACE_WALK_COUNT of them, see trace.h */
    const char *warnings;             /* about settings, one sentence a line */
    const char *settings;             /* NAME=value of the environment, each NUL-terminated; an empty one ends them */
    uint64_t own_bytes, own_resident; /* the tap's private memory */
    const struct trace_range *own;    /* TRACE_OWN places of it when last looked at, some empty; not checked */
    uint64_t ring_bytes;              /* its ring, shared with the file */
    uint64_t sample_bytes;            /* mean bytes between samples of the heap; 0: every event was recorded */
};

/* What was wrong with the bytes. Grows while events are read. */
struct trace_health {
    uint64_t chunks;         /* read, or to be read */
    uint64_t bytes;          /* of trace, as stored */
    uint64_t damaged_chunks; /* checksum or header wrong, cut off */
    uint64_t missing_chunks; /* numbers that are nowhere to be found */
    uint64_t bad_records;    /* chunks that could not be decoded to their end */
};

struct trace;

/* Opens one trace file. On failure *t is NULL and `e` says why. */
bool trace_open(const char *path, struct trace **t, struct error *e);
void trace_close(struct trace *t);

const char *trace_path(const struct trace *t);
const struct trace_info *trace_info(const struct trace *t);
/* The value that a setting of the environment had; NULL if it was not set, or is not one of those kept in a trace. */
const char *trace_setting(const struct trace_info *info, const char *name);
const struct trace_health *trace_health(const struct trace *t);
bool trace_has_lost(const struct trace *t); /* anything at all: losses, damage, missing chunks */

/* A descriptor of the file with the snapshots of resident pages that belong to the trace (residency.h), to be closed by
 * the caller; -1 if there is none. */
int trace_pages(const struct trace *t);

/* Nanoseconds since the start of the process, for a time of the trace clock. Gets exact while events are read. */
uint64_t trace_ns(const struct trace *t, uint64_t time);
/* The same as CLOCK_MONOTONIC. */
uint64_t trace_mono_ns(const struct trace *t, uint64_t time);
/* The time of the last thing known of the process. */
uint64_t trace_end_time(const struct trace *t);

/* --- definitions: complete once all events have been read --------------------------------------------------------- */

struct trace_node {
    uint32_t parent, module; /* module 0: value is an address; RECORD_MODULE_TAG: value is a string */
    uint64_t value;
    bool defined;
};

struct trace_module {
    uint64_t start, end, bias;
    const char *path; /* NULL: not defined */
    uint8_t build_id[32];
    uint32_t build_id_size;
};

struct trace_thread {
    uint32_t tid;
    const char *name;
};

const struct trace_node *trace_node(const struct trace *t, uint32_t id);     /* NULL if there is none */
const struct trace_module *trace_module(const struct trace *t, uint32_t id); /* NULL if there is none */
uint32_t trace_string_count(const struct trace *t);           /* above every number; some between are of no string */
const char *trace_string(const struct trace *t, uint32_t id); /* NULL if there is none */
uint32_t trace_node_count(const struct trace *t);             /* one more than the greatest number */
uint32_t trace_module_count(const struct trace *t);
const char *trace_thread_name(const struct trace *t, uint32_t tid); /* "" if there is none */

/* The text of an enum record_call: "malloc", "mmap". */
const char *trace_call_name(uint32_t call);

/* --- events ------------------------------------------------------------------------------------------------------ */

/* A call that both releases and makes comes as two events, at the times of its two stamps. */
enum trace_part { TRACE_WHOLE, TRACE_RELEASES, TRACE_MAKES };

/* Of the record only the fields of its kind are set. */
struct trace_event {
    uint64_t time; /* trace clock */
    uint32_t tid;
    enum trace_part part;
    struct record record;
};

struct trace_reader;

/* Begins to read all events of the trace from the start, merged over its threads. With a second processor a thread of
 * the reader's own decodes ahead; nobody but the caller touches the trace itself. */
struct trace_reader *trace_reader_new(struct trace *t);

/* The same events either way, and trace_reader_new takes the one that is quicker. */
enum trace_decoding { TRACE_DECODE_INLINE, TRACE_DECODE_AHEAD };
struct trace_reader *trace_reader_with(struct trace *t, enum trace_decoding decoding);

/* The next event in the order of time, valid until the next call; NULL at the end. */
const struct trace_event *trace_reader_next(struct trace_reader *r);
/* An event that will be the next one soon, so that what it needs can be fetched into the cache; each of most events
 * once, a few at a time; NULL: no more for now. What it is about may change until then. */
const struct trace_event *trace_reader_soon(struct trace_reader *r);
void trace_reader_free(struct trace_reader *r);
/* For progress: bytes read so far, out of trace_health()->bytes. */
uint64_t trace_reader_done(const struct trace_reader *r);

/* --- a session --------------------------------------------------------------------------------------------------- */

struct session {
    char *path;
    struct trace **trace; /* in the order of their start */
    uint32_t count;
    char *symbols;             /* packed session: names found when it was packed, for symbols_import; else NULL */
    uint32_t left_out;         /* traces that could not be read, while others could */
    uint32_t unbegun;          /* traces with nothing in them: their processes ended, or were looked at, too early */
    struct error why_left_out; /* the first that could not be read, or else the first with nothing in it */
};

/* Opens a session directory, a single trace, or a packed session: what can be read of it. `e` says why if that is
 * nothing. */
bool session_open(const char *path, struct session *s, struct error *e);
void session_close(struct session *s);

/* Removes the traces of a session's directory and their snapshots, whatever is in them; other files stay. */
void session_remove(const char *directory);

/* Writes the session to a new file, compressed, with `symbols` (the text of symbols_export) as a part of it. Removes
 * what it began if that fails. */
bool session_pack(const struct session *s, const char *symbols, const char *path, struct error *e);

/* --- draining: a reader that empties the rings of a session while it is recorded ---------------------------------- */

struct trace_drain;

struct trace_drain *trace_drain_new(const char *directory);
/* Stores what is closed, of all traces that are there by now. True if there was anything. */
bool trace_drain_step(struct trace_drain *d);

struct trace_drained {
    uint32_t pid;
    bool running;   /* as the program that this trace is of, as far as can be seen */
    uint32_t marks; /* that the program has made so far */
};

/* Number i of those traces, which stays the same; false behind the last one. */
bool trace_drain_at(const struct trace_drain *d, uint32_t i, struct trace_drained *drained);
/* The path of its file. */
void trace_drain_path(const struct trace_drain *d, uint32_t i, char *path, size_t size);
/* Leaves the rings to the threads again. */
void trace_drain_free(struct trace_drain *d);

/* --- what the command line writes into a trace, also while the process runs --------------------------------------- */

/* Appends a mark with the present time, as memtap_mark of memtap.h would. */
bool trace_mark(const char *path, const char *name, double value, struct error *e);

/* Stops recording, or goes on: what happens between the two is counted as lost. */
bool trace_pause(const char *path, bool pause, struct error *e);

/* Says how the process ended, if its tap could not (killed, crashed). `kind` and `status` as in trace_status. */
bool trace_set_end(const char *path, enum trace_end kind, int status, struct error *e);

#endif
