/* engine.so.c: of ggml, what the tap asks and replaces, doing nothing; for hooks.c, which is about the hooks alone. */
#include <stdbool.h>
#include <stddef.h>

#include "engine.h"

static char memory[1 << 16];
static struct ggml_backend_buffer buffer[] = { { 1, "weights" }, { 2, "compute" } };

struct ggml_backend_buffer *engine_buffer(int which)
{
    return &buffer[which];
}

void *ggml_backend_buffer_get_base(struct ggml_backend_buffer *b)
{
    return memory + (b - buffer);
}

size_t ggml_backend_buffer_get_size(struct ggml_backend_buffer *b)
{
    return b ? sizeof memory / 2 : 0;
}

int ggml_backend_buffer_get_usage(struct ggml_backend_buffer *b)
{
    return b->usage;
}

const char *ggml_backend_buffer_name(struct ggml_backend_buffer *b)
{
    return b->name;
}

bool ggml_backend_buffer_is_multi_buffer(struct ggml_backend_buffer *b)
{
    return b == NULL;
}

const char *ggml_get_name(const struct ggml_tensor *t)
{
    return t->name;
}

size_t ggml_nbytes(const struct ggml_tensor *t)
{
    return sizeof t->name;
}

int ggml_backend_tensor_alloc(struct ggml_backend_buffer *b, struct ggml_tensor *t, void *address)
{
    return b == NULL || t == NULL || address == NULL;
}

int ggml_backend_graph_compute(struct ggml_backend *backend, void *graph)
{
    return backend == NULL || graph == NULL;
}
