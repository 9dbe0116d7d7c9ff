/* rules.c: see attribute.h. */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <htslib/khash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attribute/inside.h"
#include "base/intern.h"
#include "base/memory.h"

/* The files of rules/, one after the other, NUL-terminated, an empty one last. */
extern const char rules_builtin[];
__asm__(".pushsection .rodata\n"
        "rules_builtin:\n"
        ".incbin \"analyzer/attribute/rules/llama.cpp.rules\"\n.byte 0\n"
        ".incbin \"analyzer/attribute/rules/runtime.rules\"\n.byte 0\n"
        ".byte 0\n"
        ".popsection\n");

#define PATTERNS_IN_RULE 8u

struct rule {
    const char *component, *how;
    uint32_t pattern[PATTERNS_IN_RULE], count;
};

/* Names are compared with each pattern once: what a name matches is kept as bits, one for each pattern. */
KHASH_MAP_INIT_INT64(matches, uint64_t *)

struct rules {
    struct intern *text;
    struct rule *rule;
    uint32_t rules, rule_room;
    uint32_t *boundary; /* patterns */
    uint32_t boundaries, boundary_room;
    const char **pattern;
    uint32_t patterns, pattern_room;
    khash_t(matches) * matches; /* by the address of the name, which must not be used again for another */
    struct {
        const uint64_t *function, *module;
    } * frame; /* of the stack that is being matched */
    uint32_t frame_room;
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

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    for (char *end = text + strlen(text); end > text && isspace((unsigned char)end[-1]);)
        *--end = '\0';
    return text;
}

/* "COMPONENT [how=HOW]" */
static bool read_head(struct rules *r, char *head, struct rule *rule)
{
    char *save, *component = strtok_r(head, " \t", &save), *how = strtok_r(NULL, " \t", &save);
    if (!component || strtok_r(NULL, " \t", &save) || (how && strncmp(how, "how=", 4) != 0))
        return false;
    rule->component = rules_keep(r, component);
    rule->how = rules_keep(r, how ? how + 4 : "");
    return true;
}

/* Patterns are separated by " < ", with spaces: a name may hold a bare <. */
static bool read_patterns(struct rules *r, char *text, struct rule *rule)
{
    for (char *next; text; text = next) {
        next = strstr(text, " < ");
        if (next) {
            *next = '\0';
            next += 3;
        }
        text = trim(text);
        if (!*text || rule->count == PATTERNS_IN_RULE)
            return false;
        rule->pattern[rule->count++] = add_pattern(r, text);
    }
    return rule->count > 0;
}

static bool read_line(struct rules *r, char *line)
{
    char *comment = *line == '#' ? line : strstr(line, " #");
    if (comment)
        *comment = '\0';
    line = trim(line);
    if (!*line)
        return true;
    char *colon = strstr(line, " : ");
    struct rule rule = { .count = 0 };
    if (!colon)
        return false;
    *colon = '\0';
    if (!read_head(r, line, &rule) || !read_patterns(r, colon + 3, &rule))
        return false;
    if (strcmp(rule.component, "boundary") == 0) {
        array_room(r->boundary, r->boundaries, r->boundary_room);
        r->boundary[r->boundaries++] = rule.pattern[0];
        return rule.count == 1;
    }
    array_room(r->rule, r->rules, r->rule_room);
    r->rule[r->rules++] = rule;
    return true;
}

static bool read_rules(struct rules *r, const char *text, const char *name, struct error *e)
{
    char *copy = memory_copy(text, strlen(text));
    unsigned number = 0;
    bool fine = true;
    for (char *p = copy, *line; fine && (line = strsep(&p, "\n"));) {
        number++;
        fine = read_line(r, line);
    }
    free(copy);
    return fine || error_set(e, EXIT_TROUBLE,
                             "%s:%u is no rule: it should read \"COMPONENT [how=HOW] : PATTERN [< "
                             "PATTERN ...]\"",
                             name, number);
}

static bool read_file(struct rules *r, const char *path, struct error *e)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return error_set(e, EXIT_TROUBLE, "cannot open the rule file %s: %s", path, strerror(errno));
    ssize_t length = getdelim(&text, &size, '\0', f);
    bool fine = length < 0 || read_rules(r, text, path, e);
    free(text);
    fclose(f);
    return fine;
}

