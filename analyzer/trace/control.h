/*
 * control.h: what the command line writes into a trace, also while the process runs. Only the owner of the trace can:
 * access is the file's permission.
 */
#ifndef TRACE_CONTROL_H
#define TRACE_CONTROL_H

#include "trace/trace.h"

/* Appends a mark with the present time, as memtap_mark of memtap.h would. */
bool trace_mark(const char *path, const char *name, double value, struct error *e);

/* Says how the process ended, if its tap could not (killed, crashed). `kind` and `status` as in trace_status. */
bool trace_set_end(const char *path, enum trace_end kind, int status, struct error *e);

#endif
