/*
 * reader.c: all events of a trace in the order of time. Each cursor of the tap is a stream that is in order but for rare
 * exceptions (a signal handler's events inside a longer call); the streams are merged with a heap. Another thread may
 * decode ahead (ahead.h); what a record defines is taken in here, when its turn comes, so nothing depends on that.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "trace/ahead.h"
#include "trace/inside.h"

#define BATCH_BYTES (256u << 10)       /* large enough that waking a thread for one costs little */
#define BATCH_BYTES_LEAST (8u << 10)   /* and not less with many streams, */
#define BATCHES_BYTES (32u << 20)      /* which have so much together */
#define INLINE_BATCH_BYTES (32u << 10) /* decoded by the reader itself: stays in the nearest cache */
#define LEAD 16u          /* events that trace_reader_soon looks ahead: a miss of the cache takes as long */
#define WORTH_A_THREAD 8u /* chunks: a shorter trace is read before a thread has started */

/* One cursor of the tap. */
struct stream {
    struct decoder decoder;
    struct order order[2]; /* in turns: one is merged, the other one filled */
    uint32_t current, at;  /* and the place of the next item in it */
    uint32_t soon, lead;   /* the place of the next item that trace_reader_soon shows, and how many items ahead it is */
    struct trace_event *next;
};

struct head {
    uint64_t time; /* of the stream's next event */
    struct stream *stream;
};

struct trace_reader {
    struct trace *trace;
    struct stream *stream;
    uint32_t streams;
    struct ahead *ahead; /* NULL: no thread */
    struct head *heap;   /* by time */
    uint32_t size;
    uint64_t rival; /* the least time below the top of the heap */
    bool given;     /* the top's event is in the caller's hands */
    uint64_t done;
};

/* --- one stream -------------------------------------------------------------------------------------------------- */

static void ask(struct trace_reader *r, struct order *o)
{
    if (r->ahead)
        ahead_ask(r->ahead, o);
}

static void receive(struct trace_reader *r, struct order *o)
{
    if (r->ahead)
        ahead_wait(r->ahead, o);
    else
        decoder_fill(o->decoder, &o->batch, o->bytes);
}

/* The next item; NULL at the end of the stream. */
static struct item *next_item(struct trace_reader *r, struct stream *s)
{
    struct order *o = &s->order[s->current];
    while (s->at == o->batch.used) {
        if (o->batch.last)
            return NULL;
        ask(r, o);
        s->current ^= r->ahead != NULL;
        o = &s->order[s->current];
        s->at = s->soon = s->lead = 0;
        receive(r, o);
    }
    struct item *i = batch_item(&o->batch, s->at);
    s->at += i->size;
    if (s->lead)
        s->lead--;
    else
        s->soon = s->at;
    return i;
}

/* Learns from a record what the trace keeps for itself. */
static void learn(struct trace *t, const struct record *rec)
{
    if (rec->kind == RECORD_SAMPLE)
        trace_clock_pair(t, rec->sample.time, rec->sample.mono_ns);
    if (!definitions_take(&t->definitions, rec))
        t->health.bad_records++;
}

/* What the decoder has to say besides events. */
static void note(struct trace_reader *r, const struct item *i)
{
    if (i->what == DECODED_CHUNK)
        r->done += i->event.time;
    r->trace->health.damaged_chunks += i->what == DECODED_DAMAGE;
    r->trace->health.bad_records += i->what == DECODED_BAD_RECORD;
}

/* Sets s->next to the stream's next event; false at its end. */
static bool stream_next(struct trace_reader *r, struct stream *s)
{
    struct item *i;
    if (s->next && s->next->part == TRACE_RELEASES) {
        s->next->part = TRACE_MAKES;
        s->next->time = s->next->record.field[0];
        return true;
    }
    while ((i = next_item(r, s)) && i->what != DECODED_EVENT)
        note(r, i);
    s->next = i ? &i->event : NULL;
    if (i && i->event.record.kind & 0x80)
        learn(r->trace, &i->event.record);
    return i != NULL;
}

/* --- the merge --------------------------------------------------------------------------------------------------- */

static void sift_down(struct trace_reader *r, uint32_t i)
{
    struct head *h = r->heap, moving = h[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= r->size)
            break;
        if (child + 1 < r->size && h[child + 1].time < h[child].time)
            child++;
        if (moving.time <= h[child].time)
            break;
        h[i] = h[child];
        i = child;
    }
    h[i] = moving;
}