struct rules *rules_new(const char *file, struct error *e)
{
    struct rules *r = memory_take(sizeof *r);
    r->text = intern_new();
    r->matches = kh_init(matches);
    bool fine = !file || read_file(r, file, e);
    for (const char *p = rules_builtin; fine && *p; p += strlen(p) + 1)
        fine = read_rules(r, p, "built-in rules", e);
    if (fine)
        return r;
    rules_free(r);
    return NULL;
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
    free(r->pattern);
    free(r->frame);
    free(r);
}

/* --- matching ---------------------------------------------------------------------------------------------------- */

/* Which patterns a name matches. `mark` is the first character of the patterns for this kind of name; 0: functions. */
static const uint64_t *bits_of(struct rules *r, const char *name, char mark)
{
    int fresh;
    khint_t k = kh_put(matches, r->matches, (uintptr_t)name, &fresh);
    if (!fresh)
        return kh_value(r->matches, k);
    uint64_t *bits = memory_take((r->patterns / 64 + 1) * sizeof *bits);
    for (uint32_t i = 0; i < r->patterns; i++) {
        const char *p = r->pattern[i];
        bool for_others = *p == '@' || *p == '=';
        if (mark ? *p == mark && fnmatch(p + 1, name, 0) == 0 : !for_others && fnmatch(p, name, 0) == 0)
            bits[i / 64] |= 1ull << i % 64;
    }
    return kh_value(r->matches, k) = bits;
}

/* Looks up, once for each frame of a stack, what its function and its module match. */
static void look_up_frames(struct rules *r, const struct symbol_stack *stack)
{
    while (r->frame_room < stack->count)
        array_room(r->frame, r->frame_room, r->frame_room);
    for (uint32_t i = 0; i < stack->count; i++) {
        const struct symbol_frame *f = stack->frame[i];
        r->frame[i].function = f->function ? bits_of(r, f->function, 0) : NULL;
        r->frame[i].module = bits_of(r, symbols_base_name(f->module), '@');
    }
}

static bool frame_matches(const struct rules *r, uint32_t frame, uint32_t pattern)
{
    const uint64_t *bits = *r->pattern[pattern] == '@' ? r->frame[frame].module : r->frame[frame].function;
    return bits && (bits[pattern / 64] >> pattern % 64 & 1);
}

static bool rule_matches(const struct rules *r, const struct rule *rule, const struct symbol_stack *stack,
                         const char *call)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < rule->count; i++) {
        const char *p = r->pattern[rule->pattern[i]];
        if (*p == '=') {
            if (fnmatch(p + 1, call, 0) != 0)
                return false;
            continue;
        }
        while (at < stack->count && !frame_matches(r, at, rule->pattern[i]))
            at++;
        if (at++ == stack->count)
            return false;
    }
    return true;
}

/* Frames that allocate for others say nothing about who wanted the memory. */
static bool is_plumbing(const struct symbol_frame *f)
{
    static const char *const modules[] = { "libc.so*", "libc-2*", "libstdc++.so*", "ld-linux*", "libgcc_s*", "ld-2*" };
    static const char *const names[] = { "std::*", "operator new*", "__gnu_cxx::*", "void std::*" };
    for (unsigned i = 0; i < sizeof modules / sizeof *modules; i++)
        if (fnmatch(modules[i], symbols_base_name(f->module), 0) == 0)
            return true;
    for (unsigned i = 0; f->function && i < sizeof names / sizeof *names; i++)
        if (fnmatch(names[i], f->function, 0) == 0)
            return true;
    return false;
}

static const char *wanting_module(const struct symbol_stack *stack)
{
    for (uint32_t i = 0; i < stack->count; i++)
        if (!is_plumbing(stack->frame[i]))
            return stack->frame[i]->module;
    return stack->count ? stack->frame[0]->module : "";
}

/* Up to the first boundary that has something of its own inside. */
static uint32_t identity_of(const struct rules *r, const struct symbol_stack *stack)
{
    bool inside = false;
    for (uint32_t i = 0; i < stack->count; i++) {
        bool at_boundary = false;
        for (uint32_t b = 0; b < r->boundaries && !at_boundary; b++)
            at_boundary = frame_matches(r, i, r->boundary[b]);
        if (at_boundary && inside)
            return i;
        if (at_boundary)
            break;
        inside |= !is_plumbing(stack->frame[i]);
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
    struct attribution a = { .how = "", .evidence = EVIDENCE_STACK, .module = wanting_module(stack) };
    look_up_frames(r, stack);
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
        if (rule_matches(r, &r->rule[i], stack, call)) {
            a.component = r->rule[i].component;
            a.how = r->rule[i].how;
            return a;
        }
    a.component = module_component(r, a.module);
    a.evidence = EVIDENCE_MODULE;
    return a;
}
