/* names.c: the component of a tensor by its name, by the rules of tensors.rules. See model.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "model/model.h"

#define NAME_LONG 255u /* no rule is tried on longer names: matching takes the product of the lengths */

extern const char tensor_rules[];
__asm__(".pushsection .rodata\n"
        "tensor_rules:\n"
        ".incbin \"analyzer/model/tensors.rules\"\n.byte 0\n"
        ".popsection\n");

/* A stretch of text that does not end with a NUL. */
struct piece {
    const char *text;
    size_t size;
};

/* Whether a pattern is for a name; *number becomes what its first {N} stood for, empty if it has none. */
static bool match(struct piece pattern, const char *name, struct piece *number)
{
    const char *p = pattern.text, *end = p + pattern.size, *star = NULL, *resume = NULL;
    struct piece at_star = { .size = 0 };
    *number = at_star;
    while (*name || p < end) {
        if (p < end && *p == '*') {
            star = p++;
            resume = name;
            at_star = *number;
            continue;
        }
        if (end - p >= 3 && memcmp(p, "{N}", 3) == 0 && isdigit((unsigned char)*name)) {
            size_t digits = strspn(name, "0123456789");
            if (!number->size) /* of several the first is the layer */
                *number = (struct piece){ name, digits };
            name += digits;
            p += 3;
            continue;
        }
        if (p < end && *name && *p == *name) {
            p++;
            name++;
            continue;
        }
        if (!star || !*resume)
            return false;
        p = star + 1; /* the star takes more: up to where what follows it may begin */
        resume++;
        if (p < end && *p != '*' && *p != '{' && !(resume = strchr(resume, *p)))
            return false;
        name = resume;
        *number = at_star;
    }
    return true;
}

/* The next word of a line; false at its end. */
static bool next_word(const char **at, const char *end, struct piece *word)
{
    while (*at < end && (**at == ' ' || **at == '\t'))
        ++*at;
    word->text = *at;
    while (*at < end && **at != ' ' && **at != '\t')
        ++*at;
    word->size = (size_t)(*at - word->text);
    return word->size && *word->text != '#';
}

static int32_t layer_number(struct piece number)
{
    int32_t n = 0;
    if (!number.size || number.size > 6)
        return -1;
    for (size_t i = 0; i < number.size; i++)
        n = n * 10 + (number.text[i] - '0');
    return n;
}

/* Writes the component with {N} and {LORA} filled in. */
static void fill_in(struct piece component, int32_t layer, const char *adapter, char text[MODEL_COMPONENT])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < component.size && used < MODEL_COMPONENT - 1;) {
        const char *c = component.text + i;
        size_t left = component.size - i, room = MODEL_COMPONENT - used;
        int wrote;
        if (left >= 3 && memcmp(c, "{N}", 3) == 0) {
            wrote = snprintf(text + used, room, "%d", layer);
            i += 3;
        } else if (left >= 7 && memcmp(c, "/{LORA}", 7) == 0) {
            wrote = snprintf(text + used, room, "%s%.200s", adapter ? "/" : "", adapter ? adapter : "");
            i += 7;
        } else {
            wrote = snprintf(text + used, room, "%c", *c);
            i++;
        }
        used += (size_t)wrote;
    }
}

const char *model_component(const char *name, const char *adapter, char text[MODEL_COMPONENT], int32_t *layer)
{
    int32_t ignored;
    layer = layer ? layer : &ignored;
    *layer = -1;
    if (strlen(name) > NAME_LONG)
        return NULL;
    for (const char *line = tensor_rules, *end; *line; line = end + (*end == '\n')) {
        struct piece component, word, number;
        end = line + strcspn(line, "\n");
        const char *at = line;
        if (!next_word(&at, end, &component))
            continue;
        while (next_word(&at, end, &word)) {
            if (*word.text == ':' || !match(word, name, &number))
                continue;
            int32_t n = layer_number(number);
            if (number.size && n < 0)
                continue;
            *layer = n;
            fill_in(component, n, adapter, text);
            return text;
        }
    }
    return NULL;
}

bool model_name_derived(const char *name, char *stem, size_t size)
{
    size_t length = strlen(name);
    const char *end = name + length, *hash = strchr(name, '#');
    bool derived = false;
    if (hash && hash > name && isdigit((unsigned char)end[-1])) { /* DEVICE#NAME#COPY, of ggml_backend_sched */
        const char *last = strrchr(name, '#');
        if (last > hash && strspn(last + 1, "0123456789") == strlen(last + 1)) {
            name = hash + 1;
            end = last;
            derived = true;
        }
    }
    if (end > name && end[-1] == ')') /* ggml_format_name(..., "%s (view)", ...) */
        for (const char *p = name + 1; p + 1 < end; p++)
            if (p[0] == ' ' && p[1] == '(') {
                end = p;
                derived = true;
            }
    snprintf(stem, size, "%.*s", (int)(end - name), name);
    return derived;
}
