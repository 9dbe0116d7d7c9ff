/* grammar.c: what a line of a rule file says. The syntax is in attribute.h. */
#include <ctype.h>
#include <string.h>

#include "attribute/inside.h"

#define SHAPE "it should read \"COMPONENT [how=HOW] : PATTERN [< PATTERN ...]\""

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    for (char *end = text + strlen(text); end > text && isspace((unsigned char)end[-1]);)
        *--end = '\0';
    return text;
}

/* "COMPONENT [how=HOW]", "about COMPONENT" or "boundary" */
static const char *read_head(char *head, struct grammar_line *l)
{
    char *save, *word[3] = { NULL };
    for (uint32_t i = 0; i < 3; i++)
        word[i] = strtok_r(i ? NULL : head, " \t", &save);
    l->how = "";
    if (!word[0] || word[2])
        return "is no rule: " SHAPE;
    l->component = word[0];
    l->kind = strcmp(word[0], "boundary") == 0 ? GRAMMAR_BOUNDARY : GRAMMAR_RULE;
    if (word[1] && strcmp(word[0], "about") == 0) {
        l->kind = GRAMMAR_ABOUT;
        l->component = word[1];
    } else if (word[1]) {
        if (strncmp(word[1], "how=", 4) != 0 || !word[1][4] || l->kind == GRAMMAR_BOUNDARY)
            return "is no rule: between the component and the colon there may be how=HOW, and nothing else";
        l->how = word[1] + 4;
    }
    size_t length = strlen(l->component);
    if (*l->component == '/' || l->component[length - 1] == '/' || strstr(l->component, "//"))
        return "names no component: it is a path such as weights/other, without an empty part";
    return NULL;
}

/* The end of a pattern: " < " or " << ", with spaces, because a name may hold a bare <. */
static char *find_separator(char *text, bool *direct)
{
    char *any = strstr(text, " < "), *at = strstr(text, " << ");
    *direct = at && (!any || at < any);
    return *direct ? at : any;
}

/* An arrow with nothing on its other side is left over at the end of a pattern. Names of Rust begin with a bare <. */
static bool has_stray_arrow(const char *pattern)
{
    size_t length = strlen(pattern), end = length;
    while (end > 0 && pattern[end - 1] == '<')
        end--;
    bool last = end < length && (end == 0 || pattern[end - 1] == ' ');
    return last || strncmp(pattern, "< ", 2) == 0 || strncmp(pattern, "<< ", 3) == 0;
}

static const char *read_patterns(char *text, struct grammar_line *l)
{
    while (text) {
        bool direct;
        char *end = find_separator(text, &direct);
        if (end)
            *end = '\0';
        if (l->patterns == PATTERNS_IN_RULE)
            return "has more than 8 patterns";
        char *pattern = trim(text);
        bool wanting = *pattern == '^';
        pattern += wanting;
        if (!*pattern || ((*pattern == '@' || *pattern == '=') && !pattern[1]) || has_stray_arrow(pattern))
            return "is no rule: a pattern is empty; " SHAPE;
        if (*pattern == '=' && (wanting || direct))
            return "is no rule: =CALL is no frame, so neither ^ nor << goes with it";
        for (uint32_t i = 0; wanting && i < l->patterns; i++)
            if (*l->pattern[i].text != '=')
                return "is no rule: ^ goes before the first pattern on a frame, no other";
        l->pattern[l->patterns].text = pattern;
        l->pattern[l->patterns].wanting = wanting;
        l->pattern[l->patterns++].direct = direct;
        text = end ? end + (direct ? 4 : 3) : NULL;
    }
    return NULL;
}

const char *grammar_read(char *line, struct grammar_line *l)
{
    *l = (struct grammar_line){ .kind = GRAMMAR_NOTHING };
    char *comment = *line == '#' ? line : strstr(line, " #");
    if (comment)
        *comment = '\0';
    line = trim(line);
    if (!*line)
        return NULL;
    char *colon = strstr(line, " : ");
    if (!colon)
        return "is no rule: " SHAPE;
    *colon = '\0';
    const char *wrong = read_head(line, l);
    if (wrong)
        return wrong;
    char *rest = trim(colon + 3);
    if (l->kind == GRAMMAR_ABOUT) {
        l->about = rest;
        return *rest ? NULL : "says nothing about the component";
    }
    wrong = read_patterns(rest, l);
    if (wrong)
        return wrong;
    bool single = l->patterns == 1 && *l->pattern[0].text != '=' && !l->pattern[0].wanting;
    return l->kind == GRAMMAR_BOUNDARY && !single ? "is no boundary: it has one pattern, on a frame" : NULL;
}
