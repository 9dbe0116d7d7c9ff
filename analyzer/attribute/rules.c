/* rules.c: see attribute.h. */
#include <errno.h>
#include <fnmatch.h>
#include <htslib/khash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attribute/inside.h"
#include "base/intern.h"
#include "base/memory.h"

/* The files of rules/, in the order in which they are asked. */
#define BUILT_IN(X)                                                                                                    \
    X("components")                                                                                                    \
    X("pytorch")                                                                                                       \
    X("onnxruntime")                                                                                                   \
    X("llama.cpp")                                                                                                     \
    X("ollama")                                                                                                        \
    X("cpython")                                                                                                       \
    X("node")                                                                                                          \
    X("go")                                                                                                            \
    X("loader")

/* Their texts, one behind the other, each with a NUL. */
extern const char rules_builtin[];
#define INCLUDE(name) ".incbin \"analyzer/attribute/rules/" name ".rules\"\n.byte 0\n"
__asm__(".pushsection .rodata\nrules_builtin:\n" BUILT_IN(INCLUDE) ".popsection\n");

struct rule {
    const char *component, *how;
    uint32_t pattern[PATTERNS_IN_RULE], count;
    uint32_t wanting, direct; /* bits: which of them have ^, and << behind them */
};

struct about {
    const char *component, *sentence;
};

/* Names are compared with each pattern once; this is kept: */
struct known {
    bool plumbing;   /* see is_plumbing */
    uint64_t bits[]; /* one for each pattern: the name matches it */
};
KHASH_MAP_INIT_INT64(matches, struct known *)

struct rules {
    struct intern *text;
    struct rule *rule;
    uint32_t rules, rule_room;
    uint32_t *boundary; /* patterns */
    uint32_t boundaries, boundary_room;
    struct about *about;
    uint32_t abouts, about_room;
    struct rules_line *line;
    uint32_t lines, line_room;
    const char **pattern;
    uint32_t patterns, pattern_room;
    khash_t(matches) * matches; /* by kind and address of the name, which must not be used again for another */
    struct {
        const struct known *function, *module;
    } * frame;                    /* of the stack that is being matched */
    uint32_t frame_room, wanting; /* the frame of it that wanted the memory */
    uint64_t *met;                /* bits: the patterns that something of this stack matches */
};

const char *evidence_name(enum evidence e)
{
    static const char *const names[] = { "tag", "tensor", "file", "stack", "module", "system" };
    return names[e];
}

const char *rules_keep(struct rules *r, const char *text)
{
    return intern_text(r->text, intern_add(r->text, text));
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static uint32_t add_pattern(struct rules *r, const char *text)
{
    const char *kept = rules_keep(r, text);
    for (uint32_t i = 0; i < r->patterns; i++)
        if (r->pattern[i] == kept)
            return i;
    array_room(r->pattern, r->patterns, r->pattern_room);
    r->pattern[r->patterns] = kept;
    return r->patterns++;
}

static void add_rule(struct rules *r, const struct grammar_line *l)
{
    struct rule rule = { .component = rules_keep(r, l->component), .how = rules_keep(r, l->how), .count = l->patterns };
    for (uint32_t i = 0; i < l->patterns && i < PATTERNS_IN_RULE; i++) {
        rule.pattern[i] = add_pattern(r, l->pattern[i].text);
        rule.wanting |= (uint32_t)l->pattern[i].wanting << i;
        rule.direct |= (uint32_t)l->pattern[i].direct << i;
    }
    array_room(r->rule, r->rules, r->rule_room);
    r->rule[r->rules++] = rule;
}

static void add_line(struct rules *r, const struct grammar_line *l)
{
    switch (l->kind) {
    case GRAMMAR_NOTHING:
        break;
    case GRAMMAR_RULE:
        add_rule(r, l);
        break;
    case GRAMMAR_ABOUT:
        array_room(r->about, r->abouts, r->about_room);
        r->about[r->abouts++] = (struct about){ rules_keep(r, l->component), rules_keep(r, l->about) };
        break;
    case GRAMMAR_BOUNDARY:
        array_room(r->boundary, r->boundaries, r->boundary_room);
        r->boundary[r->boundaries++] = add_pattern(r, l->pattern[0].text);
        break;
    }
}

static bool read_rules(struct rules *r, const char *text, const char *name, struct error *e)
{
    char *copy = memory_copy(text, strlen(text));
    const char *wrong = NULL, *source = rules_keep(r, name);
    unsigned number = 0;
    for (char *p = copy, *line; !wrong && (line = strsep(&p, "\n"));) {
        struct grammar_line l;
        const char *kept = rules_keep(r, line);
        number++;
        wrong = grammar_read(line, &l);
        if (wrong || l.kind == GRAMMAR_NOTHING)
            continue;
        add_line(r, &l);
        array_room(r->line, r->lines, r->line_room);
        r->line[r->lines++] = (struct rules_line){ source, number, kept };
    }
    free(copy);
    return !wrong || error_set(e, EXIT_TROUBLE, "%s:%u %s", name, number, wrong);
}

static bool read_file(struct rules *r, const char *path, struct error *e)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return error_set(e, EXIT_TROUBLE, "cannot open the rule file %s: %s", path, strerror(errno));
    errno = 0;
    ssize_t length = getdelim(&text, &size, '\0', f);
    bool fine = length >= 0
                    ? read_rules(r, text, path, e)
                    : !errno || error_set(e, EXIT_TROUBLE, "cannot read the rule file %s: %s", path, strerror(errno));
    free(text);
    fclose(f);
    return fine;
}

