/* components.h: the table of components, for people. Inside report/. */
#ifndef REPORT_COMPONENTS_H
#define REPORT_COMPONENTS_H

#include "report/report.h"

/* Layers are folded into one row, unless the style is verbose; then it says what each is, too. */
void components_print(const struct summary *s, const struct report_style *style, FILE *out);

#endif
