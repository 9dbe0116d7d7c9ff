/*
 * need.h: what a model will take when it is loaded, from its file alone. Weights are known to the byte; the key-value
 * cache follows llama.cpp's rules and is an estimate where a window is concerned; compute buffers are not foreseen.
 */
#ifndef MODEL_NEED_H
#define MODEL_NEED_H

#include "model/model.h"

struct need_options {
    uint64_t ctx; /* tokens of all sequences together, as llama.cpp's --ctx-size; 0: 4,096 or what the model allows */
    uint32_t parallel;                      /* sequences, at least 1 */
    uint64_t batch;                         /* tokens of one computed batch, llama.cpp's --ubatch-size */
    const struct model_type *keys, *values; /* of the cache: F16, Q8_0, ... */
};

/* --- the key-value cache ----------------------------------------------------------------------------------------- */

enum need_layer_kind { NEED_FULL, NEED_WINDOW, NEED_RECURRENT, NEED_NONE };

struct need_layer {
    enum need_layer_kind kind;
    uint64_t token; /* bytes of one token's keys and values; recurrent: of one sequence's state */
    uint64_t bytes; /* in all */
};

struct need_kv {
    struct need_layer *layer;
    uint32_t layers, count[NEED_NONE + 1];
    uint64_t token[NEED_NONE]; /* sums over the layers of a kind */
    uint64_t bytes[NEED_NONE];
    uint64_t ctx, trained_ctx;            /* tokens; trained_ctx 0 if the file does not say */
    uint64_t window, cells, window_cells; /* tokens; window 0: there is none */
    char source[160];                     /* where the window's layers are known from; "" without one */
};

/* False if the file does not say enough, or the model has no cache; *kv is then empty. */
bool need_kv(const struct model *m, const struct need_options *o, struct need_kv *kv);
void need_kv_free(struct need_kv *kv);

/* --- the weights ------------------------------------------------------------------------------------------------- */

/* Tensors of one component and type. Layers and vision blocks are taken together: "weights/layer.N/ffn". */
struct need_row {
    char component[MODEL_COMPONENT];
    const char *type;
    uint64_t bytes;
    uint32_t tensors;
    bool quantised;
};

struct need {
    const struct model *model, *mmproj; /* mmproj may be NULL */
    struct need_row *row;               /* by component, in the order of the report, then the largest type first */
    uint32_t rows, row_room;
    uint32_t blocks, vision_blocks;
    uint64_t bytes;             /* of all tensors: those of the model, */
    uint64_t mmproj_bytes;      /* and those of the projector's file, which is never mapped */
    uint64_t unquantised;       /* of both */
    uint64_t vision, projector; /* of both, with sound */
    uint64_t repacked;          /* at most, of the model's matrices */
    uint32_t repacked_matrices;
    bool has_embedding, tied; /* tied: the embedding is the output matrix as well */
    uint64_t image, patches, pixels,
        attention; /* pixels along an edge; patches; bytes of one image; of one F32 matrix */
    bool has_kv;
    struct need_kv kv;
    uint64_t mapped, read; /* the sum with the file mapped, without repacked copies; with the file read */
};

void need_compute(const struct model *m, const struct model *mmproj, const struct need_options *o, struct need *n);
void need_free(struct need *n);

/* Bytes of all rows whose component begins with `prefix`. */
uint64_t need_sum(const struct need *n, const char *prefix);

#endif
