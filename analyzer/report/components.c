/* components.c: see components.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/units.h"
#include "report/components.h"
#include "report/sampling.h"
#include "report/table.h"

#define LAYERS 1024u

/* Components that are told together: the layers of a part that are held in the same way. */
struct row {
    char path[240];
    const char *how;
    const char *unit; /* "layers" or "blocks" that are folded into it; NULL: none */
    uint64_t layer[LAYERS / 64];
    struct summary_component sum;
};

struct rows {
    struct row *row;
    uint32_t count, room;
};

/* --- folding ----------------------------------------------------------------------------------------------------- */

/* "weights/layer.3/ffn" -> "weights/layers", "kv-cache/swa/layer.5" -> "kv-cache/swa", "weights/vision/blk.2" ->
 * "weights/vision/blocks". Returns where the number of the layer stands in `path`, or NULL if there is none. */
static const char *fold_path(const char *path, char *folded, size_t size, const char **unit)
{
    static const struct {
        const char *part, *unit;
    } parts[] = { { "/layer.", "layers" }, { "/blk.", "blocks" } };
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *at = strstr(path, parts[i].part), *number = at ? at + strlen(parts[i].part) : NULL;
        if (!at || !isdigit((unsigned char)*number))
            continue;
        bool last = number[strspn(number, "0123456789")] == '\0' && strncmp(path, "kv-cache", 8) == 0;
        *unit = parts[i].unit;
        snprintf(folded, size, "%.*s%s%s", (int)(at - path), path, last ? "" : "/", last ? "" : *unit);
        return number;
    }
    *unit = NULL;
    snprintf(folded, size, "%s", path);
    return NULL;
}

static struct row *find_row(struct rows *r, const char *path, const char *how)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (strcmp(r->row[i].path, path) == 0 && strcmp(r->row[i].how, how) == 0)
            return &r->row[i];
    array_room(r->row, r->count, r->room);
    struct row *row = &r->row[r->count++];
    memset(row, 0, sizeof *row);
    snprintf(row->path, sizeof row->path, "%s", path);
    row->how = how;
    return row;
}

static void add_component(struct rows *r, const struct summary_component *c, bool fold)
{
    char path[240];
    const char *unit = NULL, *number = NULL;
    if (fold)
        number = fold_path(c->path, path, sizeof path, &unit);
    else
        snprintf(path, sizeof path, "%s", c->path);
    struct row *row = find_row(r, path, c->how);
    if (number) {
        unsigned long layer = strtoul(number, NULL, 10);
        row->unit = unit;
        row->layer[layer % LAYERS / 64] |= 1ull << layer % 64;
    }
    row->sum.bound = c->bound;
    row->sum.allocated += c->allocated;
    row->sum.variance += c->variance;
    row->sum.resident += c->resident + c->swapped;
    row->sum.blocks += c->blocks;
    for (int e = 0; e < EVIDENCE_COUNT; e++)
        row->sum.evidence[e] += c->evidence[e];
}

/* --- groups: rows with the same first part ------------------------------------------------------------------------ */

struct group {
    uint32_t first, count; /* rows */
    struct summary_component sum;
};

static size_t group_length(const char *path)
{
    return strcspn(path, "/");
}

static int by_path(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : strcmp(x->how, y->how);
}

static uint64_t weight(const struct group *g)
{
    return g->sum.resident > g->sum.allocated ? g->sum.resident : g->sum.allocated;
}

/* Largest first; what belongs to no part of the model goes last. */
static bool goes_before(const struct row *rows, const struct group *a, const struct group *b)
{
    bool other_a = group_length(rows[a->first].path) == 5 && strncmp(rows[a->first].path, "other", 5) == 0;
    bool other_b = group_length(rows[b->first].path) == 5 && strncmp(rows[b->first].path, "other", 5) == 0;
    return other_a != other_b ? other_b : weight(a) > weight(b);
}

static uint32_t make_groups(const struct rows *r, struct group *group)
{
    uint32_t groups = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const char *path = r->row[i].path, *last = groups ? r->row[group[groups - 1].first].path : "";
        size_t length = group_length(path);
        if (!groups || length != group_length(last) || strncmp(path, last, length) != 0)
            group[groups++] = (struct group){ .first = i };
        struct group *g = &group[groups - 1];
        const struct summary_component *c = &r->row[i].sum;
        g->count++;
        g->sum.allocated += c->allocated;
        g->sum.variance += c->variance;
        g->sum.resident += c->resident;
        g->sum.blocks += c->blocks;
    }
    for (uint32_t i = 1; i < groups; i++)
        for (uint32_t k = i; k > 0 && goes_before(r->row, &group[k], &group[k - 1]); k--) {
            struct group moved = group[k];
            group[k] = group[k - 1];
            group[k - 1] = moved;
        }
    return groups;
}

