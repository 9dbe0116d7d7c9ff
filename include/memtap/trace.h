/*
 * trace.h: the layout of a trace file (PID.mtap), shared by the tap that writes it and the analyzer that reads it.
 *
 *   | header | ring: slots of one chunk each, mapped MAP_SHARED by the target | log: closed chunks, appended |
 *
 * The tap writes records (record.h) into chunks. A chunk is filled in a ring slot and published record by record, so
 * everything that a hook has recorded is in the page cache when the hook returns and outlives SIGKILL. A full chunk
 * leaves the ring for the log: appended by the thread that filled it, or drained by a reader. Further ring regions
 * lie in the log, at the offsets that the header names.
 *
 * All integers are little-endian. Times are in units of 2^time_shift clock ticks (see identity.clock). A reader must
 * treat every byte as hostile.
 *
 * Versioning: a reader refuses a greater major version. Within a major version, reserved fields may get a meaning,
 * and records of unknown kind are skipped by their length.
 */
#ifndef MEMTAP_TRACE_H
#define MEMTAP_TRACE_H

#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC 0x0a0d5041544d454dull /* "MEMTAP\r\n" */
#define TRACE_MAJOR 1
#define TRACE_MINOR 2 /* 1: provenance, engine and stack records; 2: settings, sampling, records without a time */

#define TRACE_HEADER_SIZE 65536u /* bytes before the first ring region */
#define TRACE_CHUNK_SIZE 65536u  /* bytes of a ring slot: chunk header and payload */
#define TRACE_LOG_ALIGN 512u     /* log entries start at multiples of this, so they can be found again after damage */
#define TRACE_REGION_SLOTS 16u   /* slots of one ring region */
#define TRACE_REGIONS 256u       /* most ring regions of a file */
#define TRACE_OWN 256u
#define TRACE_SLOTS (TRACE_REGION_SLOTS * TRACE_REGIONS)
#define TRACE_STRINGS_SIZE 8192u       /* bytes of host, executable and argv together */
#define TRACE_WARNINGS_SIZE 1024u      /* bytes of the sentences about bad settings */
#define TRACE_SETTINGS_SIZE 2048u      /* bytes of the settings kept of the environment */
#define TRACE_SAMPLE_MOST (1ull << 32) /* largest mean distance of samples, in bytes */

/* What the time stamps count. */
enum trace_clock {
    TRACE_CLOCK_MONOTONIC = 0, /* nanoseconds of CLOCK_MONOTONIC */
    TRACE_CLOCK_TSC = 1,       /* the invariant time stamp counter, calibrated by the pairs in header and chunks */
};

/* How the traced image came into being. */
enum trace_origin {
    TRACE_ORIGIN_EXEC = 0, /* a fresh program image */
    TRACE_ORIGIN_FORK = 1, /* a forked child: it inherits the heap of its parent as it was at the fork */
};

/* How the traced image ended, as far as somebody could see it. */
enum trace_end {
    TRACE_END_OPEN = 0,   /* still running, or ended without a word: killed, crashed, replaced by exec */
    TRACE_END_EXIT = 1,   /* exit or _exit with end_status */
    TRACE_END_SIGNAL = 2, /* signal number end_status; written by the one who waited for it */
};

/* Why events were lost, or why recording stopped: name, key in JSON, and the end of the sentence "... because". */
#define TRACE_LOSSES(L)                                                                                                \
    L(NO_SLOT, "no_slot", "more threads recorded at once than the ring has slots")                                     \
    L(NESTED, "nested", "signal handlers interrupted the tap too deeply")                                              \
    L(DISK_FULL, "disk_full", "the disk was full")                                                                     \
    L(FILE_SIZE, "file_size", "the target's file size limit (RLIMIT_FSIZE) was reached")                               \
    L(LIMIT, "limit", "the trace reached its limit (MEMTAP_LIMIT)")                                                    \
    L(NO_MEMORY, "no_memory", "the tap could not map memory")                                                          \
    L(IO_ERROR, "io_error", "the trace could not be written")                                                          \
    L(NO_DESCRIPTOR, "no_descriptor", "no file descriptor was free to append to the trace")                            \
    L(PAUSED, "paused", "recording was paused")                                                                        \
    L(SANDBOX, "sandbox", "the program went into a sandbox (seccomp) that may kill it for what the tap does")

enum trace_loss {
#define TRACE_LOSS_NAME(name, key, text) TRACE_LOSS_##name,
    TRACE_LOSSES(TRACE_LOSS_NAME)
#undef TRACE_LOSS_NAME
        TRACE_LOSS_COUNT
};

