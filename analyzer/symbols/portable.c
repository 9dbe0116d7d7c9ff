/* portable.c: names as text, for a packed session that is opened where the binaries are not. See symbols.h. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "symbols/inside.h"

/* [function, file, line, inlined] */
static json_t *frame_json(const struct symbol_frame *f)
{
    json_t *function = f->function ? json_string(f->function) : NULL, *file = f->file ? json_string(f->file) : NULL;
    return json_pack("[o, o, i, b]", function ? function : json_null(), file ? file : json_null(), (int)f->line,
                     f->inlined);
}

static json_t *frames_json(const struct place *p)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < p->count; i++)
        json_array_append_new(list, frame_json(&p->frame[i]));
    return list;
}

char *symbols_export(const struct symbols *s)
{
    json_t *root = json_object();
    for (khint_t k = kh_begin(s->places); k != kh_end(s->places); k++) {
        char offset[32];
        if (!kh_exist(s->places, k))
            continue;
        const struct place *p = &kh_value(s->places, k);
        if ((!p->frame[p->count - 1].function && !p->signal) || p->module >= s->modules)
            continue;
        json_t *module = json_object_get(root, s->module[p->module].key);
        if (!module) {
            json_object_set_new(root, s->module[p->module].key, json_object());
            module = json_object_get(root, s->module[p->module].key);
        }
        snprintf(offset, sizeof offset, "%llx%s%s", (unsigned long long)p->frame[0].offset, p->exact ? "!" : "",
                 p->signal ? "~" : "");
        json_object_set_new(module, offset, frames_json(p));
    }
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static void import_place(struct symbols *s, uint32_t module, const char *key, const json_t *frames)
{
    char *end;
    uint64_t offset = strtoull(key, &end, 16);
    size_t count = json_array_size(frames);
    if (count == 0 || count > 1000)
        return;
    struct place p = { .frame = memory_take(count * sizeof *p.frame), .count = (uint32_t)count };
    p.module = module;
    p.exact = *end == '!';
    p.signal = end[p.exact] == '~';
    for (size_t i = 0; i < count; i++) {
        const json_t *f = json_array_get(frames, i);
        const char *function = json_string_value(json_array_get(f, 0)), *file = json_string_value(json_array_get(f, 1));
        p.frame[i] = (struct symbol_frame){ .function = symbols_keep(s, function),
                                            .file = symbols_keep(s, file),
                                            .line = (uint32_t)json_integer_value(json_array_get(f, 2)),
                                            .inlined = json_is_true(json_array_get(f, 3)),
                                            .module = s->module[module].path,
                                            .offset = offset };
    }
    symbols_put(s, offset, &p);
}

void symbols_import(struct symbols *s, const char *text)
{
    json_t *root = text ? json_loads(text, 0, NULL) : NULL, *places, *frames;
    const char *key, *offset;
    json_object_foreach(root, key, places)
    {
        uint32_t module = symbols_add_module(s, key, NULL);
        json_object_foreach(places, offset, frames) import_place(s, module, offset, frames);
    }
    json_decref(root);
}
