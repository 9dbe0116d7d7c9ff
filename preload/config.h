/*
 * config.h: the MEMTAP_* variables of the environment, read once.
 *
 *   MEMTAP_OUTPUT   the session directory; %p pid, %n program name, %t time, %h host; default ./memtap-%n-%p.mtap
 *   MEMTAP_LIMIT    most bytes of one trace, with K, M, G or T for powers of 1,024; default 4G
 *   MEMTAP_SAMPLE   of blocks smaller than this size a sample is recorded, one in so many bytes on average; default 0:
 *                   every event is
 *   MEMTAP_FOLLOW   0: children of the first program are not recorded; default 1
 *   MEMTAP_DISABLE  1: nothing is recorded; default 0
 *   MEMTAP_UNWINDER libunwind: stacks by the reference unwinder, to compare with; default table
 *   TMPDIR          where a session goes when its own place is not writable; default /tmp
 *
 * Unknown names and bad values are never printed into the target's output: they become warnings in the trace.
 */
#ifndef PRELOAD_CONFIG_H
#define PRELOAD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct config {
    const char *output; /* NULL: not set */
    const char *temporary;
    uint64_t limit;
    uint64_t sample; /* up to TRACE_SAMPLE_MOST */
    bool follow;
    bool disabled;
    bool libunwind;
    char warnings[1024]; /* one sentence a line */
};

/* The result lives as long as the process; envp must too. Not thread-safe: called while the tap starts. */
const struct config *config_read(char **envp);

#endif