/* --- printing ---------------------------------------------------------------------------------------------------- */

static const char *evidence_of(const uint64_t *bytes)
{
    int best = 0;
    for (int i = 1; i < EVIDENCE_COUNT; i++)
        if (bytes[i] > bytes[best])
            best = i;
    return evidence_name((enum evidence)best);
}

static uint32_t count_layers(const struct row *row)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < LAYERS / 64; i++)
        count += (uint32_t)__builtin_popcountll(row->layer[i]);
    return count;
}

static void print_row(struct table *t, const struct summary *s, const char *label, const struct summary_component *c,
                      const struct row *details)
{
    char size[UNITS_TEXT], error[SAMPLING_TEXT], allocated[UNITS_TEXT + SAMPLING_TEXT], resident[UNITS_TEXT],
        blocks[UNITS_TEXT];
    snprintf(allocated, sizeof allocated, "%s%s", units_bytes(size, c->allocated), sampling_error(error, c->variance));
    table_row(t, label, c->allocated || !s->measured ? allocated : "-",
              s->measured ? units_bytes(resident, c->resident) : units_count(blocks, (uint64_t)c->blocks),
              details ? details->how : "", details ? evidence_of(c->evidence) : "", NULL);
}

/* "prompt-cache · of 8.0 GiB" */
static void describe_bound(const struct bound *b, char *text, size_t size)
{
    char bytes[UNITS_TEXT];
    *text = '\0';
    if (b->source && b->bytes)
        snprintf(text, size, " · of %s", units_bytes(bytes, b->bytes));
    else if (b->source && b->pieces)
        snprintf(text, size, " · at most %llu per slot", (unsigned long long)b->pieces);
}

static void print_group(struct table *t, const struct summary *s, const struct rows *r, const struct group *g)
{
    char label[400], layers[40], bound[60];
    const struct row *first = &r->row[g->first];
    size_t length = group_length(first->path);
    if (g->count > 1 || first->unit) {
        snprintf(label, sizeof label, "%.*s", (int)length, first->path);
        print_row(t, s, label, &g->sum, NULL);
    }
    for (uint32_t i = g->first; i < g->first + g->count; i++) {
        const struct row *row = &r->row[i];
        bool alone = g->count == 1 && !row->unit;
        const char *rest = alone ? row->path : row->path[length] ? row->path + length + 1 : "(all else)";
        snprintf(layers, sizeof layers, " · %u %s", count_layers(row),
                 row->unit && !strstr(rest, row->unit) ? row->unit : "");
        describe_bound(&row->sum.bound, bound, sizeof bound);
        snprintf(label, sizeof label, "%s%s%s%s", alone ? "" : "  ", rest, row->unit ? layers : "", bound);
        print_row(t, s, label, &row->sum, row);
    }
}

/* What the components are, each sentence once, at the highest part that it is about. */
static void print_sentences(const struct summary *s, const struct report_style *style, FILE *out)
{
    const char *last = NULL;
    char text[1000];
    for (uint32_t i = 0; i < s->components; i++) {
        const struct summary_component *c = &s->component[i];
        if (!c->about || c->about == last || !(c->allocated || c->resident + c->swapped))
            continue;
        if (!last)
            fputc('\n', out);
        last = c->about;
        snprintf(text, sizeof text, "%.240s: %.600s", c->path, c->about);
        table_wrap(text, 2, style->width, out);
    }
}

void components_print(const struct summary *s, const struct report_style *style, FILE *out)
{
    struct rows r = { .count = 0 };
    struct table t;
    for (uint32_t i = 0; i < s->components; i++)
        if (s->component[i].allocated || s->component[i].resident + s->component[i].swapped)
            add_component(&r, &s->component[i], !style->verbose);
    array_sort(r.row, r.count, sizeof *r.row, by_path);
    struct group *group = memory_take((r.count + 1) * sizeof *group);
    uint32_t groups = make_groups(&r, group);
    table_begin(&t, "lrrll", 0);
    table_row(&t, "COMPONENT", "ALLOCATED", s->measured ? "RESIDENT" : "BLOCKS", "HOW", "EVIDENCE", NULL);
    for (uint32_t i = 0; i < groups && i < style->top; i++)
        print_group(&t, s, &r, &group[i]);
    if (s->measured && s->unexplained) {
        struct summary_component nobody = { .resident = s->unexplained };
        print_row(&t, s, OWNER_NOBODY, &nobody, NULL);
    }
    fputc('\n', out);
    table_print(&t, 2, style->width, out);
    if (style->verbose)
        print_sentences(s, style, out);
    free(group);
    free(r.row);
}
