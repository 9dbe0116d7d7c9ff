/* bounds.c: see bounds.h. The options and defaults are those of llama.cpp's common/arg.cpp and common/common.h. */
#include "attribute/bounds.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *program, *component;
    const char *option[3];
    uint64_t preset, unit; /* unit: bytes of one; 0: it counts pieces */
} known[] = {
    { "llama-server", "prompt-cache", { "--cache-ram", "-cram" }, 8192, 1 << 20 },
    { "llama-server", "checkpoints", { "--ctx-checkpoints", "-ctxcp", "--swa-checkpoints" }, 32, 0 },
};

static const char *value_of(const struct trace_info *info, const char *option)
{
    size_t length = strlen(option);
    for (uint32_t i = 1; i < info->argc; i++) {
        if (strcmp(info->argv[i], option) == 0 && i + 1 < info->argc)
            return info->argv[i + 1];
        if (strncmp(info->argv[i], option, length) == 0 && info->argv[i][length] == '=')
            return info->argv[i] + length + 1;
    }
    return NULL;
}

bool bounds_find(const struct trace_info *info, const char *component, struct bound *bound)
{
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].component, component) != 0 || strcmp(known[i].program, info->name) != 0)
            continue;
        uint64_t amount = known[i].preset;
        bound->source = "default";
        for (unsigned k = 0; k < 3 && known[i].option[k]; k++) {
            const char *value = value_of(info, known[i].option[k]);
            if (!value)
                continue;
            long long given = strtoll(value, NULL, 10);
            if (given < 0) /* no limit */
                return false;
            amount = (uint64_t)given;
            bound->source = known[i].option[k];
        }
        bound->bytes = amount * known[i].unit;
        bound->pieces = known[i].unit ? 0 : amount;
        return true;
    }
    return false;
}
