/* need_text.c: what models will take, as text. See report/need.h. */
#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "base/units.h"
#include "report/need.h"
#include "report/table.h"

#define LINE 600u

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* What stands in a file may be meant for a terminal to obey; it is printed without that. */
static const char *plain(char *text)
{
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    return text;
}

static void print_title(const struct model *m, const char *before, uint32_t width, FILE *out)
{
    char line[LINE], count[UNITS_TEXT], version[16] = "", files[32] = "";
    if (m->version)
        snprintf(version, sizeof version, " %u", m->version);
    if (m->files > 1)
        snprintf(files, sizeof files, " in %u files", m->files);
    snprintf(line, sizeof line, "%s%.150s · %.60s%s%.100s%s · %s%s, %s tensor%s%s", before, base_name(m->path),
             *m->architecture ? m->architecture : "architecture unknown", *m->name ? " \"" : "", m->name,
             *m->name ? "\"" : "", model_format_name(m->format), version, units_count(count, m->tensors),
             m->tensors == 1 ? "" : "s", files);
    table_wrap(plain(line), 0, width, out);
}

/* "0.8 GiB KV cache, " if there is any */
static void add_part(char *line, uint64_t bytes, const char *what)
{
    char size[UNITS_TEXT];
    size_t used = strlen(line);
    if (bytes)
        snprintf(line + used, LINE - used, "%s%s %s", used ? " + " : "", units_bytes(size, bytes), what);
}

static uint64_t kv_bytes(const struct need_kv *kv)
{
    return kv->bytes[NEED_FULL] + kv->bytes[NEED_WINDOW] + kv->bytes[NEED_RECURRENT];
}

static void print_sum(const struct need *n, const struct need_options *o, uint32_t width, FILE *out)
{
    char parts[LINE] = "", line[LINE + 200], size[UNITS_TEXT], tokens[UNITS_TEXT];
    add_part(parts, n->bytes, "weights");
    add_part(parts, n->mmproj_bytes, "from the projector's file");
    add_part(parts, kv_bytes(&n->kv), "KV cache");
    snprintf(line, sizeof line, "%s%s%s", units_bytes(size, n->read), *parts ? " = " : "", parts);
    table_wrap(line, 2, width, out);
    if (n->has_kv)
        fprintf(out, "  for %s tokens in %u sequence%s, keys %s, values %s\n", units_count(tokens, n->kv.ctx),
                o->parallel, o->parallel == 1 ? "" : "s", o->keys->name, o->values->name);
    fputc('\n', out);
}

/* --- weights ----------------------------------------------------------------------------------------------------- */

/* How a component is called in the table: "weights/layer.N/ffn" -> "  ffn" under "layers · 48". */
static void row_label(const struct need *n, const char *component, char label[MODEL_COMPONENT])
{
    const char *path = strncmp(component, "weights/", 8) == 0 ? component + 8 : component;
    if (strncmp(path, "layer.N/", 8) == 0)
        snprintf(label, MODEL_COMPONENT, "  %s", path + 8);
    else if (strcmp(path, "vision/blk.N") == 0)
        snprintf(label, MODEL_COMPONENT, "vision · %u blocks", n->vision_blocks);
    else if (strncmp(path, "vision/", 7) == 0)
        snprintf(label, MODEL_COMPONENT, "vision · %s", path + 7);
    else
        snprintf(label, MODEL_COMPONENT, "%.300s", path);
}

