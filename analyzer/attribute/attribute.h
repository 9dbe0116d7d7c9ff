/*
 * attribute.h: to which part of the model or the runtime the memory of a site belongs, and by what evidence.
 *
 * Rules are data, in files under attribute/rules/ (built into the program) and in the user's own; memtap-rules(1) is
 * for their authors. A line is one of
 *
 *     COMPONENT [how=HOW] : PATTERN [< PATTERN ...]        # comment
 *     about COMPONENT : SENTENCE
 *     boundary : PATTERN
 *
 * A PATTERN is a glob (*, ?) on function names as reports print them; `@GLOB` is on the file name of the module, and
 * `=CALL` on the allocating call (malloc, mmap, ...). A stack matches if it has the patterns in this order from the
 * innermost frame outwards. `<` allows any frames between; with `<<` the frame on the right is the very caller of the
 * one on the left. `^` before a pattern, the first of a rule: it must fit the frame that wanted the memory, the
 * innermost that does not just allocate for others (libc, libstdc++, operator new). Of all rules the first that
 * matches decides, user's files first.
 *
 * `about` says what a component is, for people who read a report. A number in a path is written N there.
 *
 * `boundary` says where a language runtime calls native code. What is outside of such a frame does not tell sites
 * apart: a just-in-time compiler runs the same function by ever other ways.
 */
#ifndef ATTRIBUTE_ATTRIBUTE_H
#define ATTRIBUTE_ATTRIBUTE_H

#include "base/error.h"
#include "symbols/symbols.h"

/* What decided, strongest first. */
enum evidence {
    EVIDENCE_TAG,    /* memtap_push or memtap_tag */
    EVIDENCE_TENSOR, /* the engine's own name for what lies there */
    EVIDENCE_FILE,   /* the model file's table of tensors, for bytes that were mapped or read from it */
    EVIDENCE_STACK,  /* a rule on the call stack */
    EVIDENCE_MODULE, /* no rule: the library that allocated */
    EVIDENCE_SYSTEM, /* the kind of mapping it lies in */
    EVIDENCE_COUNT
};
const char *evidence_name(enum evidence e);

/* Component of what an allocator behind the tap maps, to put blocks in that are seen themselves. */
#define ATTRIBUTION_BACKING "allocator/backing"

struct attribution {
    const char *component; /* a path; lives as long as the rules */
    const char *how;       /* "mapped", "read", "repacked", ...; "" if nothing is known */
    enum evidence evidence;
    uint32_t identity;  /* how many innermost frames tell this site from others */
    const char *module; /* path of the first module that did not just allocate for others; "" if there is none */
};

struct rules;

/* The built-in rules, behind those of the `files` files. NULL and a sentence if one of them is wrong. */
struct rules *rules_new(const char *const *file, uint32_t files, struct error *e);
void rules_free(struct rules *r);

/* Whether a file could be used; if not, a sentence that begins with FILE:LINE. */
bool rules_check(const char *file, struct error *e);

/* What a component is, in a sentence: its own, or that of the nearest part above it; NULL if nothing says it. */
const char *rules_about(const struct rules *r, const char *component);

/* Every line that says something, in the order in which they are asked. */
struct rules_line {
    const char *source; /* path of the file, or "built-in NAME" */
    unsigned number;    /* of the line in it */
    const char *text;
};
uint32_t rules_count(const struct rules *r);
struct rules_line rules_line(const struct rules *r, uint32_t i);

/* The component of a stack whose innermost call was `call` ("malloc"). Stacks with a tag belong to the tag. */
struct attribution rules_attribute(struct rules *r, const struct symbol_stack *stack, const char *call);

#endif