static struct rules *rules_empty(void)
{
    struct rules *r = memory_take(sizeof *r);
    r->text = intern_new();
    r->matches = kh_init(matches);
    return r;
}

struct rules *rules_new(const char *const *file, uint32_t files, struct error *e)
{
#define NAME(name) "built-in " name,
    static const char *const names[] = { BUILT_IN(NAME) };
#undef NAME
    struct rules *r = rules_empty();
    bool fine = true;
    const char *text = rules_builtin;
    for (uint32_t i = 0; fine && i < files; i++)
        fine = read_file(r, file[i], e);
    for (uint32_t i = 0; fine && i < sizeof names / sizeof *names; i++, text += strlen(text) + 1)
        fine = read_rules(r, text, names[i], e);
    if (fine)
        return r;
    rules_free(r);
    return NULL;
}

bool rules_check(const char *file, struct error *e)
{
    struct rules *r = rules_empty();
    bool fine = read_file(r, file, e);
    rules_free(r);
    return fine;
}

void rules_free(struct rules *r)
{
    if (!r)
        return;
    for (khint_t k = kh_begin(r->matches); k != kh_end(r->matches); k++)
        if (kh_exist(r->matches, k))
            free(kh_value(r->matches, k));
    kh_destroy(matches, r->matches);
    intern_free(r->text);
    free(r->rule);
    free(r->boundary);
    free(r->about);
    free(r->line);
    free(r->pattern);
    free(r->frame);
    free(r->met);
    free(r);
}

uint32_t rules_count(const struct rules *r)
{
    return r->lines;
}

struct rules_line rules_line(const struct rules *r, uint32_t i)
{
    return r->line[i];
}

/* --- what components are ------------------------------------------------------------------------------------------ */

/* "weights/layer.12/ffn" is "weights/layer.N/ffn" in the rules. */
static void write_numbers_as_n(const char *path, char *out, size_t size)
{
    size_t n = 0;
    while (*path && n + 2 < size) {
        out[n++] = *path++;
        size_t digits = out[n - 1] == '.' ? strspn(path, "0123456789") : 0;
        if (digits && (!path[digits] || path[digits] == '/')) {
            out[n++] = 'N';
            path += digits;
        }
    }
    out[n] = '\0';
}

const char *rules_about(const struct rules *r, const char *component)
{
    char path[300];
    write_numbers_as_n(component, path, sizeof path);
    for (char *slash = path; slash; slash = strrchr(path, '/')) {
        if (slash != path)
            *slash = '\0';
        for (uint32_t i = 0; i < r->abouts; i++)
            if (strcmp(r->about[i].component, path) == 0)
                return r->about[i].sentence;
    }
    return NULL;
}

/* --- matching ---------------------------------------------------------------------------------------------------- */

/* What a name stands for: the mark is the first character of the patterns for such names. */
enum kind { KIND_FUNCTION = 0, KIND_MODULE = '@', KIND_CALL = '=' };

/* Names that allocate for others. */
static bool is_plumbing_name(const char *name, enum kind kind)
{
    static const char *const modules[] = { "libc.so*", "libc-2*", "libstdc++.so*", "ld-linux*", "libgcc_s*", "ld-2*" };
    static const char *const functions[] = { "std::*", "operator new*", "__gnu_cxx::*", "void std::*" };
    for (unsigned i = 0; kind == KIND_MODULE && i < sizeof modules / sizeof *modules; i++)
        if (fnmatch(modules[i], name, 0) == 0)
            return true;
    for (unsigned i = 0; kind == KIND_FUNCTION && i < sizeof functions / sizeof *functions; i++)
        if (fnmatch(functions[i], name, 0) == 0)
            return true;
    return false;
}

static const struct known *know(struct rules *r, const char *name, enum kind kind)
{
    int fresh;
    khint_t k = kh_put(matches, r->matches, (uintptr_t)name ^ (uint64_t)kind << 56, &fresh);
    if (!fresh)
        return kh_value(r->matches, k);
    const char *text = kind == KIND_MODULE ? symbols_base_name(name) : name;
    struct known *known = memory_take(sizeof *known + (r->patterns / 64 + 1) * sizeof *known->bits);
    for (uint32_t i = 0; i < r->patterns; i++) {
        const char *p = r->pattern[i];
        bool for_others = *p == KIND_MODULE || *p == KIND_CALL;
        if (kind ? *p == (char)kind && fnmatch(p + 1, text, 0) == 0 : !for_others && fnmatch(p, text, 0) == 0)
            known->bits[i / 64] |= 1ull << i % 64;
    }
    known->plumbing = is_plumbing_name(text, kind);
    return kh_value(r->matches, k) = known;
}

