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

/*
 * Opens it: gives every trace in it, unpacked into a file without a name, to `add`, which takes the descriptor over, and
 * the text of the symbols to *symbols (free() it). False if something in it is damaged; `e` says what.
 */
bool pack_read(const char *path, void (*add)(void *context, int fd, const char *label), void *context, char **symbols,
               struct error *e);

#endif
