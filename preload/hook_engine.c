/*
 * hook_engine.c: what ggml and llama.cpp say of their memory. Whoever asks by dlsym whether these functions exist finds
 * the hooks, also where there is no engine; called there, they do nothing.
 *
 * How an engine was linked decides which of its own calls come by the hooks: all, or only some. So a buffer is recorded
 * by whatever hook meets it first, and once; and its end may go by unseen, then what it lay in was freed.
 */
#include "event.h"
#include "hook_engine_real.h"

#define ENGINE(name, handle) engine_of(__builtin_return_address(0), offsetof(struct engine, name), handle)

/* --- buffers ----------------------------------------------------------------------------------------------------- */

#define BUFFERS_BITS 10u

/* By hash of the handle: what was last recorded of a buffer, all in one number. Two buffers in one place are recorded
 * more often than need be. */
static uint64_t recorded[1u << BUFFERS_BITS];

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 32;
}

static uint64_t *place_of(const void *buffer)
{
    return &recorded[mix(0, (uintptr_t)buffer) >> (64 - BUFFERS_BITS)];
}

/* Buffers of no bytes are probes of the loader's; one that holds other buffers has no place of its own (its get_base
 * would fail), and the others come here by themselves. */
static bool is_plain(const struct engine *e, struct ggml_backend_buffer *buffer)
{
    return buffer && e->ggml_backend_buffer_get_base && e->ggml_backend_buffer_get_size &&
           e->ggml_backend_buffer_is_multi_buffer && e->ggml_backend_buffer_get_size(buffer) > 0 &&
           !e->ggml_backend_buffer_is_multi_buffer(buffer);
}

static int usage_of(const struct engine *e, struct ggml_backend_buffer *buffer)
{
    return e->ggml_backend_buffer_get_usage ? e->ggml_backend_buffer_get_usage(buffer) : GGML_BACKEND_BUFFER_USAGE_ANY;
}

/* Records the buffer unless that is done. */
static void record_buffer(const struct engine *e, struct ggml_backend_buffer *buffer)
{
    void *base = is_plain(e, buffer) ? e->ggml_backend_buffer_get_base(buffer) : NULL;
    if (!base)
        return;
    size_t size = e->ggml_backend_buffer_get_size(buffer);
    unsigned usage = (unsigned)usage_of(e, buffer);
    const char *name = e->ggml_backend_buffer_name ? e->ggml_backend_buffer_name(buffer) : NULL;
    uint64_t all = mix(mix(mix(mix(mix(1, (uintptr_t)buffer), (uintptr_t)base), size), usage), (uintptr_t)name);
    if (__atomic_exchange_n(place_of(buffer), all, __ATOMIC_RELAXED) != all)
        event_buffer(buffer, base, size, usage, name);
}

struct ggml_backend_buffer *hook_ggml_backend_buft_alloc_buffer(struct ggml_backend_buffer_type *type, size_t size)
{
    const struct engine *e = ENGINE(ggml_backend_buft_alloc_buffer, type);
    if (!e->ggml_backend_buft_alloc_buffer)
        return NULL;
    struct ggml_backend_buffer *buffer = e->ggml_backend_buft_alloc_buffer(type, size);
    record_buffer(e, buffer);
    return buffer;
}

struct ggml_backend_buffer *hook_ggml_backend_alloc_ctx_tensors_from_buft(struct ggml_context *context,
                                                                          struct ggml_backend_buffer_type *type)
{
    const struct engine *e = ENGINE(ggml_backend_alloc_ctx_tensors_from_buft, type);
    if (!e->ggml_backend_alloc_ctx_tensors_from_buft)
        return NULL;
    struct ggml_backend_buffer *buffer = e->ggml_backend_alloc_ctx_tensors_from_buft(context, type);
    record_buffer(e, buffer);
    return buffer;
}

struct ggml_backend_buffer *hook_ggml_backend_dev_buffer_from_host_ptr(struct ggml_backend_device *device, void *memory,
                                                                       size_t size, size_t largest_tensor)
{
    const struct engine *e = ENGINE(ggml_backend_dev_buffer_from_host_ptr, device);
    if (!e->ggml_backend_dev_buffer_from_host_ptr)
        return NULL;
    struct ggml_backend_buffer *buffer = e->ggml_backend_dev_buffer_from_host_ptr(device, memory, size, largest_tensor);
    record_buffer(e, buffer);
    return buffer;
}

struct ggml_backend_buffer *hook_ggml_backend_cpu_buffer_from_ptr(void *memory, size_t size)
{
    const struct engine *e = ENGINE(ggml_backend_cpu_buffer_from_ptr, NULL);
    if (!e->ggml_backend_cpu_buffer_from_ptr)
        return NULL;
    struct ggml_backend_buffer *buffer = e->ggml_backend_cpu_buffer_from_ptr(memory, size);
    record_buffer(e, buffer);
    return buffer;
}

