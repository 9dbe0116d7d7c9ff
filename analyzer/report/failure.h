/* failure.h: the allocation that failed, and the blocks there were. Inside report/. */
#ifndef REPORT_FAILURE_H
#define REPORT_FAILURE_H

#include <jansson.h>

#include "report/report.h"

/* If the heap has a later failure than the summary: that one. site[i] is whose heap_site(h, i) is by its stack. */
void failure_add(struct summary *s, const struct summary_process *p, const struct heap *h, const struct trace *t,
                 const struct attribution *site);
void failure_print(const struct summary *s, const struct report_style *style, FILE *out);
json_t *failure_json(const struct summary *s); /* null if nothing failed */

#endif
