/*
 * event.h: the only door for hooks. Each function turns one call into one committed record: it guards against
 * re-entrance, stamps, unwinds, encodes and commits, and it decides order and losses. errno is left alone.
 *
 * Order: a free is recorded, and so stamped, before the real call; an alloc after it. Calls that may do both are
 * recorded after the real call with both stamps: `before` is taken before it. So replay never sees an
 * address given out again before it was free, and a call that failed leaves no record but a failed allocation's.
 *
 * `caller` is what the hook says of its caller: ARCH_CALLER, in the hook itself.
 */
#ifndef PRELOAD_EVENT_H
#define PRELOAD_EVENT_H

#include <memtap/record.h>

#include "sys.h"

/* The trace clock, for an event that is about to be: of the address space, or of the heap. */
uint64_t event_stamp(void);
uint64_t event_stamp_heap(const void *block);

/* block NULL: the allocation failed. */
void event_alloc(enum record_call call, const void *block, size_t size, const void *caller);

/* Before the real free; block is not NULL. */
void event_free(const void *block);

/* Before the real realloc; old may be NULL. event_realloc must follow, or event_alloc where old is NULL. */
struct event_before {
    uint64_t time;
    bool recorded; /* old is in the trace: with sampling it need not be */
};
struct event_before event_realloc_begin(const void *old);

/* old is not NULL. block NULL and size 0: old was freed; block NULL otherwise: failed, old still lives. */
void event_realloc(enum record_call call, struct event_before before, const void *old, const void *block, size_t size,
                   const void *caller);

/* A new mapping, or a commit inside an old one (MAP_FIXED). fd < 0: no file. */
void event_map(enum record_call call, uint64_t before, const void *address, size_t size, int prot, int flags, int fd,
               uint64_t offset, const void *caller);
void event_map_failed(enum record_call call, size_t size, const void *caller);
void event_unmap(enum record_call call, uint64_t before, const void *address, size_t size);
void event_remap(uint64_t before, const void *old, size_t old_size, const void *address, size_t size, int flags,
                 const void *caller);
void event_break(enum record_call call, uint64_t before, const void *old, const void *now, const void *caller);
void event_advise(const void *address, size_t size, int advice);
void event_lock(const void *address, size_t size);
void event_trim(uint64_t before, size_t pad, int released);

/* Whether the descriptor leads to a model file. Makes system calls: ask files_may_be_model first. */
bool event_reads_model(int fd);

/* After a read of `size` >= 1 bytes to `address` from `offset` on. Records it if the file is a model. */
void event_file_bytes(int fd, const void *address, size_t size, int64_t offset);
#define EVENT_BEFORE_POSITION (-1) /* an offset: the bytes right before where the descriptor stands now */

/* What an engine says of its memory; the fields are explained in record.h. Names are not kept, and may be NULL. */
void event_buffer(const void *handle, const void *address, size_t size, unsigned usage, const char *name);
void event_buffer_free(const void *handle);
void event_tensor(const void *buffer, const void *address, size_t size, unsigned type, const char *name);
void event_engine(enum record_engine_what what, const void *handle);

/* Around the real fork; pid is its result. */
void event_fork_begin(void);
void event_fork_end(int pid);

/* The process is about to end with this status. */
void event_exit(int status);

/* Around a call that puts the process into a sandbox which may forbid what the tap does: nothing is recorded from there
 * on, unless the call fails. */
void event_sandbox_begin(void);
void event_sandbox_end(bool entered);

/* After a dlclose. */
void event_unloaded(void);

/* What memtap.h offers to the target (tag.c). Strings are not kept. */
void event_tag_push(const char *component);
void event_tag_pop(void);
void event_tag_block(const void *block, const char *component);
void event_mark(const char *name, double value);
void event_request_begin(uint64_t id);
void event_request_end(uint64_t id, uint64_t units);

#endif
