/* beyond.h: why a process holds more than its model files have, in a few lines. Inside report/. */
#ifndef REPORT_BEYOND_H
#define REPORT_BEYOND_H

#include "report/report.h"

/* Prints nothing if it is not known what is resident, or there is no model. */
void beyond_print(const struct summary *s, const struct report_style *style, FILE *out);

#endif
