/*
 * pack.h: a session in one compressed file. Inside trace/; session_pack writes it.
 *
 *   "MTAPPACK", version, then sections: kind, length of the name, bytes before and after compression, XXH3 of the stored
 *   bytes, the name, the stored bytes (a zstd frame). A trace's section holds a trace file whose ring is empty; the
 *   section of symbols holds the text that symbols/ made of the session's stacks, so that the file opens elsewhere.
 */
#ifndef TRACE_PACK_H
#define TRACE_PACK_H

#include "trace/trace.h"

/* Whether the file is a packed session. */
bool pack_is(const char *path);

/* Opens it: adds its traces to the session and sets s->symbols. Damaged sections are left out and reported in `e`. */
bool pack_read(struct session *s, const char *path, struct error *e);

#endif
