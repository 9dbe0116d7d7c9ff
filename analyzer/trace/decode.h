/*
 * decode.h: from the chunks of one stream to batches of decoded events. Inside trace/. A batch holds all that came of
 * the bytes, in their order, also what was wrong with them, so that another thread may fill it ahead of time: whoever
 * takes the items out one by one sees what it would have seen had it decoded them itself.
 */
#ifndef TRACE_DECODE_H
#define TRACE_DECODE_H

#include "trace/source.h"

enum decoded {
    DECODED_EVENT,
    DECODED_CHUNK,      /* one begins; its time is the bytes that it takes in the file */
    DECODED_DAMAGE,     /* it could not be loaded */
    DECODED_BAD_RECORD, /* it could not be decoded from here on */
};

/* An event is only as long as the fields of its kind, its text behind them; so an item has its own size. */
struct item {
    uint32_t size;
    enum decoded what;
    struct trace_event event;
};

struct batch {
    uint8_t *bytes; /* items, one behind the other */
    uint32_t room, used;
    bool last; /* nothing of the stream comes behind it */
};

struct decoder {
    const struct source *source;
    const struct chunk_ref *chunk, *end; /* still to be read */
    uint8_t *payload;
    uint32_t room;
    const uint8_t *at, *stop; /* in the payload */
    struct record_coder coder;
    uint32_t tid;
};

/* Fills the batch anew, up to `bytes` or one item that is larger. An event that both releases and makes is there once,
 * with the time of what it releases. */
void decoder_fill(struct decoder *d, struct batch *b, uint32_t bytes);
void decoder_free(struct decoder *d);

static inline struct item *batch_item(const struct batch *b, uint32_t offset)
{
    return (struct item *)(void *)(b->bytes + offset);
}

#endif