/* Bits of status.shortfall: what the tap could not do, although no event was lost by it. */
enum trace_shortfall {
    TRACE_SHORT_NO_PROC = 1,      /* /proc is not there: late modules and memory samples are missing */
    TRACE_SHORT_NO_UNWINDER = 2,  /* libunwind is not there: stacks are only one frame deep */
    TRACE_SHORT_FALLBACK_DIR = 4, /* the directory asked for was not writable: the session is in $TMPDIR or /tmp */
    TRACE_SHORT_STACKS_FULL = 8,  /* the table of call stacks was full: later events have no stack */
    TRACE_SHORT_SAMPLE_FULL = 16, /* the set of sampled blocks was full: since then all frees are recorded */
};

/*
 * A slot's state word: the sequence number of its chunk above TRACE_STATE_BITS, and below it what goes on.
 * FREE -> OPEN (a cursor fills it) -> CLOSED (full, a reader may drain it) -> FREE, or
 * OPEN -> BUSY (its owner has appended it and begins the next chunk in place) -> OPEN.
 */
enum trace_state { TRACE_STATE_FREE = 0, TRACE_STATE_OPEN = 1, TRACE_STATE_CLOSED = 2, TRACE_STATE_BUSY = 3 };
#define TRACE_STATE_BITS 2
#define TRACE_STATE(sequence, state) ((uint64_t)(sequence) << TRACE_STATE_BITS | (uint64_t)(state))
#define TRACE_STATE_OF(word) ((word) & ((1u << TRACE_STATE_BITS) - 1))

/* Written once when the trace is made; magic last. */
struct trace_identity {
    uint64_t magic;
    uint16_t major, minor;
    uint32_t header_size;
    uint64_t features; /* none is defined yet: 0 */
    uint32_t pid, ppid;
    uint32_t uid;
    uint32_t origin;            /* enum trace_origin */
    uint64_t start_realtime_ns; /* CLOCK_REALTIME at the start, */
    uint64_t start_mono_ns;     /* CLOCK_MONOTONIC */
    uint64_t start_time;        /* and the trace clock at the same moment */
    uint64_t start_jiffies;     /* /proc/PID/stat field 22, tells a reused pid apart; 0 if unknown */
    uint32_t clock;             /* enum trace_clock */
    uint32_t time_shift;        /* a time unit is 2^time_shift ticks */
    uint32_t chunk_size;
    uint32_t page_size;
    uint64_t fork_before; /* forked child: the parent's clock just before fork() */
    uint64_t fork_after;  /* forked child: its own first stamp */
    char fork_parent[32]; /* forked child: file name of the parent's trace in this session */
    char version[16];     /* version of the tap */
    uint64_t tap_start;   /* address range of the tap's code */
    uint64_t tap_end;
    uint64_t limit; /* most bytes of the file */
    uint32_t strings_size;
    uint32_t unused;
    uint64_t sample_bytes; /* mean bytes between samples, see below; 0: every event is recorded */
    uint8_t reserved[64];
};

/*
 * Sampling. With a mean of M bytes, a heap block of s < M bytes (0 counts as 1) is recorded with the probability
 * 1 - exp(-s / M), independently of all others; its free, or what realloc frees, is recorded if it was. Blocks of M
 * bytes and more, and everything that is no heap block, are recorded always. A realloc that is recorded on one side only
 * is an alloc, or a realloc to address 0.
 */

/* Written by a reader or by the command line, obeyed by the tap. */
struct trace_control {
    uint32_t pause;       /* 1: record nothing */
    uint32_t reader_pid;  /* who drains the ring; 0: nobody, threads append their own chunks */
    uint64_t reader_beat; /* CLOCK_MONOTONIC in ns when the reader last looked; an old one is ignored */
    uint32_t backed; /* so many of the first ring regions have disk space for all of their slots, says the reader */
    uint8_t reserved[44];
};

/* Written by the tap, or by whoever appends to the log, with atomic operations. */
struct trace_status {
    uint64_t log_end;       /* offset of the next log entry */
    uint64_t next_sequence; /* of the next chunk */
    uint32_t region_count;
    uint32_t stopped; /* 1 + enum trace_loss once recording has ended early */
    uint32_t end;     /* enum trace_end */
    int32_t end_status;
    uint64_t end_time;                 /* the trace clock at the end */
    uint64_t end_mono_ns;              /* CLOCK_MONOTONIC at the end */
    uint64_t own_anonymous;            /* bytes of private memory that the tap has mapped */
    uint64_t own_resident;             /* bytes of it that were resident when last looked at */
    uint32_t shortfall;                /* enum trace_shortfall, or-ed */
    uint32_t marks;                    /* that the program has made, counted for a reader that wants to look at once */
    uint64_t losses[TRACE_LOSS_COUNT]; /* events lost, by cause; open chunks hold further ones (trace_chunk.lost) */
};

