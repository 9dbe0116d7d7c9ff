/*
 * fuzz_lanes.c: any bytes as payloads of chunks, which must come back from lanes as they were; and any bytes as lanes,
 * from which must come no harm. For libFuzzer and AFL++.
 */
#include <stdlib.h>
#include <string.h>

#include "trace/lanes.h"

struct lanes_under_test {
    struct lanes *back;
    const uint8_t *payload[2];
    uint32_t size[2], count;
};

static bool check(void *context, const struct trace_chunk *head, const uint8_t *payload)
{
    struct lanes_under_test *t = context;
    if (head->committed != t->size[t->count] || memcmp(payload, t->payload[t->count], head->committed) != 0)
        abort();
    t->count++;
    return true;
}

static void put_together(void *context, const void *bytes, size_t size)
{
    struct lanes_under_test *t = context;
    if (!lanes_take(t->back, bytes, size, check, t))
        abort();
}

static bool accept(void *context, const struct trace_chunk *head, const uint8_t *payload)
{
    volatile uint64_t *sum = context;
    for (uint32_t i = 0; i < head->committed; i++)
        *sum += payload[i];
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first two bytes say where the first payload ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > TRACE_PAYLOAD_SIZE)
        return 0;
    uint32_t rest = (uint32_t)size - 2, first = (uint32_t)(data[0] | data[1] << 8);
    first = first < rest ? first : rest;
    static struct lanes *l, *back; /* after a whole group they are as new */
    l = l ? l : lanes_new();
    back = back ? back : lanes_new();
    struct lanes_under_test t = { back, { data + 2, data + 2 + first }, { first, rest - first }, 0 };
    struct lanes *any = lanes_new();
    volatile uint64_t sum = 0;
    for (unsigned i = 0; i < 2; i++)
        lanes_add(l, &(struct trace_chunk){ .committed = t.size[i] }, t.payload[i]);
    lanes_give(l, put_together, &t);
    if (t.count != 2 || !lanes_whole(t.back))
        abort();
    lanes_take(any, data, size, accept, (void *)&sum);
    lanes_free(any);
    return 0;
}
