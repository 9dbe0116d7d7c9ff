/*
 * attribute.h: to which part of the model or the runtime the memory of a site belongs, and by what evidence.
 *
 * Rules are data, in files under attribute/rules/ (built into the program) and in the user's own. A line is
 *
 *     COMPONENT [how=HOW] : PATTERN [< PATTERN ...]        # comment
 *
 * A PATTERN is a glob (*, ?) on function names as reports print them; `@GLOB` is on the file name of the module, and
 * `=CALL` on the allocating call (malloc, mmap, ...). A stack matches if it has the patterns in this order from the
 * innermost frame outwards, with any frames between. Of all rules the first that matches decides, user's files first.
 *
 *     boundary : PATTERN
 *
 * says where a language runtime calls native code. What is outside of such a frame does not tell sites apart: a
 * just-in-time compiler runs the same function by ever other ways.
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

/* The built-in rules, with those of `file` (NULL: none) before them. NULL and a sentence if the file is wrong. */
struct rules *rules_new(const char *file, struct error *e);
void rules_free(struct rules *r);

/* The component of a stack whose innermost call was `call` ("malloc"). Stacks with a tag belong to the tag. */
struct attribution rules_attribute(struct rules *r, const struct symbol_stack *stack, const char *call);

#endif
