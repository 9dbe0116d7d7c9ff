/* beyond.c: see beyond.h. */
#include <string.h>

#include "base/memory.h"
#include "base/units.h"
#include "report/beyond.h"
#include "report/table.h"

/* A part of the difference: components below `path` that are held like `how` (NULL: in any way). */
struct part {
    const char *path, *how, *text;
    int64_t bytes;
};

static bool is_below(const char *path, const char *top)
{
    size_t length = strlen(top);
    return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* Whether the bytes are those of the file itself, mapped or read. */
static bool is_of_file(const struct summary_component *c)
{
    return (is_below(c->path, "weights") || is_below(c->path, "metadata")) &&
           (strcmp(c->how, "mapped") == 0 || strcmp(c->how, "read") == 0);
}

static int by_bytes(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

static void sum_parts(const struct summary *s, struct part *part, uint32_t parts, int64_t *rest)
{
    for (uint32_t i = 0; i < s->components; i++) {
        const struct summary_component *c = &s->component[i];
        int64_t held = (int64_t)(c->resident + c->swapped);
        uint32_t k = 0;
        if (is_of_file(c))
            continue;
        while (k < parts && !(is_below(c->path, part[k].path) && (!part[k].how || strcmp(c->how, part[k].how) == 0)))
            k++;
        *(k < parts ? &part[k].bytes : rest) += held;
    }
}

static uint64_t of_files(const struct summary *s)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->components; i++)
        if (is_of_file(&s->component[i]))
            sum += s->component[i].resident + s->component[i].swapped;
    return sum;
}

static void print_part(int64_t bytes, const char *text, const struct summary *s, FILE *out)
{
    char size[UNITS_TEXT];
    uint64_t amount = (uint64_t)(bytes < 0 ? -bytes : bytes);
    if (amount * 200 < s->resident) /* half of a hundredth explains nothing */
        return;
    fprintf(out, "  %c%10s  %s\n", bytes < 0 ? '-' : '+', units_bytes(size, amount), text);
}

void beyond_print(const struct summary *s, const struct report_style *style, FILE *out)
{
    struct part part[] = {
        { "weights", "repacked", "weights once more, rearranged for the processor", 0 },
        { "weights", "gpu", "weights on a device", 0 },
        { "weights", NULL, "weights beside their tensors", 0 },
        { "kv-cache", NULL, "KV cache", 0 },
        { "prompt-cache", NULL, "prompts kept for later requests", 0 },
        { "checkpoints", NULL, "checkpoints of contexts", 0 },
        { "compute", NULL, "compute buffers, as far as they were touched", 0 },
        { "image", NULL, "pictures on their way into the model", 0 },
        { "tokenizer", NULL, "tokenizer", 0 },
        { "runtime", NULL, "code, stacks and the runtime of the language", 0 },
        { "allocator", NULL, "freed memory that the allocator keeps, and its own bookkeeping", 0 },
    };
    const uint32_t parts = sizeof part / sizeof *part;
    char files[UNITS_TEXT], more[UNITS_TEXT], text[300];
    int64_t rest = (int64_t)s->unexplained;
    if (!s->measured || !s->model_file_bytes || !s->resident)
        return;
    sum_parts(s, part, parts, &rest);
    array_sort(part, parts, sizeof *part, by_bytes);
    bool beyond = s->resident >= s->model_file_bytes;
    snprintf(text, sizeof text,
             "The model files have %s; the process holds %s %s:", units_bytes(files, s->model_file_bytes),
             units_bytes(more, beyond ? s->resident - s->model_file_bytes : s->model_file_bytes - s->resident),
             beyond ? "more" : "less");
    fputc('\n', out);
    table_wrap(text, 2, style->width, out);
    for (uint32_t i = 0; i < parts; i++)
        print_part(part[i].bytes, part[i].text, s, out);
    print_part(rest, "all else", s, out);
    print_part((int64_t)of_files(s) - (int64_t)s->model_file_bytes, "of the files is not in memory", s, out);
}
