/* growth.h: the answer of memtap leaks, for people and for programs. */
#ifndef REPORT_GROWTH_H
#define REPORT_GROWTH_H

#include <stdio.h>

#include "leaks/leaks.h"
#include "report/report.h"

/* What the printers need beside the verdicts. */
struct growth {
    const struct session *session;
    const struct leaks *leaks; /* one for each trace of the session */
    struct heap **heap;
    struct symbols *symbols;
};

void growth_text(const struct growth *g, const struct report_style *style, FILE *out);
bool growth_json(const struct growth *g, const struct report_style *style, FILE *out);

/* Whether anything grows or may grow, and whether anything could be judged. */
bool growth_found(const struct growth *g);
bool growth_doubted(const struct growth *g);
bool growth_judged(const struct growth *g);

#endif
