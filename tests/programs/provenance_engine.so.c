/*
 * provenance_engine.so.c: a small engine with the parts of the API of ggml and llama.cpp that the tap looks at. Each copy
 * of it insists on its own objects, as two engines in one process do; its calls of itself come by the tap or not, as
 * they would in an engine.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
    void (*free)(struct buffer *);
    void *base;
    size_t size;
    int usage;
    const char *name;
};

struct tensor {
    int type;
    size_t size;
    char name[16];
};

static int own; /* its address tells this copy */
static unsigned wrong;

struct type {
    const int *owner;
    const char *name;
};

static struct type host = { &own, "CPU" }, repacked = { &own, "CPU_REPACK" };

static void free_buffer(struct buffer *b)
{
    free(b->base);
}

static void check(const struct buffer *b)
{
    wrong += b->free != free_buffer;
}

void *ggml_backend_buffer_get_base(struct buffer *b)
{
    check(b);
    return b->base;
}

size_t ggml_backend_buffer_get_size(struct buffer *b)
{
    check(b);
    return b->size;
}

int ggml_backend_buffer_get_usage(struct buffer *b)
{
    check(b);
    return b->usage;
}

const char *ggml_backend_buffer_name(struct buffer *b)
{
    check(b);
    return b->name;
}

bool ggml_backend_buffer_is_multi_buffer(struct buffer *b)
{
    check(b);
    return b->size == 77; /* no other has so many bytes */
}

const char *ggml_get_name(const struct tensor *t)
{
    return t->name;
}

size_t ggml_nbytes(const struct tensor *t)
{
    return t->size;
}

struct buffer *ggml_backend_buft_alloc_buffer(struct type *type, size_t size);

/* The compiler would make a call of itself a direct one. */
static __attribute__((noipa)) struct buffer *alloc_host(size_t size)
{
    return ggml_backend_buft_alloc_buffer(&host, size);
}

struct buffer *ggml_backend_buft_alloc_buffer(struct type *type, size_t size)
{
    struct buffer *b;
    wrong += type->owner != &own;
    if (type == &repacked) {
        b = alloc_host(size);
        b->name = type->name;
        return b;
    }
    b = calloc(1, sizeof *b);
    *b = (struct buffer){ free_buffer, size == 77 ? NULL : malloc(size), size, 0, type->name };
    return b;
}

int ggml_backend_tensor_alloc(struct buffer *b, struct tensor *t, void *address)
{
    check(b);
    return t->type < 0 || address == NULL;
}

/* The context is a tensor, which is all that is in it. */
struct buffer *ggml_backend_alloc_ctx_tensors_from_buft(struct tensor *context, struct type *type)
{
    struct buffer *b = ggml_backend_buft_alloc_buffer(type, context->size);
    ggml_backend_tensor_alloc(b, context, b->base);
    return b;
}

void ggml_backend_buffer_set_usage(struct buffer *b, int usage)
{
    check(b);
    b->usage = usage;
}

void ggml_backend_buffer_free(struct buffer *b)
{
    if (!b)
        return;
    check(b);
    b->free(b);
    free(b);
}

int ggml_backend_sched_graph_compute_async(int **sched, void *graph)
{
    wrong += *sched != &own || graph != NULL;
    return 5;
}

int ggml_backend_sched_graph_compute(int **sched, void *graph)
{
    return ggml_backend_sched_graph_compute_async(sched, graph) + 1;
}

void llama_free(int **context)
{
    wrong += *context != &own;
}

void llama_model_free(int **model)
{
    wrong += *model != &own;
}

void llama_free_model(int **model)
{
    llama_model_free(model);
}

/* --- what the program calls --------------------------------------------------------------------------------------- */

/* A call at the end, so that it comes from the program: -O2 makes it a jump. */
void engine_drop(struct buffer *b)
{
    printf("buffer_free %p\n", (void *)b);
    ggml_backend_buffer_free(b);
}

/* Says what is to be recorded. */
static void tell(const char *what, const struct buffer *b, int usage, const char *name)
{
    printf("%s %p %p %zu %d %s\n", what, (void *)b, b->base, b->size, usage, name);
}

/* How many calls came to the wrong copy, or had a wrong result. */
unsigned engine_use(void)
{
    struct tensor t = { 8, 3000, "t 1" }, inside = { 0, 500, "inside" };
    int *mine = &own;
    struct buffer *weights = ggml_backend_alloc_ctx_tensors_from_buft(&t, &repacked);
    ggml_backend_buffer_set_usage(weights, 1);
    struct buffer *compute = ggml_backend_buft_alloc_buffer(&host, 4000);
    ggml_backend_buffer_set_usage(compute, 2);
    ggml_backend_buffer_set_usage(compute, 2);
    wrong += ggml_backend_tensor_alloc(compute, &inside, compute->base) != 0;
    struct buffer *none = ggml_backend_buft_alloc_buffer(&host, 0), *many = ggml_backend_buft_alloc_buffer(&host, 77);
    wrong += ggml_backend_sched_graph_compute(&mine, NULL) != 6;
    tell("buffer", weights, 0, "CPU");
    tell("buffer", weights, 0, "CPU_REPACK");
    printf("tensor %p %zu %p %d %s\n", weights->base, t.size, (void *)weights, t.type, t.name);
    tell("buffer", weights, 1, "CPU_REPACK");
    tell("buffer", compute, 0, "CPU");
    tell("buffer", compute, 2, "CPU");
    printf("engine 1 %p\nbuffer_free %p\nengine 2 %p\nengine 3 %p\nengine 3 %p\n", (void *)&mine, (void *)weights,
           (void *)&mine, (void *)&mine, (void *)&mine);
    ggml_backend_buffer_free(weights);
    ggml_backend_buffer_free(none);
    ggml_backend_buffer_free(many);
    ggml_backend_buffer_free(NULL);
    llama_free(&mine);
    llama_model_free(&mine);
    llama_free_model(&mine);
    engine_drop(compute);
    return wrong;
}

struct buffer *engine_make(void)
{
    struct buffer *b = ggml_backend_buft_alloc_buffer(&host, 900);
    tell("buffer", b, 0, "CPU");
    return b;
}

unsigned engine_wrong(void)
{
    return wrong;
}
