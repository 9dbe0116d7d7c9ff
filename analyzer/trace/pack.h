/*
 * pack.h: a session in one compressed file. Inside trace/; session_pack writes it.
 *
 *   "MTAPPACK", version, then sections: kind, length of the name, bytes before and after compression, XXH3 of the stored
 *   bytes, the name, the stored bytes (a zstd frame). A trace's section holds the header of a trace file whose ring is
 *   empty, then its chunks with their fields in lanes (lanes.h; in version 1 the file's log as it is); that of its pages,
 *   behind it if there is one, the file of its snapshots (residency.h); the section of symbols holds the text that
 *   symbols/ made of the session's stacks, so that the file opens elsewhere. Sections of other kinds are skipped.
 */
#ifndef TRACE_PACK_H
#define TRACE_PACK_H

#include "trace/trace.h"

/* Whether the file is a packed session. */
bool pack_is(const char *path);

/* Who gets what is in a pack: each file unpacked into one without a name, whose descriptor is taken over. */
struct pack_taker {
    void (*trace)(void *context, int fd, const char *label);
    void (*pages)(void *context, int fd, const char *label);
    void *context;
};

/*
 * Opens it: gives the files in it to the taker, and the text of the symbols to *symbols (free() it). False if something
 * in it is damaged; `e` says what.
 */
bool pack_read(const char *path, const struct pack_taker *taker, char **symbols, struct error *e);

#endif
