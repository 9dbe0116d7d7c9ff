/* settings.c: see settings.h. */
#include "settings.h"

#include "sys.h"

/* llama.cpp: common/arg.cpp; Ollama: envconfig/config.go; glibc: mallopt(3), the GNU C library's manual, "Tunables";
 * jemalloc(3); CPython's manual, 1.2; PyTorch's notes on CUDA memory and CPU allocators. */
static const char *const kept[] = {
    "LLAMA_ARG_CACHE_RAM",
    "LLAMA_ARG_CTX_CHECKPOINTS",
    "LLAMA_ARG_CTX_SIZE",
    "LLAMA_ARG_N_PARALLEL",
    "LLAMA_ARG_CACHE_TYPE_K",
    "LLAMA_ARG_CACHE_TYPE_V",
    "OLLAMA_CONTEXT_LENGTH",
    "OLLAMA_KEEP_ALIVE",
    "OLLAMA_KV_CACHE_TYPE",
    "OLLAMA_MAX_LOADED_MODELS",
    "OLLAMA_NUM_PARALLEL",
    "GLIBC_TUNABLES",
    "MALLOC_ARENA_MAX",
    "MALLOC_CONF",
    "PYTHONMALLOC",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
};

static bool is_kept(const char *variable)
{
    for (unsigned i = 0; i < sizeof kept / sizeof *kept; i++)
        if (sys_starts(variable, kept[i]) && variable[sys_strlen(kept[i])] == '=')
            return true;
    return false;
}

void settings_keep(char *const *envp, char *to, size_t size)
{
    for (size_t used = 0; envp && *envp; envp++) {
        size_t length = sys_strlen(*envp) + 1;
        if (!is_kept(*envp) || length > size - used)
            continue;
        __builtin_memcpy(to + used, *envp, length);
        used += length;
    }
}
