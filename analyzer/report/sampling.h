/* sampling.h: how a report says that it is of a sample, and how sure its figures are. Inside report/. */
#ifndef REPORT_SAMPLING_H
#define REPORT_SAMPLING_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#define SAMPLING_TEXT 40

/* " ± 1.2 MiB" for an estimate with this variance, in square bytes: what 95 % of estimates err by at most. "" if it is
 * exact. */
const char *sampling_error(char text[SAMPLING_TEXT], double variance);

/* A line of its own behind `indent` spaces, where there is sampling: `mean` is not 0. */
void sampling_print(uint64_t mean, uint32_t indent, uint32_t width, FILE *out);

/* Adds the standard error, in bytes, to an object of a sampled report; nothing to that of another. */
void sampling_error_json(json_t *object, const char *name, uint64_t mean, double variance);

/* Adds that the report is of a sample, if it is. */
void sampling_json(json_t *root, uint64_t mean);

#endif
