/* definitions.c: see definitions.h. */
#include "trace/definitions.h"

#include <htslib/khash.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define MOST_MODULES (1u << 16)

KHASH_MAP_INIT_INT(tids, uint32_t)

/* Makes elements up to `id` exist, zeroed. */
#define reach(array, count, room, id)                                                                                  \
    while ((count) <= (id)) {                                                                                          \
        array_room(array, count, room);                                                                                \
        memset(&(array)[(count)++], 0, sizeof *(array));                                                               \
    }

/* A node's parent is defined before it, so numbers that do not decrease towards the root would be a cycle. Spare
 * definitions of two threads may cross, but a parent is always the older number. */
static bool take_node(struct definitions *d, const struct record_node *r)
{
    if (r->id < RECORD_NODE_FIRST || r->id >= d->most_ids || r->parent >= r->id)
        return false;
    reach(d->node, d->nodes, d->node_room, r->id);
    d->node[r->id] = (struct trace_node){
        .parent = (uint32_t)r->parent, .module = (uint32_t)r->module, .value = r->value, .defined = true
    };
    return true;
}

static bool take_module(struct definitions *d, const struct record *r)
{
    const struct record_module *m = &r->module;
    if (m->id == 0 || m->id >= MOST_MODULES || m->build_id_size > 32 || m->build_id_size > r->text_size)
        return false;
    reach(d->module, d->modules, d->module_room, m->id);
    struct trace_module *module = &d->module[m->id];
    free((char *)(uintptr_t)module->path);
    *module = (struct trace_module){ .start = m->start, .end = m->end, .bias = m->bias };
    module->build_id_size = (uint32_t)m->build_id_size;
    memcpy(module->build_id, r->text, m->build_id_size);
    module->path = memory_copy((const char *)r->text + m->build_id_size, r->text_size - m->build_id_size);
    return true;
}

static bool take_string(struct definitions *d, const struct record *r)
{
    uint64_t id = r->string.id;
    if (id < RECORD_NODE_FIRST || id >= d->most_ids)
        return false;
    reach(d->string, d->strings, d->string_room, id);
    free(d->string[id]);
    d->string[id] = memory_copy((const char *)r->text, r->text_size);
    return true;
}

static struct thread_entry *find_thread(const struct definitions *d, uint32_t tid)
{
    khint_t k = kh_get(tids, d->thread_index, tid);
    return k == kh_end((khash_t(tids) *)d->thread_index) ? NULL
                                                         : &d->thread[kh_value((khash_t(tids) *)d->thread_index, k)];
}

static struct thread_entry *add_thread(struct definitions *d, uint32_t tid)
{
    int fresh;
    khint_t k = kh_put(tids, d->thread_index, tid, &fresh);
    kh_value((khash_t(tids) *)d->thread_index, k) = d->threads;
    array_room(d->thread, d->threads, d->thread_room);
    return &d->thread[d->threads++];
}

static void take_thread(struct definitions *d, const struct record *r)
{
    uint32_t tid = (uint32_t)r->thread.tid;
    struct thread_entry *t = find_thread(d, tid);
    size_t size = r->text_size < sizeof t->name ? r->text_size : sizeof t->name - 1;
    if (!t)
        t = add_thread(d, tid);
    *t = (struct thread_entry){ .tid = tid };
    memcpy(t->name, r->text, size);
}

void definitions_begin(struct definitions *d, uint64_t bytes)
{
    memset(d, 0, sizeof *d);
    d->thread_index = kh_init(tids);
    d->most_ids = 65536 + bytes / 2; /* a definition takes more bytes, but others may be missing */
}

bool definitions_take(struct definitions *d, const struct record *r)
{
    switch (r->kind) {
    case RECORD_NODE:
        return take_node(d, &r->node);
    case RECORD_MODULE:
        return take_module(d, r);
    case RECORD_STRING:
        return take_string(d, r);
    case RECORD_THREAD:
        take_thread(d, r);
        return true;
    default:
        return true;
    }
}

const char *definitions_thread(const struct definitions *d, uint32_t tid)
{
    const struct thread_entry *t = find_thread(d, tid);
    return t ? t->name : "";
}

void definitions_free(struct definitions *d)
{
    for (uint32_t i = 0; i < d->modules; i++)
        free((char *)(uintptr_t)d->module[i].path);
    for (uint32_t i = 0; i < d->strings; i++)
        free(d->string[i]);
    free(d->node);
    free(d->module);
    free(d->string);
    free(d->thread);
    kh_destroy(tids, d->thread_index);
    memset(d, 0, sizeof *d);
}