static bool has_bit(const uint64_t *bits, uint32_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static void add_met(struct rules *r, const struct known *known)
{
    for (uint32_t i = 0; known && i <= r->patterns / 64; i++)
        r->met[i] |= known->bits[i];
}

/* Looks up, once for each frame of a stack, what its function and its module match. */
static void look_up_frames(struct rules *r, const struct symbol_stack *stack, const char *call)
{
    size_t size = (r->patterns / 64 + 1) * sizeof *r->met;
    if (!r->met)
        r->met = memory_take(size);
    memset(r->met, 0, size);
    add_met(r, know(r, call, KIND_CALL));
    while (r->frame_room < stack->count)
        array_room(r->frame, r->frame_room, r->frame_room);
    for (uint32_t i = 0; i < stack->count; i++) {
        const struct symbol_frame *f = stack->frame[i];
        r->frame[i].function = f->function ? know(r, f->function, KIND_FUNCTION) : NULL;
        r->frame[i].module = know(r, f->module, KIND_MODULE);
        add_met(r, r->frame[i].function);
        add_met(r, r->frame[i].module);
    }
}

static bool frame_matches(const struct rules *r, uint32_t frame, uint32_t pattern)
{
    const struct known *known = *r->pattern[pattern] == KIND_MODULE ? r->frame[frame].module : r->frame[frame].function;
    return known && has_bit(known->bits, pattern);
}

/* The patterns from `i` on fit frames from `at` on; `here`: the first of them fits the frame `at` itself. */
static bool patterns_match(const struct rules *r, const struct rule *rule, uint32_t i, const struct symbol_stack *stack,
                           uint32_t at, bool here)
{
    while (i < rule->count && *r->pattern[rule->pattern[i]] == '=')
        i++;
    if (i == rule->count)
        return true;
    if (rule->wanting >> i & 1) {
        at = r->wanting;
        here = true;
    }
    bool direct = rule->direct >> i & 1;
    for (; at < stack->count; at++) {
        if (frame_matches(r, at, rule->pattern[i])) {
            /* without <<, a later fit of this one would leave the rest fewer frames, no more */
            bool rest = patterns_match(r, rule, i + 1, stack, at + 1, direct);
            if (rest || !direct)
                return rest;
        }
        if (here)
            return false;
    }
    return false;
}

/* Most rules have a pattern that no frame of the stack matches: only of the others the order counts. */
static bool rule_matches(const struct rules *r, const struct rule *rule, const struct symbol_stack *stack)
{
    for (uint32_t i = 0; i < rule->count; i++)
        if (!has_bit(r->met, rule->pattern[i]))
            return false;
    return patterns_match(r, rule, 0, stack, 0, false);
}

/* Frames that allocate for others say nothing about who wanted the memory. */
static bool is_plumbing(const struct rules *r, uint32_t frame)
{
    return r->frame[frame].module->plumbing || (r->frame[frame].function && r->frame[frame].function->plumbing);
}

/* The innermost frame that wanted the memory for itself; the innermost of all if there is none. */
static uint32_t wanting_frame(const struct rules *r, const struct symbol_stack *stack)
{
    for (uint32_t i = 0; i < stack->count; i++)
        if (!is_plumbing(r, i))
            return i;
    return 0;
}

/* Up to the first boundary that has something of its own inside. */
static uint32_t identity_of(const struct rules *r, const struct symbol_stack *stack)
{
    bool inside = false;
    for (uint32_t i = 0; i < stack->count; i++) {
        bool at_boundary = false;
        for (uint32_t b = 0; b < r->boundaries && !at_boundary; b++)
            at_boundary = has_bit(r->met, r->boundary[b]) && frame_matches(r, i, r->boundary[b]);
        if (at_boundary && inside)
            return i;
        if (at_boundary)
            break;
        inside |= !is_plumbing(r, i);
    }
    return stack->count;
}

static const char *module_component(struct rules *r, const char *module)
{
    char path[300];
    snprintf(path, sizeof path, "other/%.280s", *module ? symbols_base_name(module) : "unknown");
    return rules_keep(r, path);
}

struct attribution rules_attribute(struct rules *r, const struct symbol_stack *stack, const char *call)
{
    struct attribution a = { .how = "", .evidence = EVIDENCE_STACK, .module = "" };
    look_up_frames(r, stack, call);
    r->wanting = wanting_frame(r, stack);
    if (stack->count)
        a.module = stack->frame[r->wanting]->module;
    a.identity = identity_of(r, stack);
    if (stack->tag) {
        a.component = rules_keep(r, stack->tag);
        a.evidence = EVIDENCE_TAG;
        return a;
    }
    if (stack->own) {
        a.component = rules_keep(r, ATTRIBUTION_BACKING);
        return a;
    }
    for (uint32_t i = 0; i < r->rules; i++)
        if (rule_matches(r, &r->rule[i], stack)) {
            a.component = r->rule[i].component;
            a.how = r->rule[i].how;
            return a;
        }
    a.component = module_component(r, a.module);
    a.evidence = EVIDENCE_MODULE;
    return a;
}
