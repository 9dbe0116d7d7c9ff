/* tensors.c: what the names of tensors and the contents of model files say about a part of the model. */
#include <htslib/khash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attribute/inside.h"
#include "base/memory.h"

/* A model file that some process had open, with its tensors in the order of the file. */
struct opened {
    char *path;
    bool is_model;
    struct model model;
    const struct model_tensor **order; /* by file and offset */
};

KHASH_MAP_INIT_STR(opened, struct opened *)

struct tensors {
    khash_t(opened) * opened;
};

struct tensors *tensors_new(void)
{
    struct tensors *t = memory_take(sizeof *t);
    t->opened = kh_init(opened);
    return t;
}

void tensors_free(struct tensors *t)
{
    for (khint_t k = kh_begin(t->opened); k != kh_end(t->opened); k++) {
        if (!kh_exist(t->opened, k))
            continue;
        struct opened *o = kh_value(t->opened, k);
        if (o->is_model)
            model_close(&o->model);
        free(o->order);
        free(o->path);
        free(o);
    }
    kh_destroy(opened, t->opened);
    free(t);
}

/* --- model files ------------------------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct model_tensor *x = *(const struct model_tensor *const *)a, *y = *(const struct model_tensor *const *)b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static struct opened *open_file(const char *path)
{
    struct error e;
    struct opened *o = memory_take(sizeof *o);
    o->path = memory_copy(path, strlen(path));
    o->is_model = model_open(path, &o->model, &e);
    if (!o->is_model)
        return o;
    o->order = memory_take((o->model.tensors + 1) * sizeof *o->order);
    for (uint32_t i = 0; i < o->model.tensors; i++)
        o->order[i] = &o->model.tensor[i];
    array_sort(o->order, o->model.tensors, sizeof *o->order, by_place);
    return o;
}

static struct opened *find_file(struct tensors *t, const char *path)
{
    khint_t k = kh_get(opened, t->opened, path);
    if (k == kh_end(t->opened)) {
        int fresh;
        struct opened *o = open_file(path);
        k = kh_put(opened, t->opened, o->path, &fresh);
        kh_value(t->opened, k) = o;
    }
    return kh_value(t->opened, k);
}

const struct model *tensors_model(struct tensors *t, const char *path)
{
    struct opened *o = find_file(t, path);
    return o->is_model ? &o->model : NULL;
}

static uint32_t file_number(const struct model *m, const char *path)
{
    const char *name = symbols_base_name(path);
    for (uint32_t i = 0; i < m->files; i++)
        if (strcmp(symbols_base_name(m->file[i].path), name) == 0)
            return i;
    return 0;
}

const struct model_tensor *tensors_at(struct tensors *t, const struct model *m, const char *path, uint64_t offset)
{
    const struct opened *o = find_file(t, path);
    uint32_t file = file_number(m, path), low = 0, high = m->tensors;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct model_tensor *p = o->order[middle];
        if (p->file > file || (p->file == file && p->offset + p->bytes > offset))
            high = middle;
        else
            low = middle + 1;
    }
    return low < m->tensors && o->order[low]->file == file ? o->order[low] : NULL;
}

uint64_t tensors_file_bytes(const struct tensors *t)
{
    uint64_t sum = 0;
    for (khint_t k = kh_begin(t->opened); k != kh_end(t->opened); k++) {
        const struct opened *o = kh_exist(t->opened, k) ? kh_value(t->opened, k) : NULL;
        for (uint32_t i = 0; o && o->is_model && i < o->model.files; i++)
            sum += o->model.file[i].size;
    }
    return sum;
}

/* --- names ------------------------------------------------------------------------------------------------------- */

/* How llama.cpp names what its caches hold: "cache_k_l12". */
static bool read_cache_name(const char *name, char *what, unsigned *layer)
{
    int length = 0;
    return sscanf(name, "cache_%c_l%u%n", what, layer, &length) == 2 && !name[length] && strchr("kvrs", *what);
}

static const struct heap_buffer *buffer_of(const struct heap *h, const struct heap_content *tensor, uint32_t *number)
{
    for (uint32_t i = heap_buffer_count(h); i-- > 0;) {
        const struct heap_buffer *b = heap_buffer(h, i);
        if (b->id == tensor->buffer || (b->start <= tensor->start && tensor->end <= b->end)) {
            *number = i;
            return b;
        }
    }
    return NULL;
}

