/* need.c: sums over a model's tensors. See need.h. */
#include "model/need.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define ROWS_MANY 1000u /* from here on types are lumped together: a file may claim a new one for every tensor */

/* "weights/layer.12/ffn" -> "weights/layer.N/ffn" */
static void without_numbers(const char *component, char *text)
{
    size_t used = 0;
    for (const char *p = component; *p && used < MODEL_COMPONENT - 1; p++) {
        bool number =
            isdigit((unsigned char)*p) && p > component && p[-1] == '.' && strncmp(component, "weights/lora/", 13) != 0;
        text[used++] = number ? 'N' : *p;
        while (number && isdigit((unsigned char)p[1]))
            p++;
    }
    text[used] = '\0';
}

static struct need_row *row_of(struct need *n, const struct model_tensor *t)
{
    char component[MODEL_COMPONENT];
    const char *type = n->rows < ROWS_MANY ? t->type.name : "various";
    without_numbers(t->component, component);
    for (uint32_t i = 0; i < n->rows; i++)
        if (strcmp(n->row[i].component, component) == 0 && strcmp(n->row[i].type, type) == 0)
            return &n->row[i];
    array_room(n->row, n->rows, n->row_room);
    struct need_row *r = &n->row[n->rows++];
    *r = (struct need_row){ .type = type, .quantised = t->type.quantised };
    memcpy(r->component, component, sizeof component);
    return r;
}

static int order(const char *component)
{
    static const char *const names[] = { "weights/embedding", "weights/layer", "weights/norm",  "weights/output",
                                         "weights/vision",    "weights/proj",  "weights/audio", "weights/lora" };
    int i = 0;
    while (i < 8 && strncmp(component, names[i], strlen(names[i])) != 0)
        i++;
    return i;
}

/* The component's bytes decide before the type's would tear it apart; names settle what is left. */
static int compare_rows(const void *a, const void *b)
{
    const struct need_row *x = a, *y = b;
    int d = order(x->component) - order(y->component);
    if (!d)
        d = strcmp(x->component, y->component);
    if (!d)
        d = x->bytes == y->bytes ? strcmp(x->type, y->type) : x->bytes < y->bytes ? 1 : -1;
    return d;
}

static void count_blocks(const struct model_tensor *t, struct need *n)
{
    uint32_t blocks = (uint32_t)(t->layer + 1);
    if (strncmp(t->component, "weights/layer.", 14) == 0 && blocks > n->blocks)
        n->blocks = blocks;
    if (strncmp(t->component, "weights/vision/blk.", 19) == 0 && blocks > n->vision_blocks)
        n->vision_blocks = blocks;
}

/* The matrices that ggml's processor backend would take into its repack buffer: not the embedding, whose rows are read. */
static bool may_be_repacked(const struct model_tensor *t)
{
    bool text = strncmp(t->component, "weights/layer.", 14) == 0 || strcmp(t->component, "weights/output") == 0;
    return text && t->type.repacked && (t->dims == 2 || t->dims == 3) && t->dim[1] % 8 == 0;
}

static void add_model(struct need *n, const struct model *m, uint64_t *sum)
{
    bool output = false;
    for (uint32_t i = 0; i < m->tensors; i++) {
        const struct model_tensor *t = &m->tensor[i];
        struct need_row *r = row_of(n, t);
        r->bytes += t->bytes;
        r->tensors++;
        *sum += t->bytes;
        n->unquantised += t->type.quantised ? 0 : t->bytes;
        count_blocks(t, n);
        if (m->format == MODEL_GGUF && may_be_repacked(t)) {
            n->repacked += t->bytes;
            n->repacked_matrices++;
        }
        n->has_embedding |= strcmp(t->component, "weights/embedding") == 0;
        output |= strcmp(t->component, "weights/output") == 0 && t->dims == 2;
    }
    if (m == n->model)
        n->tied = n->has_embedding && !output;
}

static bool vision_key(const struct model *m, const char *name, uint64_t *value)
{
    char key[200];
    snprintf(key, sizeof key, "clip.vision.%s", name);
    if (model_u64(m, key, 0, value))
        return true;
    snprintf(key, sizeof key, "%.100s.vision.%s", m->architecture, name); /* Ollama's files have both in one */
    return model_u64(m, key, 0, value);
}

static void foresee_vision(struct need *n, const struct model *m)
{
    uint64_t image, patch, heads;
    if (!vision_key(m, "image_size", &image) || !vision_key(m, "patch_size", &patch) ||
        !vision_key(m, "attention.head_count", &heads) || !patch || image > 16384 || heads > 1024)
        return;
    n->image = image;
    n->patches = (image / patch) * (image / patch);
    n->pixels = image * image * 3 * 4;
    n->attention = n->patches * n->patches <= UINT64_MAX / 4096 ? n->patches * n->patches * heads * 4 : 0;
}

uint64_t need_sum(const struct need *n, const char *prefix)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n->rows; i++)
        if (strncmp(n->row[i].component, prefix, strlen(prefix)) == 0)
            sum += n->row[i].bytes;
    return sum;
}

void need_compute(const struct model *m, const struct model *mmproj, const struct need_options *o, struct need *n)
{
    *n = (struct need){ .model = m, .mmproj = mmproj };
    add_model(n, m, &n->bytes);
    if (mmproj)
        add_model(n, mmproj, &n->mmproj_bytes);
    array_sort(n->row, n->rows, sizeof *n->row, compare_rows);
    foresee_vision(n, mmproj ? mmproj : m);
    n->vision = need_sum(n, "weights/vision/") + need_sum(n, "weights/audio/");
    n->projector = need_sum(n, "weights/projector");
    n->has_kv = need_kv(m, o, &n->kv);
    n->read = n->bytes + n->mmproj_bytes;
    for (int i = 0; i < NEED_NONE; i++)
        n->read += n->kv.bytes[i];
    n->mapped = n->read;
}

void need_free(struct need *n)
{
    need_kv_free(&n->kv);
    free(n->row);
    *n = (struct need){ .model = NULL };
}