void hook_ggml_backend_buffer_set_usage(struct ggml_backend_buffer *buffer, int usage)
{
    const struct engine *e = ENGINE(ggml_backend_buffer_set_usage, buffer);
    if (!e->ggml_backend_buffer_set_usage)
        return;
    e->ggml_backend_buffer_set_usage(buffer, usage);
    record_buffer(e, buffer);
}

void hook_ggml_backend_buffer_free(struct ggml_backend_buffer *buffer)
{
    const struct engine *e = ENGINE(ggml_backend_buffer_free, buffer);
    if (!e->ggml_backend_buffer_free)
        return;
    if (is_plain(e, buffer)) {
        __atomic_store_n(place_of(buffer), 0, __ATOMIC_RELAXED);
        event_buffer_free(buffer);
    }
    e->ggml_backend_buffer_free(buffer);
}

/* --- tensors ----------------------------------------------------------------------------------------------------- */

/* Those of compute buffers get new places again and again, thousands for a token. */
static bool is_worth_recording(const struct engine *e, struct ggml_backend_buffer *buffer)
{
    return buffer && e->ggml_nbytes && usage_of(e, buffer) != GGML_BACKEND_BUFFER_USAGE_COMPUTE;
}

int hook_ggml_backend_tensor_alloc(struct ggml_backend_buffer *buffer, struct ggml_tensor *tensor, void *address)
{
    const struct engine *e = ENGINE(ggml_backend_tensor_alloc, buffer);
    if (!e->ggml_backend_tensor_alloc)
        return 0;
    int status = e->ggml_backend_tensor_alloc(buffer, tensor, address);
    if (is_worth_recording(e, buffer)) {
        record_buffer(e, buffer);
        event_tensor(buffer, address, e->ggml_nbytes(tensor), (unsigned)tensor->type,
                     e->ggml_get_name ? e->ggml_get_name(tensor) : NULL);
    }
    return status;
}

/* --- what it does ------------------------------------------------------------------------------------------------ */

/* How often this thread has recorded it: an outer call can tell whether an inner one has. */
static __thread struct {
    uint32_t computes, models;
} done;

static void record_compute(const void *handle)
{
    done.computes++;
    event_engine(RECORD_ENGINE_COMPUTE, handle);
}

/* Whether the inner call comes by the hook below is known afterwards only. */
int hook_ggml_backend_sched_graph_compute(struct ggml_backend_sched *sched, struct ggml_cgraph *graph)
{
    const struct engine *e = ENGINE(ggml_backend_sched_graph_compute, sched);
    uint32_t before = done.computes;
    if (!e->ggml_backend_sched_graph_compute)
        return 0;
    int status = e->ggml_backend_sched_graph_compute(sched, graph);
    if (done.computes == before)
        record_compute(sched);
    return status;
}

int hook_ggml_backend_sched_graph_compute_async(struct ggml_backend_sched *sched, struct ggml_cgraph *graph)
{
    const struct engine *e = ENGINE(ggml_backend_sched_graph_compute_async, sched);
    if (!e->ggml_backend_sched_graph_compute_async)
        return 0;
    record_compute(sched);
    return e->ggml_backend_sched_graph_compute_async(sched, graph);
}

int hook_ggml_backend_graph_compute(struct ggml_backend *backend, struct ggml_cgraph *graph)
{
    const struct engine *e = ENGINE(ggml_backend_graph_compute, backend);
    if (!e->ggml_backend_graph_compute)
        return 0;
    record_compute(backend);
    return e->ggml_backend_graph_compute(backend, graph);
}

void hook_llama_free(struct llama_context *context)
{
    const struct engine *e = ENGINE(llama_free, context);
    if (!e->llama_free)
        return;
    e->llama_free(context);
    if (context)
        event_engine(RECORD_ENGINE_CONTEXT_FREE, context);
}

void hook_llama_model_free(struct llama_model *model)
{
    const struct engine *e = ENGINE(llama_model_free, model);
    if (!e->llama_model_free)
        return;
    e->llama_model_free(model);
    done.models++;
    if (model)
        event_engine(RECORD_ENGINE_MODEL_FREE, model);
}

/* The old name, which calls the new one where there is one. */
void hook_llama_free_model(struct llama_model *model)
{
    const struct engine *e = ENGINE(llama_free_model, model);
    uint32_t before = done.models;
    if (!e->llama_free_model)
        return;
    e->llama_free_model(model);
    if (model && done.models == before)
        event_engine(RECORD_ENGINE_MODEL_FREE, model);
}