const char *owners_how(const struct heap_buffer *b)
{
    static const struct {
        const char *part, *how;
    } names[] = { { "Mapped", "mapped" }, { "REPACK", "repacked" }, { "AMX", "repacked" }, { "Host", "pinned" },
                  { "CUDA", "gpu" },      { "ROCm", "gpu" },        { "Vulkan", "gpu" },   { "Metal", "gpu" } };
    for (unsigned i = 0; b && i < sizeof names / sizeof *names; i++)
        if (strstr(b->type, names[i].part))
            return names[i].how;
    return "read";
}

void tensors_own_rest(const struct owners *w, struct owner *o)
{
    const struct heap_content rest = { .start = o->start, .end = o->end };
    uint32_t number;
    bool weights = o->component && strncmp(o->component, "weights", 7) == 0;
    const struct heap_buffer *b = weights ? buffer_of(w->heap, &rest, &number) : NULL;
    if (!b)
        return;
    o->how = owners_how(b);
    o->buffer = b->type;
}

static const struct model_tensor *find_tensor(const struct model *m, const struct heap_content *tensor)
{
    const struct model_tensor *found = m ? model_find(m, tensor->name) : NULL;
    return found && found->bytes == tensor->end - tensor->start ? found : NULL;
}

/* The file that a tensor comes from: that whose bytes lie there, or the first model of the process with a tensor of that
 * name and size. */
static void find_origin(const struct owners *w, const struct heap_content *tensor, const char *source, struct owner *o)
{
    const struct model *m = source ? tensors_model(w->tensors, source) : NULL;
    const struct model_tensor *found = find_tensor(m, tensor);
    for (uint32_t i = 0; !found && i < w->models; i++) {
        m = w->model[i];
        found = find_tensor(m, tensor);
    }
    if (!found)
        return;
    o->model = symbols_base_name(m->path);
    o->file = m->file[found->file].path;
    o->offset = found->offset;
}

bool tensors_own(struct owners *w, uint32_t tensor, const char *source, struct owner *o)
{
    const struct heap_content *c = heap_tensor(w->heap, tensor);
    char text[MODEL_COMPONENT], kind;
    unsigned layer;
    uint32_t number = 0;
    const struct heap_buffer *b = buffer_of(w->heap, c, &number);
    const char *path = text;
    if (read_cache_name(c->name, &kind, &layer)) {
        const char *part = kind == 'r' || kind == 's' ? "recurrent" : b && w->swa[number] ? "swa" : "full";
        snprintf(text, sizeof text, "kv-cache/%s/layer.%u", part, layer);
    } else if (model_name_derived(c->name, text, sizeof text)) {
        return false;
    } else {
        path = model_component(c->name, NULL, text, NULL);
    }
    if (!path)
        return false;
    bool weights = strncmp(path, "weights", 7) == 0;
    o->component = rules_keep(w->rules, path);
    o->how = weights ? owners_how(b) : "";
    o->model = "";
    if (weights)
        find_origin(w, c, source, o);
    o->tensor = c->name;
    o->type = model_type(c->type) ? model_type(c->type)->name : "";
    o->buffer = b ? b->type : "";
    o->evidence = EVIDENCE_TENSOR;
    return true;
}

/* --- sliding-window caches --------------------------------------------------------------------------------------- */

/* The layers whose cache lies in a buffer, as bits; layers from 512 on are left out. */
struct layers {
    uint64_t bits[8];
    bool any;
};

static bool overlap(const struct layers *a, const struct layers *b)
{
    for (unsigned i = 0; i < 8; i++)
        if (a->bits[i] & b->bits[i])
            return true;
    return false;
}

/*
 * llama.cpp makes the cache of the full layers first, then that of the sliding-window ones
 * (llama_kv_cache_iswa::llama_kv_cache_iswa): two buffers, one right after the other, without a layer in common. A
 * second context begins with layers that the first one had.
 */
void tensors_sort_caches(struct owners *w)
{
    uint32_t buffers = heap_buffer_count(w->heap), previous = UINT32_MAX;
    struct layers *layers = memory_take((buffers + 1) * sizeof *layers);
    w->swa = memory_take((buffers + 1) * sizeof *w->swa);
    for (uint32_t i = 0; i < heap_tensor_count(w->heap); i++) {
        const struct heap_content *c = heap_tensor(w->heap, i);
        char kind;
        unsigned layer;
        uint32_t b;
        if (!read_cache_name(c->name, &kind, &layer) || kind == 'r' || kind == 's' || !buffer_of(w->heap, c, &b))
            continue;
        layers[b].any = true;
        layers[b].bits[layer / 64 % 8] |= 1ull << layer % 64;
    }
    for (uint32_t i = 0; i < buffers; i++) {
        if (!layers[i].any)
            continue;
        w->swa[i] = previous != UINT32_MAX && !w->swa[previous] && !overlap(&layers[i], &layers[previous]);
        previous = i;
    }
    free(layers);
}
