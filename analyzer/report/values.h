/* values.h: JSON values from what C holds. Inside report/. */
#ifndef REPORT_VALUES_H
#define REPORT_VALUES_H

#include <jansson.h>
#include <stdint.h>

/* JSON text is UTF-8; paths, symbol names, tags and what stands in a file need not be. */
json_t *values_text(const char *s);
json_t *values_number(uint64_t n); /* cut to what JSON's integers hold */

#endif
