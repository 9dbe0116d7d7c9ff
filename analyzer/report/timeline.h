/* timeline.h: what the parts of a process held over time, and in which phase of its life they were made. Inside report/.
 */
#ifndef REPORT_TIMELINE_H
#define REPORT_TIMELINE_H

#include "report/report.h"

/* Adds the moments of a heap to the summary; site[i] is whose heap_site(h, i) is. */
void timeline_add(struct summary *s, uint32_t process, const struct heap *h, const struct trace *t,
                  const struct attribution *site, uint64_t session_start);
void timeline_free(struct summary *s);
void timeline_print(const struct summary *s, const struct report_style *style, FILE *out);

/*
 * Load ends when the engine runs its first graph, warm-up when the first request begins. A program that does neither
 * is loading all the time.
 */
enum phase phase_of(const struct heap *h, uint64_t time);

#endif