static void find_rival(struct trace_reader *r)
{
    r->rival = r->size > 1 ? r->heap[1].time : UINT64_MAX;
    if (r->size > 2 && r->heap[2].time < r->rival)
        r->rival = r->heap[2].time;
}

/* Moves the stream whose event was given out last on to its next one; mostly it stays at the top. */
static void advance(struct trace_reader *r)
{
    struct stream *s = r->heap[0].stream;
    r->given = false;
    if (stream_next(r, s)) {
        r->heap[0].time = s->next->time;
        if (s->next->time <= r->rival)
            return;
    } else {
        r->heap[0] = r->heap[--r->size];
    }
    if (r->size)
        sift_down(r, 0);
    find_rival(r);
}

const struct trace_event *trace_reader_next(struct trace_reader *r)
{
    if (r->given)
        advance(r);
    if (r->size == 0)
        return NULL;
    r->given = true;
    const struct trace_event *e = r->heap[0].stream->next;
    if (e->time > r->trace->end_time)
        r->trace->end_time = e->time;
    return e;
}

const struct trace_event *trace_reader_soon(struct trace_reader *r)
{
    struct stream *s = r->size ? r->heap[0].stream : NULL;
    while (s && s->lead < LEAD && s->soon < s->order[s->current].batch.used) {
        struct item *i = batch_item(&s->order[s->current].batch, s->soon);
        s->soon += i->size;
        s->lead++;
        if (i->what == DECODED_EVENT)
            return &i->event;
    }
    return NULL;
}

/* --- the beginning and the end ----------------------------------------------------------------------------------- */

static void find_streams(struct trace_reader *r)
{
    const struct source *source = &r->trace->source;
    uint32_t room = 0;
    for (uint32_t i = 0; i < source->count; i++) {
        if (i == 0 || source->chunk[i].cursor != source->chunk[i - 1].cursor) {
            array_room(r->stream, r->streams, room);
            r->stream[r->streams++] = (struct stream){ .decoder = { .source = source, .chunk = &source->chunk[i] } };
        }
        r->stream[r->streams - 1].decoder.end = &source->chunk[i + 1];
    }
}

static uint32_t batch_bytes(const struct trace_reader *r)
{
    uint32_t bytes = r->ahead ? BATCHES_BYTES / 2 / (r->streams + 1) : INLINE_BATCH_BYTES;
    return bytes > BATCH_BYTES ? BATCH_BYTES : bytes < BATCH_BYTES_LEAST ? BATCH_BYTES_LEAST : bytes;
}

/* All streams' first batches come before their second ones: they are wanted first. */
static void ask_for_all(struct trace_reader *r)
{
    uint32_t bytes = batch_bytes(r);
    for (uint32_t k = 0; k < 2; k++)
        for (uint32_t i = 0; i < r->streams; i++) {
            struct order *o = &r->stream[i].order[k];
            o->decoder = &r->stream[i].decoder;
            o->bytes = bytes;
            ask(r, o);
        }
}

struct trace_reader *trace_reader_with(struct trace *t, enum trace_decoding decoding)
{
    struct trace_reader *r = memory_take(sizeof *r);
    r->trace = t;
    find_streams(r);
    if (decoding == TRACE_DECODE_AHEAD)
        r->ahead = ahead_begin();
    ask_for_all(r);
    r->heap = memory_take((r->streams + 1) * sizeof *r->heap);
    for (uint32_t i = 0; i < r->streams; i++) {
        struct stream *s = &r->stream[i];
        receive(r, &s->order[0]);
        if (stream_next(r, s))
            r->heap[r->size++] = (struct head){ s->next->time, s };
    }
    for (uint32_t i = r->size / 2; i-- > 0;)
        sift_down(r, i);
    find_rival(r);
    return r;
}

struct trace_reader *trace_reader_new(struct trace *t)
{
    bool ahead = t->source.count >= WORTH_A_THREAD && ahead_pays();
    return trace_reader_with(t, ahead ? TRACE_DECODE_AHEAD : TRACE_DECODE_INLINE);
}

uint64_t trace_reader_done(const struct trace_reader *r)
{
    return r->done;
}

void trace_reader_free(struct trace_reader *r)
{
    if (r->ahead)
        ahead_end(r->ahead);
    for (uint32_t i = 0; i < r->streams; i++) {
        free(r->stream[i].order[0].batch.bytes);
        free(r->stream[i].order[1].batch.bytes);
        decoder_free(&r->stream[i].decoder);
    }
    free(r->stream);
    free(r->heap);
    free(r);
}
