/* inside.h: what the files of attribute/ share. */
#ifndef ATTRIBUTE_INSIDE_H
#define ATTRIBUTE_INSIDE_H

#include "attribute/owners.h"
#include "model/model.h"

/* Of [from, to), of which nothing is known yet. */
#define OWNER_OF_NOTHING(from, to)                                                                                     \
    (struct owner)                                                                                                     \
    {                                                                                                                  \
        .start = (from), .end = (to), .component = "", .how = "", .model = "", .file = "", .tensor = "", .type = "",   \
        .buffer = "", .site = HEAP_NO_SITE, .weight = 1                                                                \
    }

/* A block or a mapping. */
struct place {
    uint64_t start, end, time;
    uint32_t site, tag;
    uint32_t mapping; /* number in the heap, or HEAP_NO_SITE for a block */
    bool reserved;    /* address space only; mprotect may have made memory of it */
    bool begun;       /* it has its first owner */
    double weight;    /* as in struct owner */
};

/* What a mapping of the process is for, found out once for all gaps in it. */
struct purpose {
    const char *component; /* NULL: not found out yet */
    bool of_allocator;
    const char *file; /* its path */
};

/* How far a walk over all owners has come. */
struct owners_walk {
    owners_visitor *visit;
    void *context;
    uint32_t block, mapping; /* numbers of the next ones */
    struct place *open;      /* those that have begun and not ended; each began inside the one before */
    uint32_t opens, open_room;
    uint64_t at;            /* up to where places have their owners */
    uint64_t covered;       /* the greatest end of an owner so far */
    uint32_t vma;           /* in which the next remains may lie */
    struct purpose purpose; /* its */
};

struct owners {
    const struct heap *heap;
    const struct trace *trace;
    const struct attribution *site;
    const struct residency_snapshot *pages;
    struct rules *rules;
    struct tensors *tensors;
    struct {
        uint64_t address;
    } * block; /* by address */
    uint32_t blocks, block_room;
    const struct model **model; /* that the process had to do with */
    uint32_t models, model_room;
    struct trace_range *own; /* places of the tap's memory, by address */
    uint32_t owns;
    bool *swa;           /* of the heap's buffers: holds the cache of the sliding-window layers */
    struct owner *piece; /* what split_place found */
    uint32_t pieces, piece_room;
    struct owners_walk walk;
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

/* --- owners ------------------------------------------------------------------------------------------------------ */

/* split.c: owners of [start, end) of a place, by address: w->piece. */
void split_place(struct owners *w, const struct place *p, uint64_t start, uint64_t end);

/* tensors.c */

/* Which of the heap's buffers hold the key-value cache of sliding-window layers: w->swa. */
void tensors_sort_caches(struct owners *w);
/*
 * Owner of a tensor that the engine named, from its start on; false if its name says nothing about a component. `source`
 * is the file whose bytes lie there; NULL: not known.
 */
bool tensors_own(struct owners *w, uint32_t tensor, const char *source, struct owner *o);
/* The same for what lies between tensors: a processor's own form of them (AMX) takes more room than the file's. */
void tensors_own_rest(const struct owners *w, struct owner *o);
/* The model file of that path; NULL if it cannot be read, or is none. Opened once. */
const struct model *tensors_model(struct tensors *t, const char *path);
/* The first tensor that ends behind the offset of that file of the model; NULL if there is none. */
const struct model_tensor *tensors_at(struct tensors *t, const struct model *m, const char *path, uint64_t offset);

/* remains.c: visits owners of what is resident behind all that were visited so far, and below the address. */
void remains_until(struct owners *w, uint64_t until);

#endif