static void print_weights(const struct need *n, uint32_t width, FILE *out)
{
    char label[MODEL_COMPONENT], type[64], layers[32], size[UNITS_TEXT], count[UNITS_TEXT], share[16];
    const char *before = "";
    bool layers_begun = false;
    uint64_t all = n->bytes + n->mmproj_bytes;
    struct table t;
    table_begin(&t, "llrrr", 0);
    table_row(&t, "COMPONENT", "TYPE", "TENSORS", "IN THE FILE", "SHARE", NULL);
    for (uint32_t i = 0; i < n->rows; i++) {
        const struct need_row *r = &n->row[i];
        row_label(n, r->component, label);
        snprintf(type, sizeof type, "%.60s", r->type);
        snprintf(layers, sizeof layers, "layers · %u", n->blocks);
        if (*label == ' ' && !layers_begun)
            table_row(&t, layers, NULL);
        layers_begun |= *label == ' ';
        snprintf(share, sizeof share, "%.1f %%", all ? 100.0 * (double)r->bytes / (double)all : 0);
        table_row(&t, strcmp(before, r->component) == 0 ? "" : plain(label), plain(type),
                  units_count(count, r->tensors), units_bytes(size, r->bytes), share, NULL);
        before = r->component;
    }
    uint32_t tensors = n->model->tensors + (n->mmproj ? n->mmproj->tensors : 0);
    table_row(&t, "all", "", units_count(count, tensors), units_bytes(size, all), "", NULL);
    table_print(&t, 2, width, out);
}

/* --- the cache --------------------------------------------------------------------------------------------------- */

static const char *const kinds[] = { "full", "swa", "recurrent" };

static uint64_t cells_of(const struct need_kv *kv, const struct need_options *o, int kind)
{
    return kind == NEED_FULL ? kv->cells : kind == NEED_WINDOW ? kv->window_cells : o->parallel;
}

static void print_cache(const struct need *n, const struct need_options *o, uint32_t width, FILE *out)
{
    char label[64], token[UNITS_TEXT], cells[UNITS_TEXT], size[UNITS_TEXT];
    const struct need_kv *kv = &n->kv;
    struct table t;
    if (!n->has_kv)
        return;
    table_begin(&t, "lrrrl", 0);
    table_row(&t, "KV CACHE", "A TOKEN", "CELLS", "IN ALL", NULL);
    for (int kind = 0; kind < NEED_NONE; kind++) {
        if (!kv->count[kind])
            continue;
        snprintf(label, sizeof label, "%s · %u layer%s", kinds[kind], kv->count[kind], kv->count[kind] == 1 ? "" : "s");
        table_row(&t, label, units_bytes(token, kv->token[kind]), units_count(cells, cells_of(kv, o, kind)),
                  units_bytes(size, kv->bytes[kind]), kind == NEED_FULL ? "" : "estimate", NULL);
    }
    fputc('\n', out);
    table_print(&t, 2, width, out);
}

/* --- sentences --------------------------------------------------------------------------------------------------- */

static void say_window(const struct need_kv *kv, const struct need_options *o, uint32_t width, FILE *out)
{
    char line[LINE], window[UNITS_TEXT], batch[UNITS_TEXT];
    if (!kv->window)
        return;
    snprintf(line, sizeof line, "Window of %s tokens (%s).", units_count(window, kv->window), kv->source);
    size_t used = strlen(line);
    if (kv->count[NEED_WINDOW])
        snprintf(
            line + used, sizeof line - used,
            " The cells of those layers are an estimate by llama_kv_cache_iswa: window x sequences + batch of %s, at "
            "most the context, in steps of 256; newer builds differ.",
            units_count(batch, o->batch));
    table_wrap(line, 2, width, out);
}

static void say_unquantised(const struct need *n, uint32_t width, FILE *out)
{
    char line[LINE], size[UNITS_TEXT], part[UNITS_TEXT];
    uint64_t seen = 0, all = n->bytes + n->mmproj_bytes;
    for (uint32_t i = 0; i < n->rows; i++)
        if (!n->row[i].quantised && (strncmp(n->row[i].component, "weights/vision/", 15) == 0 ||
                                     strncmp(n->row[i].component, "weights/projector", 17) == 0))
            seen += n->row[i].bytes;
    if (!n->unquantised || !all)
        return;
    snprintf(line, sizeof line, "Not quantised: %s, %.1f %% of the weights", units_bytes(size, n->unquantised),
             100.0 * (double)n->unquantised / (double)all);
    size_t used = strlen(line);
    if (seen)
        snprintf(line + used, sizeof line - used, "; %s of that is the vision tower with its projector",
                 units_bytes(part, seen));
    used = strlen(line);
    snprintf(line + used, sizeof line - used, ".");
    table_wrap(line, 2, width, out);
}

