/* symbols.c: names are looked up once per address and kept. See symbols.h. */
#include "symbols/symbols.h"

#include <htslib/khash.h>
#include <libiberty/demangle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/intern.h"
#include "base/memory.h"
#include "symbols/elf.h"

#define MOST_INLINED 32u

struct module {
    char *key; /* build-id and path */
    const char *path;
    struct elf_module *elf; /* NULL: no names */
};

/* What was found at an address of a module. */
struct place {
    struct symbol_frame *frame;
    uint32_t count;
};

KHASH_MAP_INIT_STR(modules, uint32_t)
KHASH_MAP_INIT_INT64(places, struct place)

struct symbols {
    struct intern *text;
    khash_t(modules) *module_index;
    struct module *module;
    uint32_t modules, module_room;
    khash_t(places) *places; /* module number << 48 ^ address */
    uint64_t named;
    const struct trace *trace;  /* whose modules have these numbers: */
    uint32_t *number;           /* by the module's number in the trace; 0: not looked up yet, else number + 1 */
    uint32_t numbers;
};

struct symbols *symbols_new(void)
{
    struct symbols *s = memory_take(sizeof *s);
    s->text = intern_new();
    s->module_index = kh_init(modules);
    s->places = kh_init(places);
    return s;
}

void symbols_free(struct symbols *s)
{
    if (!s)
        return;
    for (khint_t k = kh_begin(s->places); k != kh_end(s->places); k++)
        if (kh_exist(s->places, k))
            free(kh_value(s->places, k).frame);
    for (uint32_t i = 0; i < s->modules; i++) {
        elf_close(s->module[i].elf);
        free(s->module[i].key);
    }
    kh_destroy(places, s->places);
    kh_destroy(modules, s->module_index);
    free(s->module);
    free(s->number);
    intern_free(s->text);
    free(s);
}

/* Modules of different traces are the same if build-id and path are. */
static uint32_t find_module(struct symbols *s, const struct trace_module *m)
{
    char key[4500];
    size_t used = 0;
    for (uint32_t i = 0; i < m->build_id_size; i++)
        used += (size_t)snprintf(key + used, sizeof key - used, "%02x", m->build_id[i]);
    snprintf(key + used, sizeof key - used, " %.4300s", m->path);
    khint_t k = kh_get(modules, s->module_index, key);
    if (k != kh_end(s->module_index))
        return kh_value(s->module_index, k);
    int fresh;
    array_room(s->module, s->modules, s->module_room);
    struct module *module = &s->module[s->modules];
    module->key = memory_copy(key, strlen(key));
    module->path = intern_text(s->text, intern_add(s->text, m->path));
    module->elf = m->path[0] == '/' ? elf_open(m->path, m->build_id, m->build_id_size) : NULL;
    k = kh_put(modules, s->module_index, module->key, &fresh);
    kh_value(s->module_index, k) = s->modules;
    return s->modules++;
}

/* The number of a module of this trace, looked up once. */
static uint32_t number_of(struct symbols *s, const struct trace *t, uint32_t id)
{
    if (s->trace != t || s->numbers < trace_module_count(t)) {
        free(s->number);
        s->trace = t;
        s->numbers = trace_module_count(t);
        s->number = memory_take(s->numbers * sizeof *s->number);
    }
    const struct trace_module *m = trace_module(t, id);
    if (!m)
        return UINT32_MAX;
    if (!s->number[id])
        s->number[id] = find_module(s, m) + 1;
    return s->number[id] - 1;
}

static const char *readable(struct symbols *s, const char *function)
{
    char bare[512];
    const char *version = function ? strchr(function, '@') : NULL;
    if (!function)
        return NULL;
    if (version) { /* name@@VERSION */
        snprintf(bare, sizeof bare, "%.*s", (int)(version - function), function);
        function = bare;
    }
    char *plain = cplus_demangle(function, DMGL_AUTO);
    const char *kept = intern_text(s->text, intern_add(s->text, plain ? plain : function));
    free(plain);
    return kept;
}

static const char *keep(struct symbols *s, const char *text)
{
    return text ? intern_text(s->text, intern_add(s->text, text)) : NULL;
}

static struct place look_up(struct symbols *s, uint32_t number, uint64_t offset, bool exact)
{
    struct elf_frame found[MOST_INLINED];
    struct elf_module *elf = number == UINT32_MAX ? NULL : s->module[number].elf;
    uint32_t count = elf ? elf_frames(elf, exact ? offset : offset - 1, found, MOST_INLINED) : 1;
    struct place p = { .frame = memory_take(count * sizeof *p.frame), .count = count };
    if (!elf)
        found[0] = (struct elf_frame){ .function = NULL };
    for (uint32_t i = 0; i < count; i++)
        p.frame[i] = (struct symbol_frame){ .function = readable(s, found[i].function),
                                            .file = keep(s, found[i].file),
                                            .line = found[i].line,
                                            .inlined = found[i].inlined,
                                            .module = number == UINT32_MAX ? "" : s->module[number].path,
                                            .offset = offset };
    s->named += p.frame[count - 1].function != NULL;
    return p;
}

struct symbol_frames symbols_node(struct symbols *s, const struct trace *t, uint32_t node, bool exact)
{
    const struct trace_node *n = trace_node(t, node);
    if (!n || n->module == RECORD_MODULE_TAG)
        return (struct symbol_frames){ 0, NULL };
    uint32_t number = n->module ? number_of(s, t, n->module) : UINT32_MAX;
    uint64_t key = (uint64_t)(number + 2) << 49 ^ n->value << 1 ^ exact;
    int fresh;
    khint_t k = kh_put(places, s->places, key, &fresh);
    if (fresh) {
        struct place p = look_up(s, number, n->value, exact);
        k = kh_get(places, s->places, key);
        kh_value(s->places, k) = p;
    }
    const struct place *p = &kh_value(s->places, k);
    return (struct symbol_frames){ p->count, p->frame };
}

void symbols_count(const struct symbols *s, uint64_t *asked, uint64_t *named)
{
    *asked = kh_size(s->places);
    *named = s->named;
}

const char *symbols_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *symbols_shorten(const char *function, char *text, size_t size)
{
    size_t used = 0;
    unsigned depth = 0;
    for (const char *p = function; *p && used + 8 < size; p++) {
        bool operator_name = p > function && p - function >= 8 && strncmp(p - 8, "operator", 8) == 0;
        if (*p == '<' && !operator_name && p != function && depth++ == 0)
            used += (size_t)snprintf(text + used, size - used, "<...>");
        else if (*p == '>' && depth > 0)
            depth--;
        else if (depth == 0)
            text[used++] = *p;
    }
    text[used] = '\0';
    return text;
}
