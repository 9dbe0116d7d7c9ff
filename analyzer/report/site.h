/* site.h: a site and its call stack, for people. Inside report/. */
#ifndef REPORT_SITE_H
#define REPORT_SITE_H

#include "report/report.h"

/* Innermost frame first; the outer ones are left out unless the style is verbose. */
void site_print_frames(const struct summary_site *site, const struct report_style *style, FILE *out);

/* With a line of what the site holds above it. */
void site_print(const struct summary_site *site, const struct report_style *style, FILE *out);

#endif
