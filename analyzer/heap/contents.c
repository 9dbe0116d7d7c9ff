/* contents.c: what lies inside blocks and mappings: tensors, and bytes of model files. See heap.h. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "heap/inside.h"

/* The first item that ends behind `address`. */
static uint32_t find_item(const struct heap_contents *c, uint64_t address)
{
    return array_behind(c->item, c->count, end, address);
}

static void insert_item(struct heap_contents *c, uint32_t at, const struct heap_content *item)
{
    array_room(c->item, c->count, c->room);
    if (!c->item) /* clang-tidy cannot see that there is room now */
        return;
    memmove(&c->item[at + 1], &c->item[at], (c->count - at) * sizeof *c->item);
    c->item[at] = *item;
    c->count++;
    if (!c->least || item->end - item->start < c->least)
        c->least = item->end - item->start;
}

static void remove_items(struct heap_contents *c, uint32_t from, uint32_t to)
{
    memmove(&c->item[from], &c->item[to], (c->count - to) * sizeof *c->item);
    c->count -= to - from;
}

/* File bytes may be overwritten in part; a tensor is there as a whole or not at all. */
static void forget(struct heap_contents *c, uint64_t start, uint64_t end)
{
    if (c->count == 0 || end - start < c->least)
        return;
    uint32_t from = find_item(c, start), to = from;
    while (to < c->count && c->item[to].start < end)
        to++;
    if (from == to)
        return;
    struct heap_content head = c->item[from], tail = c->item[to - 1];
    remove_items(c, from, to);
    if (head.name)
        return;
    if (tail.end > end) {
        tail.offset += end - tail.start;
        tail.start = end;
        insert_item(c, from, &tail);
    }
    if (head.start < start) {
        head.end = start;
        insert_item(c, from, &head);
    }
}

static const char *keep_name(struct heap *h, const struct record *r)
{
    char *copy = memory_copy((const char *)r->text, r->text_size);
    const char *kept = intern_text(h->names, intern_add(h->names, copy));
    free(copy);
    return kept;
}

void contents_tensor(struct heap *h, const struct record *r)
{
    const struct record_tensor *t = &r->tensor;
    if (!t->size || t->address + t->size < t->address)
        return;
    struct heap_content item = { .start = t->address,
                                 .end = t->address + t->size,
                                 .time = t->time,
                                 .name = keep_name(h, r),
                                 .buffer = t->buffer,
                                 .type = (uint32_t)t->type };
    struct heap_contents *c = &h->tensors;
    c->least = c->least && c->least < t->size ? c->least : t->size; /* it overlaps whatever it touches */
    forget(c, item.start, item.end);
    insert_item(c, find_item(c, item.start), &item);
}

/* Loaders read a tensor in many pieces: those that continue one another become one. */
void contents_file_bytes(struct heap *h, const struct record_file_bytes *r)
{
    if (!r->size || r->address + r->size < r->address)
        return;
    struct heap_content item = { .start = r->address,
                                 .end = r->address + r->size,
                                 .time = r->time,
                                 .file = (uint32_t)r->file,
                                 .offset = r->offset };
    struct heap_contents *c = &h->file_bytes;
    c->least = 1;
    forget(c, item.start, item.end);
    uint32_t at = find_item(c, item.start);
    struct heap_content *before = at ? &c->item[at - 1] : NULL;
    if (before && before->end == item.start && before->file == item.file &&
        before->offset + (before->end - before->start) == item.offset)
        before->end = item.end;
    else
        insert_item(c, at, &item);
}

static struct heap_buffer *find_buffer(struct heap *h, uint64_t id)
{
    for (uint32_t i = h->buffers; i-- > 0;)
        if (h->buffer[i].id == id)
            return &h->buffer[i];
    return NULL;
}

void contents_buffer(struct heap *h, const struct record *r)
{
    struct heap_buffer *b = find_buffer(h, r->buffer.id);
    if (!b) {
        array_room(h->buffer, h->buffers, h->buffer_room);
        b = &h->buffer[h->buffers++];
        b->time = r->buffer.time;
    }
    *b = (struct heap_buffer){ .id = r->buffer.id,
                               .start = r->buffer.address,
                               .end = r->buffer.address + r->buffer.size,
                               .time = b->time,
                               .usage = (uint32_t)r->buffer.usage,
                               .type = keep_name(h, r) };
}

void contents_buffer_free(struct heap *h, uint64_t id)
{
    struct heap_buffer *b = find_buffer(h, id);
    if (!b)
        return;
    contents_forget(h, b->start, b->end);
    uint32_t at = (uint32_t)(b - h->buffer);
    memmove(b, b + 1, (--h->buffers - at) * sizeof *b);
}

void contents_forget(struct heap *h, uint64_t start, uint64_t end)
{
    forget(&h->tensors, start, end);
    forget(&h->file_bytes, start, end);
}

void contents_free(struct heap *h)
{
    free(h->tensors.item);
    free(h->file_bytes.item);
    free(h->buffer);
    free(h->stack);
    intern_free(h->names);
}

uint32_t heap_tensor_count(const struct heap *h)
{
    return h->tensors.count;
}

const struct heap_content *heap_tensor(const struct heap *h, uint32_t i)
{
    return &h->tensors.item[i];
}

uint32_t heap_file_bytes_count(const struct heap *h)
{
    return h->file_bytes.count;
}

const struct heap_content *heap_file_bytes(const struct heap *h, uint32_t i)
{
    return &h->file_bytes.item[i];
}

uint32_t heap_tensor_behind(const struct heap *h, uint64_t address)
{
    return find_item(&h->tensors, address);
}

uint32_t heap_file_bytes_behind(const struct heap *h, uint64_t address)
{
    return find_item(&h->file_bytes, address);
}

uint32_t heap_buffer_count(const struct heap *h)
{
    return h->buffers;
}

const struct heap_buffer *heap_buffer(const struct heap *h, uint32_t i)
{
    return &h->buffer[i];
}
