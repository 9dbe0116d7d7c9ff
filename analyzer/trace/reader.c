/*
 * reader.c: all events of a trace in the order of time. Each cursor of the tap is a stream that is in order but for rare
 * exceptions (a signal handler's events inside a longer call); the streams are merged with a heap.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "trace/inside.h"

/* One cursor of the tap. */
struct stream {
    const struct chunk_ref *chunk, *end; /* still to be read */
    uint8_t *payload;
    uint32_t room;
    const uint8_t *at, *stop; /* in the payload */
    struct record_coder coder;
    struct trace_event next;
};

struct trace_reader {
    struct trace *trace;
    struct stream *stream;
    uint32_t streams;
    struct stream **heap; /* by the time of the next event */
    uint32_t size;
    bool given; /* the top's event is in the caller's hands */
    uint64_t done;
};

/* --- one stream -------------------------------------------------------------------------------------------------- */

/* The calls that end something before they begin something, or only end it. */
static bool is_spanned(enum record_kind kind)
{
    return kind == RECORD_REALLOC || kind == RECORD_MAP || kind == RECORD_UNMAP || kind == RECORD_REMAP ||
           kind == RECORD_BREAK;
}

static bool next_chunk(struct trace_reader *r, struct stream *s)
{
    while (s->chunk < s->end) {
        const struct chunk_ref *c = s->chunk++;
        r->done += sizeof(struct trace_chunk) + c->stored;
        if (c->committed >= s->room)
            s->payload = memory_resize(s->payload, s->room = c->committed + 1);
        if (!source_load(&r->trace->source, c, s->payload)) {
            r->trace->health.damaged_chunks++;
            continue;
        }
        s->at = s->payload;
        s->stop = s->payload + c->committed;
        record_coder_begin(&s->coder, c->time);
        s->next.tid = c->tid;
        return true;
    }
    return false;
}

/* Learns from a record what the trace keeps for itself. */
static void learn(struct trace *t, struct stream *s)
{
    const struct record *rec = &s->next.record;
    if (rec->kind == RECORD_THREAD)
        s->next.tid = (uint32_t)rec->thread.tid;
    if (rec->kind == RECORD_SAMPLE)
        trace_clock_pair(t, rec->sample.time, rec->sample.mono_ns);
    if (rec->kind & 0x80 && !definitions_take(&t->definitions, rec))
        t->health.bad_records++;
}

/* Sets s->next to the stream's next event; false at its end. */
static bool stream_next(struct trace_reader *r, struct stream *s)
{
    if (s->next.part == TRACE_RELEASES) {
        s->next.part = TRACE_MAKES;
        s->next.time = s->next.record.field[0];
        return true;
    }
    for (;;) {
        while (s->at == s->stop)
            if (!next_chunk(r, s))
                return false;
        s->at = record_get(&s->coder, s->at, s->stop, &s->next.record);
        if (s->at)
            break;
        r->trace->health.bad_records++;
        s->at = s->stop;
    }
    learn(r->trace, s);
    s->next.part = is_spanned(s->next.record.kind) ? TRACE_RELEASES : TRACE_WHOLE;
    s->next.time = s->coder.time;
    if (s->next.part == TRACE_RELEASES) {
        uint64_t took = s->next.record.field[1];
        s->next.time -= took < s->next.time ? took : s->next.time;
    }
    return true;
}

/* --- the merge --------------------------------------------------------------------------------------------------- */

static void sift_down(struct trace_reader *r, uint32_t i)
{
    struct stream **h = r->heap, *moving = h[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= r->size)
            break;
        if (child + 1 < r->size && h[child + 1]->next.time < h[child]->next.time)
            child++;
        if (moving->next.time <= h[child]->next.time)
            break;
        h[i] = h[child];
        i = child;
    }
    h[i] = moving;
}

static void find_streams(struct trace_reader *r)
{
    const struct source *source = &r->trace->source;
    uint32_t room = 0;
    for (uint32_t i = 0; i < source->count; i++) {
        if (i == 0 || source->chunk[i].cursor != source->chunk[i - 1].cursor) {
            array_room(r->stream, r->streams, room);
            r->stream[r->streams++] = (struct stream){ .chunk = &source->chunk[i] };
        }
        r->stream[r->streams - 1].end = &source->chunk[i + 1];
    }
}

struct trace_reader *trace_reader_new(struct trace *t)
{
    struct trace_reader *r = memory_take(sizeof *r);
    r->trace = t;
    find_streams(r);
    r->heap = memory_take((r->streams + 1) * sizeof *r->heap);
    for (uint32_t i = 0; i < r->streams; i++) {
        struct stream *s = &r->stream[i];
        if (stream_next(r, s))
            r->heap[r->size++] = s;
    }
    for (uint32_t i = r->size / 2; i-- > 0;)
        sift_down(r, i);
    return r;
}

/* Moves the stream whose event was given out last on to its next one. */
static void advance(struct trace_reader *r)
{
    r->given = false;
    if (!stream_next(r, r->heap[0]))
        r->heap[0] = r->heap[--r->size];
    if (r->size)
        sift_down(r, 0);
}

const struct trace_event *trace_reader_next(struct trace_reader *r)
{
    if (r->given)
        advance(r);
    if (r->size == 0)
        return NULL;
    r->given = true;
    const struct trace_event *e = &r->heap[0]->next;
    if (e->time > r->trace->end_time)
        r->trace->end_time = e->time;
    return e;
}

uint64_t trace_reader_done(const struct trace_reader *r)
{
    return r->done;
}

void trace_reader_free(struct trace_reader *r)
{
    for (uint32_t i = 0; i < r->streams; i++)
        free(r->stream[i].payload);
    free(r->stream);
    free(r->heap);
    free(r);
}
