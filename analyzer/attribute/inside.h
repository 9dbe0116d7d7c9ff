/* inside.h: what the files of attribute/ share. */
#ifndef ATTRIBUTE_INSIDE_H
#define ATTRIBUTE_INSIDE_H

#include "attribute/owners.h"
#include "model/model.h"

/* What one call of owners_find works with. */
struct finder {
    struct owners *owners;
    const struct heap *heap;
    const struct trace *trace;
    const struct attribution *site;
    const struct residency_snapshot *pages;
    struct rules *rules;
    struct tensors *tensors;
    struct trace_range *own; /* places of the tap's memory, by address */
    uint32_t owns;
    bool *swa; /* of the heap's buffers: holds the cache of the sliding-window layers */
};

/* --- grammar.c: a line of a rule file ---------------------------------------------------------------------------- */

#define PATTERNS_IN_RULE 8u

/* Its texts point into the line that was read. */
struct grammar_line {
    enum { GRAMMAR_NOTHING, GRAMMAR_RULE, GRAMMAR_ABOUT, GRAMMAR_BOUNDARY } kind;
    const char *component, *how;
    const char *about;
    struct {
        const char *text;
        bool wanting; /* ^: only the frame that wanted the memory */
        bool direct;  /* <<: called directly by the next one */
    } pattern[PATTERNS_IN_RULE];
    uint32_t patterns;
};

/* Reads a line, which it cuts to pieces. NULL, or what is wrong with it, as the end of a sentence "FILE:LINE ...". */
const char *grammar_read(char *line, struct grammar_line *l);

/* --- rules.c ----------------------------------------------------------------------------------------------------- */

/* A string that lives as long as the rules. */
const char *rules_keep(struct rules *r, const char *text);

/* owners.c */
struct owner *owners_add(struct finder *f, uint64_t start, uint64_t end);

/* tensors.c */

/* Which of the heap's buffers hold the key-value cache of sliding-window layers: f->swa. */
void tensors_sort_caches(struct finder *f);
/*
 * Owner of a tensor that the engine named, from its start on; false if its name says nothing about a component. `source`
 * is the file whose bytes lie there; NULL: not known.
 */
bool tensors_own(struct finder *f, uint32_t tensor, const char *source, struct owner *o);
/* The same for what lies between tensors: a processor's own form of them (AMX) takes more room than the file's. */
void tensors_own_rest(const struct finder *f, struct owner *o);
/* The model file of that path; NULL if it cannot be read, or is none. Opened once. */
const struct model *tensors_model(struct tensors *t, const char *path);
/* The first tensor that ends behind the offset of that file of the model; NULL if there is none. */
const struct model_tensor *tensors_at(struct tensors *t, const struct model *m, const char *path, uint64_t offset);

/* remains.c: owners for what is resident outside of all that the program asked for; all others are there, sorted. */
void remains_find(struct finder *f);

#endif
