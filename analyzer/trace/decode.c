/* decode.c: see decode.h. */
#include "trace/decode.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* The calls that end something before they begin something, or only end it. */
static bool is_spanned(enum record_kind kind)
{
    return kind == RECORD_REALLOC || kind == RECORD_MAP || kind == RECORD_UNMAP || kind == RECORD_REMAP ||
           kind == RECORD_BREAK;
}

/* Bytes that the record at d->at may take as an item: at least a whole one, though most will be shorter. */
static uint32_t most_needed(const struct decoder *d)
{
    uint64_t length;
    if (!(*d->at & 0x80) || !record_get_varint(d->at + 1, d->stop, &length))
        return sizeof(struct item);
    uint64_t left = (uint64_t)(d->stop - d->at);
    return (uint32_t)(sizeof(struct item) + (length < left ? length : left) + 8);
}

/* True if there is room in the batch; an empty one gets it. */
static bool make_room(struct batch *b, uint32_t wanted, uint32_t bytes)
{
    if (b->used + wanted <= b->room)
        return true;
    if (b->used)
        return false;
    b->room = wanted > bytes ? wanted : bytes;
    free(b->bytes);
    b->bytes = memory_take(b->room);
    return true;
}

static void add_note(struct batch *b, enum decoded what, uint64_t value)
{
    struct item *i = batch_item(b, b->used);
    i->size = offsetof(struct item, event.record);
    i->what = what;
    i->event.time = value;
    b->used += i->size;
}

static void begin_chunk(struct decoder *d, struct batch *b)
{
    const struct chunk_ref *c = d->chunk++;
    add_note(b, DECODED_CHUNK, sizeof(struct trace_chunk) + c->stored);
    if (c->committed >= d->room)
        d->payload = memory_resize(d->payload, d->room = c->committed + 1);
    if (!source_load(d->source, c, d->payload)) {
        add_note(b, DECODED_DAMAGE, 0);
        return;
    }
    d->at = d->payload;
    d->stop = d->payload + c->committed;
    record_coder_begin(&d->coder, c->time);
    d->tid = c->tid;
}

static uint32_t fields_of(enum record_kind kind)
{
    return kind == RECORD_ALLOC ? 5 : kind == RECORD_FREE ? 2 : record_shape((uint8_t)kind).fields;
}

/* The chunk's bytes will be gone when the text is read: it moves behind the fields. */
static void end_item(struct batch *b, struct item *i)
{
    struct record *r = &i->event.record;
    uint8_t *behind = (uint8_t *)&r->field[fields_of(r->kind)];
    if (r->text_size)
        memcpy(behind, r->text, r->text_size);
    r->text = behind;
    i->size = ((uint32_t)(behind - (uint8_t *)i) + r->text_size + 7) & ~7u;
    b->used += i->size;
}

static void decode(struct decoder *d, struct batch *b)
{
    struct item *i = batch_item(b, b->used);
    struct trace_event *e = &i->event;
    d->at = record_get(&d->coder, d->at, d->stop, &e->record);
    if (!d->at) {
        add_note(b, DECODED_BAD_RECORD, 0);
        d->at = d->stop;
        return;
    }
    if (e->record.kind == RECORD_THREAD)
        d->tid = (uint32_t)e->record.thread.tid;
    i->what = DECODED_EVENT;
    e->tid = d->tid;
    e->part = TRACE_WHOLE;
    e->time = d->coder.time;
    if (is_spanned(e->record.kind)) {
        uint64_t took = e->record.field[1];
        e->part = TRACE_RELEASES;
        e->time -= took < e->time ? took : e->time;
    }
    end_item(b, i);
}

void decoder_fill(struct decoder *d, struct batch *b, uint32_t bytes)
{
    b->used = 0;
    for (;;) {
        bool inside = d->at < d->stop;
        if (!inside && d->chunk == d->end) {
            b->last = true;
            return;
        }
        if (!make_room(b, inside ? most_needed(d) : (uint32_t)sizeof(struct item), bytes))
            return;
        if (inside)
            decode(d, b);
        else
            begin_chunk(d, b);
    }
}

void decoder_free(struct decoder *d)
{
    free(d->payload);
}
