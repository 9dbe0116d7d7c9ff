/* inside.h: what the files of trace/ know of a trace. */
#ifndef TRACE_INSIDE_H
#define TRACE_INSIDE_H

#include "trace/definitions.h"
#include "trace/source.h"
#include "trace/trace.h"

struct trace {
    char *path;
    int pages; /* packed session: its snapshots, unpacked; else -1 */
    struct source source;
    struct definitions definitions;
    struct trace_info info;
    struct trace_health health;
    const char **argv;
    uint64_t end_time;
    struct {
        uint64_t first_time, first_ns, last_time, last_ns;
        double nominal; /* nanoseconds a time unit is taken for when nothing better is known */
    } clock;
};

/* Opens its file; -1: `e` says why not. */
int trace_open_file(const char *path, struct error *e);

/* Opens a trace by its descriptor, which it takes over; `path` names it in messages. */
bool trace_open_fd(int fd, const char *path, struct trace **out, struct error *e);

/* Field 22 of /proc/PID/stat, by which a process is told from another one of the same number; 0: there is none. */
uint64_t trace_start_of_process(uint32_t pid);

/* Both clocks read at one moment. */
void trace_clock_pair(struct trace *t, uint64_t time, uint64_t mono_ns);

#endif
