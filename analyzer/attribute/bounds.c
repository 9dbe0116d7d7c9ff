/* bounds.c: see bounds.h. The options and defaults are those of llama.cpp's common/arg.cpp and common/common.h. */
#include "attribute/bounds.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *program, *component;
    const char *variable, *option[3]; /* options go before the variable */
    uint64_t preset, unit;            /* unit: bytes of one; 0: it counts pieces */
} known[] = {
    { "llama-server", "prompt-cache", "LLAMA_ARG_CACHE_RAM", { "--cache-ram", "-cram" }, 8192, 1 << 20 },
    { "llama-server",
      "checkpoints",
      "LLAMA_ARG_CTX_CHECKPOINTS",
      { "--ctx-checkpoints", "-ctxcp", "--swa-checkpoints" },
      32,
      0 },
};

/* The value that an option was given, in the next word or behind an equals sign. */
static bool find_value(const struct trace_info *info, const char *option, const char **value)
{
    size_t length = strlen(option);
    for (uint32_t i = 1; i < info->argc; i++) {
        const char *word = info->argv[i];
        bool apart = strcmp(word, option) == 0 && i + 1 < info->argc;
        if (!apart && (strncmp(word, option, length) != 0 || word[length] != '='))
            continue;
        *value = apart ? info->argv[i + 1] : word + length + 1;
        return true;
    }
    return false;
}

bool bounds_find(const struct trace_info *info, const char *component, struct bound *bound)
{
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].component, component) != 0 || strcmp(known[i].program, info->name) != 0)
            continue;
        const char *value = trace_setting(info, known[i].variable);
        bound->source = value ? known[i].variable : "default";
        for (unsigned k = 0; k < 3 && known[i].option[k]; k++)
            if (find_value(info, known[i].option[k], &value))
                bound->source = known[i].option[k];
        long long given = value ? strtoll(value, NULL, 10) : 0;
        if (given < 0) /* no limit */
            return false;
        uint64_t amount = value ? (uint64_t)given : known[i].preset;
        bound->bytes = amount * known[i].unit;
        bound->pieces = known[i].unit ? 0 : amount;
        return true;
    }
    return false;
}