/* How stacks were found that were not remembered as a whole. Each thread adds what it has counted after every 64. */
enum trace_walk {
    TRACE_WALK_PARTLY, /* the outer part was known from the walk before */
    TRACE_WALK_WHOLLY, /* none of it was */
    TRACE_WALK_SLOWLY, /* a frame took more than rules for stack and frame pointer; or by libunwind */
    TRACE_WALK_CUT,    /* of the first two: ended before the outermost frame, in code without tables for instance */
    TRACE_WALK_COUNT
};

struct trace_range {
    uint64_t start, end;
};

struct trace_header {
    union {
        struct trace_identity identity;
        uint8_t identity_space[256];
    };
    union {
        struct trace_control control;
        uint8_t control_space[256];
    };
    union {
        struct trace_status status;
        uint8_t status_space[512];
    };
    char warnings[TRACE_WARNINGS_SIZE]; /* one sentence a line about unknown or bad settings, NUL-terminated */
    uint64_t regions[TRACE_REGIONS];    /* offset in the file of the first slot of each ring region */
    char strings[TRACE_STRINGS_SIZE];   /* host, executable, argv[0], argv[1], ...; each NUL-terminated */
    struct trace_range
        own[TRACE_OWN]; /* the tap's private memory when last looked at, with gaps of 0, 0; all 0: unknown */
    char settings[TRACE_SETTINGS_SIZE]; /* NAME=value of the environment that bounds memory; each NUL-terminated */
    uint64_t walks[TRACE_WALK_COUNT];   /* all 0: not counted */
    uint8_t reserved[32768 - 12288 - TRACE_OWN * sizeof(struct trace_range) - TRACE_SETTINGS_SIZE -
                     TRACE_WALK_COUNT * sizeof(uint64_t)];
    uint64_t slots[TRACE_SLOTS]; /* state words; slot i lies in region i / TRACE_REGION_SLOTS */
};

_Static_assert(sizeof(struct trace_identity) == 256, "the layout is part of the format");
_Static_assert(sizeof(struct trace_control) == 64, "the layout is part of the format");
_Static_assert(sizeof(struct trace_status) <= 512 && offsetof(struct trace_status, losses) == 72, "and so are offsets");
_Static_assert(offsetof(struct trace_header, control) == 256, "the layout is part of the format");
_Static_assert(offsetof(struct trace_header, status) == 512, "the layout is part of the format");
_Static_assert(offsetof(struct trace_header, warnings) == 1024, "the layout is part of the format");
_Static_assert(offsetof(struct trace_header, regions) == 2048, "the layout is part of the format");
_Static_assert(offsetof(struct trace_header, strings) == 4096, "the layout is part of the format");
_Static_assert(offsetof(struct trace_header, slots) == 32768, "the layout is part of the format");
_Static_assert(sizeof(struct trace_header) == TRACE_HEADER_SIZE, "the layout is part of the format");

/* How the payload of a log entry is stored. */
enum trace_encoding { TRACE_ENCODING_RAW = 0, TRACE_ENCODING_ZSTD = 1 };

/*
 * Heads every ring slot and every log entry. A chunk decodes alone: the coder of record.h starts afresh with `time`.
 * The chunks of one cursor, in the order of their sequence numbers, are one stream in the order of time.
 * After a crash the same sequence number may stand in the ring and in the log: they are copies.
 */
struct trace_chunk {
    uint32_t magic;    /* TRACE_CHUNK_MAGIC */
    uint16_t encoding; /* enum trace_encoding; always raw in the ring */
    uint16_t reserved;
    uint32_t committed; /* payload bytes that are complete records; grows in an open slot (release, acquire) */
    uint32_t stored;    /* bytes that follow this header in the log */
    uint64_t sequence;  /* unique in the file */
    uint32_t cursor;    /* which stream the chunk belongs to: below TRACE_SLOTS, or TRACE_CURSOR_OUTSIDE */
    uint32_t tid;       /* the thread that held the cursor when the chunk was opened */
    uint64_t time;      /* the trace clock when it was opened, the base of the first record's delta, */
    uint64_t mono_ns;   /* and CLOCK_MONOTONIC at the same moment */
    uint64_t checksum;  /* log: XXH3 of the stored bytes, seeded with XXH3 of the 48 bytes before this field */
    uint64_t lost;      /* ring: events of this cursor lost since recording stopped */
};

#define TRACE_CHUNK_MAGIC 0x4b43544du    /* "MTCK" */
#define TRACE_CURSOR_OUTSIDE 0xffffffffu /* the chunk was appended by the command line, not by the tap */
#define TRACE_PAYLOAD_SIZE (TRACE_CHUNK_SIZE - (uint32_t)sizeof(struct trace_chunk))

_Static_assert(sizeof(struct trace_chunk) == 64 && offsetof(struct trace_chunk, checksum) == 48, "part of the format");

#endif