static void say_loading(const struct need *n, uint32_t width, FILE *out)
{
    char line[LINE], size[UNITS_TEXT], anon[UNITS_TEXT], more[UNITS_TEXT], count[UNITS_TEXT], most[UNITS_TEXT];
    snprintf(line, sizeof line, "Mapped: %s are pages of the file, %s are memory of the process.",
             units_bytes(size, n->bytes), units_bytes(anon, n->mapped - n->bytes));
    if (n->repacked) {
        size_t used = strlen(line);
        snprintf(line + used, sizeof line - used,
                 " On a processor, repacked copies of %s matrices may add up to %s: %s in all.",
                 units_count(count, n->repacked_matrices), units_bytes(more, n->repacked),
                 units_bytes(most, n->mapped + n->repacked));
    }
    table_wrap(line, 2, width, out);
    snprintf(line, sizeof line,
             "Read (no mmap): %s, all memory of the process; repacked matrices are then held only once.",
             units_bytes(size, n->read));
    table_wrap(line, 2, width, out);
}

static void say_vision(const struct need *n, uint32_t width, FILE *out)
{
    char line[LINE], patches[UNITS_TEXT], pixels[UNITS_TEXT], matrix[UNITS_TEXT];
    if (!n->image)
        return;
    snprintf(line, sizeof line,
             "An image of %" PRIu64 " x %" PRIu64
             " is %s patches and %s as numbers; without flash attention one attention "
             "matrix is %s (estimate; Ollama's own estimate counts one).",
             n->image, n->image, units_count(patches, n->patches), units_bytes(pixels, n->pixels),
             units_bytes(matrix, n->attention));
    table_wrap(line, 2, width, out);
}

static uint32_t count_unknown(const struct model *m)
{
    uint32_t unknown = 0;
    for (uint32_t i = 0; m && i < m->tensors; i++)
        unknown += m->tensor[i].bytes_by_gap;
    return unknown;
}

static void say_rest(const struct need *n, uint32_t width, FILE *out)
{
    char line[LINE];
    uint32_t unknown = count_unknown(n->model) + count_unknown(n->mmproj);
    if (n->has_embedding)
        table_wrap(n->tied
                       ? "The embedding is tied: it is the output matrix as well, and held twice where the output is "
                         "on a GPU."
                       : "The embedding is not tied: the output matrix is one of its own.",
                   2, width, out);
    if (unknown) {
        snprintf(
            line, sizeof line,
            "%u tensor%s of a type that this memtap does not know; %s size is the room in the file, padding included.",
            unknown, unknown == 1 ? " is" : "s are", unknown == 1 ? "its" : "their");
        table_wrap(line, 2, width, out);
    }
    if (!n->has_kv && strcmp(n->model->architecture, "clip") != 0)
        table_wrap("The KV cache is not foreseen: the file does not say enough, or the model has none.", 2, width, out);
    table_wrap("Not counted: compute buffers, tokenizer, prompt cache, checkpoints, the program itself.", 2, width,
               out);
}

void need_text(const struct need *n, const struct need_options *o, uint32_t width, FILE *out)
{
    print_title(n->model, "", width, out);
    if (n->mmproj)
        print_title(n->mmproj, "with ", width, out);
    fputc('\n', out);
    print_sum(n, o, width, out);
    print_weights(n, width, out);
    print_cache(n, o, width, out);
    fputc('\n', out);
    say_window(&n->kv, o, width, out);
    say_unquantised(n, width, out);
    say_rest(n, width, out);
    say_vision(n, width, out);
    say_loading(n, width, out);
}

/* --- side by side ------------------------------------------------------------------------------------------------ */

#define BESIDE (TABLE_COLUMNS - 1)

