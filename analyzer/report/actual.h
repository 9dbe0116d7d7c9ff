/*
 * actual.h: what a model was to need, beside what a recorded process holds of it, and beside the engine's own figures.
 */
#ifndef REPORT_ACTUAL_H
#define REPORT_ACTUAL_H

#include <stdio.h>

#include "model/need.h"
#include "report/report.h"

enum actual_part {
    ACTUAL_MAPPED,   /* weights, pages of the file */
    ACTUAL_READ,     /* weights, read into memory */
    ACTUAL_REPACKED, /* weights once more, rearranged */
    ACTUAL_KV_FULL,
    ACTUAL_KV_SWA,
    ACTUAL_COMPUTE,
    ACTUAL_PARTS
};

struct actual_row {
    uint64_t expected, allocated, resident;
    uint64_t engine; /* by the buffers that the engine made */
    const char *why; /* the difference; "" if there is none */
};

struct actual {
    struct actual_row row[ACTUAL_PARTS];
    bool engine; /* its buffers are known */
    const struct summary *summary;
};

/* Of all processes of the summary; heap[i] of `heaps` as for summary_build. */
struct actual actual_compute(const struct need *n, const struct summary *s, struct heap **heap, uint32_t heaps);
void actual_text(const struct actual *a, uint32_t width, FILE *out);
bool actual_json(const struct actual *a, FILE *out);

#endif
