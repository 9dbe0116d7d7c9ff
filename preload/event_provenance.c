/* event_provenance.c: where bytes came from, and what an engine says of its memory. See event.h. */
#include "event.h"

#include "event_inside.h"
#include "event_start.h"
#include "files.h"
#include "stamp.h"
#include "stacks.h"

/* --- model files ------------------------------------------------------------------------------------------------- */

/* Looking at a file makes system calls, which a sandbox may answer by death. A forked child that has recorded nothing
 * stays asleep: what it reads is no event unless it is a model. */
static const char *model_of(int fd)
{
    return *event_state == EVENT_OFF || tracefile_hindrance() == TRACE_LOSS_SANDBOX ? NULL : files_model(fd);
}

bool event_reads_model(int fd)
{
    return model_of(fd) != NULL;
}

void event_file_bytes(int fd, const void *address, size_t size, int64_t offset)
{
    struct thread_pass pass;
    const char *path = model_of(fd);
    if (!path)
        return;
    if (offset == EVENT_BEFORE_POSITION)
        offset = sys_position(fd) - (int64_t)size;
    if (offset < 0 || !event_begin(&pass))
        return;
    struct record_file_bytes r = { .address = (uintptr_t)address, .size = size, .offset = (uint64_t)offset };
    r.file = stacks_string(pass.cursor, path, sys_strlen(path));
    r.time = stamp_now();
    ring_put(pass.cursor, RECORD_FILE_BYTES, &r, NULL, 0, NULL, 0);
    event_end(&pass, r.time);
}

/* --- engines ----------------------------------------------------------------------------------------------------- */

void event_buffer(const void *handle, const void *address, size_t size, unsigned usage, const char *name)
{
    struct record_buffer r = { .id = (uintptr_t)handle, .address = (uintptr_t)address, .size = size, .usage = usage };
    event_put_now(RECORD_BUFFER, &r.time, name);
}

void event_buffer_free(const void *handle)
{
    struct record_buffer_free r = { .id = (uintptr_t)handle };
    event_put_now(RECORD_BUFFER_FREE, &r.time, NULL);
}

void event_tensor(const void *buffer, const void *address, size_t size, unsigned type, const char *name)
{
    struct record_tensor r = { .address = (uintptr_t)address, .size = size, .buffer = (uintptr_t)buffer, .type = type };
    event_put_now(RECORD_TENSOR, &r.time, name);
}

void event_engine(enum record_engine_what what, const void *handle)
{
    struct record_engine r = { .what = what, .handle = (uintptr_t)handle };
    event_put_now(RECORD_ENGINE, &r.time, NULL);
}
