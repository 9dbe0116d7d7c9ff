/* sampling.c: see sampling.h. */
#include "report/sampling.h"

#include <math.h>

#include "base/units.h"
#include "heap/heap.h"
#include "report/table.h"
#include "report/values.h"

/* Variances are sums that go up and down: rounding may leave a little less than nothing. */
static double standard_error(double variance)
{
    return variance > 0 ? sqrt(variance) : 0;
}

const char *sampling_error(char text[SAMPLING_TEXT], double variance)
{
    char bytes[UNITS_TEXT];
    double error = HEAP_SURE * standard_error(variance);
    if (error < 1)
        return "";
    snprintf(text, SAMPLING_TEXT, " ± %s", units_bytes(bytes, (uint64_t)error));
    return text;
}

void sampling_print(uint64_t mean, uint32_t indent, uint32_t width, FILE *out)
{
    char text[120], bytes[UNITS_TEXT];
    if (!mean)
        return;
    snprintf(text, sizeof text, "sampled: one stack in %s on average; figures are estimates", units_bytes(bytes, mean));
    table_wrap(text, indent, width, out);
}

void sampling_error_json(json_t *object, const char *name, uint64_t mean, double variance)
{
    if (mean)
        json_object_set_new(object, name, values_number((uint64_t)llround(standard_error(variance))));
}

void sampling_json(json_t *root, uint64_t mean)
{
    if (mean)
        json_object_set_new(root, "sampled", json_pack("{s:o}", "mean_bytes", values_number(mean)));
}
