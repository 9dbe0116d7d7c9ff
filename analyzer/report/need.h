/* need.h: what models will take, as people and programs read it. */
#ifndef REPORT_NEED_H
#define REPORT_NEED_H

#include <stdio.h>

#include "model/need.h"

/* One model in full. */
void need_text(const struct need *n, const struct need_options *o, uint32_t width, FILE *out);

/* Several side by side. */
void need_text_beside(const struct need *n, uint32_t count, const struct need_options *o, uint32_t width, FILE *out);

/* All of them, as model.schema.json describes. False if it cannot be written. */
bool need_json(const struct need *n, uint32_t count, const struct need_options *o, FILE *out);

#endif