static uint64_t value_of(const struct need *n, int row)
{
    switch (row) {
    case 0:
        return need_sum(n, "weights/embedding");
    case 1:
        return need_sum(n, "weights/layer.");
    case 2:
        return need_sum(n, "weights/output");
    case 3:
        return need_sum(n, "weights/vision/");
    case 4:
        return need_sum(n, "weights/projector");
    case 5:
        return need_sum(n, "weights/audio/");
    case 6:
        return need_sum(n, "weights/lora");
    case 7: {
        uint64_t rest = n->bytes + n->mmproj_bytes;
        for (int i = 0; i < 7; i++)
            rest -= value_of(n, i);
        return rest;
    }
    case 8:
        return n->bytes + n->mmproj_bytes;
    case 9:
        return n->unquantised;
    case 10:
        return n->kv.bytes[NEED_FULL];
    case 11:
        return n->kv.bytes[NEED_WINDOW];
    case 12:
        return n->kv.bytes[NEED_RECURRENT];
    case 13:
        return n->read;
    default:
        return n->mapped + n->repacked;
    }
}

/* The cells of a row for up to BESIDE models; those behind them stay empty. */
static void add_row(struct table *t, const char *label, char (*cell)[64], uint32_t count)
{
    for (uint32_t i = count; i < BESIDE; i++)
        cell[i][0] = '\0';
    table_row(t, label, cell[0], cell[1], cell[2], cell[3], cell[4], cell[5], cell[6], NULL);
}

static void print_beside(const struct need *n, uint32_t count, uint32_t width, FILE *out)
{
    static const char *const labels[] = {
        "embedding",      "layers",        "output",        "vision",      "projector",
        "audio",          "lora",          "other",         "all weights", "not quantised",
        "KV cache, full", "KV cache, swa", "KV, recurrent", "together",    "with repacking",
    };
    char cell[BESIDE][64], size[UNITS_TEXT];
    struct table t;
    table_begin(&t, "lrrrrrrr", 0);
    for (uint32_t m = 0; m < count; m++) {
        snprintf(cell[m], sizeof cell[m], "%.24s%s", base_name(n[m].model->path), n[m].mmproj ? " +" : "");
        plain(cell[m]);
    }
    add_row(&t, "BYTES OF", cell, count);
    for (int row = 0; row < (int)(sizeof labels / sizeof *labels); row++) {
        bool any = false;
        for (uint32_t m = 0; m < count; m++) {
            uint64_t value = value_of(&n[m], row);
            any |= value > 0;
            snprintf(cell[m], sizeof cell[m], "%s", value ? units_bytes(size, value) : "-");
        }
        if (any)
            add_row(&t, labels[row], cell, count);
    }
    for (uint32_t m = 0; m < count; m++) {
        uint64_t token = n[m].kv.token[NEED_FULL] + n[m].kv.token[NEED_WINDOW];
        snprintf(cell[m], sizeof cell[m], "%s", token ? units_bytes(size, token) : "-");
    }
    add_row(&t, "KV of a token", cell, count);
    table_print(&t, 2, width, out);
}

void need_text_beside(const struct need *n, uint32_t count, const struct need_options *o, uint32_t width, FILE *out)
{
    char line[LINE], tokens[UNITS_TEXT];
    for (uint32_t i = 0; i < count; i++) {
        print_title(n[i].model, "", width, out);
        if (n[i].mmproj)
            print_title(n[i].mmproj, "  + ", width, out);
    }
    for (uint32_t i = 0; i < count; i += BESIDE) {
        fputc('\n', out);
        print_beside(n + i, count - i < BESIDE ? count - i : BESIDE, width, out);
    }
    snprintf(line, sizeof line,
             "For %s tokens in %u sequence%s, keys %s, values %s. Cells of sliding windows are an estimate; compute "
             "buffers, tokenizer, prompt cache and the program itself are not counted.",
             o->ctx ? units_count(tokens, o->ctx) : "4,096", o->parallel, o->parallel == 1 ? "" : "s", o->keys->name,
             o->values->name);
    fputc('\n', out);
    table_wrap(line, 2, width, out);
}
