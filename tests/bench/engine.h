/* engine.h: of ggml, what engine.so.c has and hooks.c calls. */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

struct ggml_backend_buffer {
    int usage;
    const char *name;
};

struct ggml_tensor {
    int type;
    char name[64];
};

struct ggml_backend;

struct ggml_backend_buffer *engine_buffer(int which); /* 0: of weights, 1: for computing */

int ggml_backend_tensor_alloc(struct ggml_backend_buffer *b, struct ggml_tensor *t, void *address);
int ggml_backend_graph_compute(struct ggml_backend *backend, void *graph);

#endif
