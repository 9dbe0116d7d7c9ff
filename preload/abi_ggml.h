/*
 * abi_ggml.h: what the tap takes to be stable in the C API of ggml and llama.cpp (ggml.h, ggml-backend.h, llama.h).
 * Their headers are not needed to build. Enums are int; a function that returned nothing in older versions is declared
 * with the result of newer ones, which is then passed on unread.
 */
#ifndef PRELOAD_ABI_GGML_H
#define PRELOAD_ABI_GGML_H

#include <stdbool.h>
#include <stddef.h>

struct ggml_backend;
struct ggml_backend_buffer;
struct ggml_backend_buffer_type;
struct ggml_backend_device;
struct ggml_backend_sched;
struct ggml_cgraph;
struct ggml_context;
struct llama_context;
struct llama_model;

struct ggml_tensor {
    int type; /* the first member in all versions; the rest is not looked at */
};

enum { GGML_BACKEND_BUFFER_USAGE_ANY = 0, GGML_BACKEND_BUFFER_USAGE_COMPUTE = 2 };

/* Replaced: hooks_engine.def. */
struct ggml_backend_buffer *ggml_backend_buft_alloc_buffer(struct ggml_backend_buffer_type *type, size_t size);
struct ggml_backend_buffer *ggml_backend_alloc_ctx_tensors_from_buft(struct ggml_context *context,
                                                                     struct ggml_backend_buffer_type *type);
struct ggml_backend_buffer *ggml_backend_dev_buffer_from_host_ptr(struct ggml_backend_device *device, void *memory,
                                                                  size_t size, size_t largest_tensor);
struct ggml_backend_buffer *ggml_backend_cpu_buffer_from_ptr(void *memory, size_t size);
void ggml_backend_buffer_set_usage(struct ggml_backend_buffer *buffer, int usage);
void ggml_backend_buffer_free(struct ggml_backend_buffer *buffer);
int ggml_backend_tensor_alloc(struct ggml_backend_buffer *buffer, struct ggml_tensor *tensor, void *address);
int ggml_backend_sched_graph_compute(struct ggml_backend_sched *sched, struct ggml_cgraph *graph);
int ggml_backend_sched_graph_compute_async(struct ggml_backend_sched *sched, struct ggml_cgraph *graph);
int ggml_backend_graph_compute(struct ggml_backend *backend, struct ggml_cgraph *graph);
void llama_free(struct llama_context *context);
void llama_model_free(struct llama_model *model);
void llama_free_model(struct llama_model *model);

/* Asked. */
void *ggml_backend_buffer_get_base(struct ggml_backend_buffer *buffer);
size_t ggml_backend_buffer_get_size(struct ggml_backend_buffer *buffer);
int ggml_backend_buffer_get_usage(struct ggml_backend_buffer *buffer);
const char *ggml_backend_buffer_name(struct ggml_backend_buffer *buffer);
bool ggml_backend_buffer_is_multi_buffer(struct ggml_backend_buffer *buffer);
const char *ggml_get_name(const struct ggml_tensor *tensor);
size_t ggml_nbytes(const struct ggml_tensor *tensor);

#endif
