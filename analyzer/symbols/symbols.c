/* symbols.c: names are looked up once per address and kept. See symbols.h. */
#include <libiberty/demangle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "symbols/inside.h"

#define MOST_INLINED 32u
#define GENERATED UINT32_MAX /* the module number of code that is in no file */

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

uint32_t symbols_add_module(struct symbols *s, const char *key, const struct trace_module *m)
{
    khint_t k = kh_get(modules, s->module_index, key);
    if (k != kh_end(s->module_index))
        return kh_value(s->module_index, k);
    int fresh;
    const char *blank = strchr(key, ' ');
    array_room(s->module, s->modules, s->module_room);
    struct module *module = &s->module[s->modules];
    module->key = memory_copy(key, strlen(key));
    module->path = symbols_keep(s, blank ? blank + 1 : key);
    module->elf = m && m->path[0] == '/' ? elf_open(m->path, m->build_id, m->build_id_size) : NULL;
    k = kh_put(modules, s->module_index, module->key, &fresh);
    kh_value(s->module_index, k) = s->modules;
    return s->modules++;
}

/* Modules of different traces are the same if build-id and path are. */
static uint32_t find_module(struct symbols *s, const struct trace_module *m)
{
    char key[4500];
    size_t used = 0;
    for (uint32_t i = 0; i < m->build_id_size; i++)
        used += (size_t)snprintf(key + used, sizeof key - used, "%02x", m->build_id[i]);
    snprintf(key + used, sizeof key - used, " %.4300s", m->path);
    return symbols_add_module(s, key, m);
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
        return GENERATED;
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

const char *symbols_keep(struct symbols *s, const char *text)
{
    return text ? intern_text(s->text, intern_add(s->text, text)) : NULL;
}

static struct place look_up(struct symbols *s, uint32_t number, uint64_t offset, bool exact)
{
    struct elf_frame found[MOST_INLINED] = { { .function = NULL } };
    struct elf_module *elf = number == GENERATED ? NULL : s->module[number].elf;
    uint32_t count = elf ? elf_frames(elf, exact ? offset : offset - 1, found, MOST_INLINED) : 1;
    struct place p = { .frame = memory_take(count * sizeof *p.frame), .count = count, .module = number };
    p.exact = exact;
    p.signal = elf && (!found[0].function || strncmp(found[0].function, "__restore_rt", 12) == 0) &&
               elf_is_signal_frame(elf, offset - 1);
    for (uint32_t i = 0; i < count; i++)
        p.frame[i] = (struct symbol_frame){ .function = readable(s, found[i].function),
                                            .file = symbols_keep(s, found[i].file),
                                            .line = found[i].line,
                                            .inlined = found[i].inlined,
                                            .module = number == GENERATED ? "" : s->module[number].path,
                                            .offset = offset };
    return p;
}

static uint64_t place_key(uint32_t module, uint64_t offset, bool exact)
{
    return (uint64_t)(module + 2) << 49 ^ offset << 1 ^ exact;
}

void symbols_put(struct symbols *s, uint64_t offset, const struct place *p)
{
    int fresh;
    khint_t k = kh_put(places, s->places, place_key(p->module, offset, p->exact), &fresh);
    if (!fresh)
        free(kh_value(s->places, k).frame);
    kh_value(s->places, k) = *p;
}

struct symbol_frames symbols_node(struct symbols *s, const struct trace *t, uint32_t node, bool exact)
{
    const struct trace_node *n = trace_node(t, node);
    if (!n || n->module == RECORD_MODULE_TAG)
        return (struct symbol_frames){ 0, NULL, false };
    uint32_t number = n->module ? number_of(s, t, n->module) : GENERATED;
    uint64_t key = place_key(number, n->value, exact);
    khint_t k = kh_get(places, s->places, key);
    if (k == kh_end(s->places)) {
        struct place p = look_up(s, number, n->value, exact);
        symbols_put(s, n->value, &p);
        k = kh_get(places, s->places, key);
    }
    struct place *p = &kh_value(s->places, k);
    if (!p->counted) {
        p->counted = true;
        s->asked++;
        s->named += p->frame[p->count - 1].function != NULL;
    }
    return (struct symbol_frames){ p->count, p->frame, p->signal };
}

void symbols_count(const struct symbols *s, uint64_t *asked, uint64_t *named)
{
    *asked = s->asked;
    *named = s->named;
}

const char *symbols_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Whether the sign at p is part of an operator's name: operator<, operator<<, operator->. */
static bool in_operator(const char *function, const char *p)
{
    while (p > function && strchr("<>-=", p[-1]))
        p--;
    return p - function >= 8 && strncmp(p - 8, "operator", 8) == 0;
}

const char *symbols_shorten(const char *function, char *text, size_t size)
{
    size_t used = 0;
    unsigned depth = 0;
    for (const char *p = function; *p && used + 8 < size; p++) {
        bool sign = (*p == '<' || *p == '>') && (p == function || in_operator(function, p));
        if (*p == '<' && !sign && depth++ == 0)
            used += (size_t)snprintf(text + used, size - used, "<...>");
        else if (*p == '>' && !sign && depth > 0)
            depth--;
        else if (depth == 0)
            text[used++] = *p;
    }
    text[used] = '\0';
    return text;
}
