/*
 * model.h: what a model file holds: its tensors with their places in the file and their parts of the model, and its keys.
 *
 * Read are GGUF (all versions, little endian, in one file or split), safetensors (one file, or an index over several)
 * and PyTorch checkpoints that are zip archives. A file is examined, not trusted: every length is checked against what
 * is there, memory is taken for what was read and never for what is claimed, and nothing in a file is ever executed.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define MODEL_DIMS 8u
#define MODEL_COMPONENT 320u /* bytes of a component's path, with its NUL */

/* --- types ------------------------------------------------------------------------------------------------------- */

/* One way to store numbers: `block` elements in `bytes` bytes. */
struct model_type {
    const char *name; /* "Q4_K", "BF16" */
    int32_t number;   /* of enum ggml_type; -1 for types of other formats */
    uint32_t block, bytes;
    bool quantised, repacked; /* repacked: the processor's backend may keep a rearranged copy */
};

/* NULL if there is no such type. Names are compared without regard to case ("q8_0"). */
const struct model_type *model_type(uint32_t ggml_number);
const struct model_type *model_type_named(const char *name);

/* --- files ------------------------------------------------------------------------------------------------------- */

enum model_format { MODEL_GGUF, MODEL_SAFETENSORS, MODEL_TORCH };
const char *model_format_name(enum model_format f);

struct model_tensor {
    const char *name;
    const char *component;    /* "weights/layer.3/attention"; "weights/other" if no rule knows the name */
    struct model_type type;   /* its name is "type 77" and its size 0 if it is unknown */
    uint64_t dim[MODEL_DIMS]; /* GGUF: fastest first; others: slowest first. As the file has them */
    uint64_t elements, bytes;
    uint64_t offset; /* of its first byte, in its file */
    uint32_t dims, file;
    int32_t layer;     /* the block it belongs to, or -1 */
    bool bytes_by_gap; /* unknown type: `bytes` is the room up to what follows */
};

struct model_file {
    const char *path;
    uint64_t size;
    uint64_t data; /* where the header ends and tensors may begin */
};

struct model_keys;
struct intern;

struct model {
    const char *path; /* as it was opened */
    enum model_format format;
    uint32_t version;         /* of GGUF; else 0 */
    const char *architecture; /* "gemma3", "clip"; "" if the file does not say */
    const char *name;         /* "" if the file does not say */
    struct model_tensor *tensor;
    uint32_t tensors, tensor_room;
    struct model_file *file;
    uint32_t files, file_room;
    struct model_keys *keys;
    struct intern *text;  /* owns the strings above, but for */
    struct intern *names; /* those of the tensors, by the number of the tensor */
};

/*
 * Opens a file, an index of safetensors (or the folder that has one), or any part of a split model with all others that
 * lie beside it. On failure *m is empty, and the sentence says what is wrong and at which byte: EXIT_DAMAGED if the
 * content is wrong, EXIT_TROUBLE if a file cannot be read or is missing.
 */
bool model_open(const char *path, struct model *m, struct error *e);
void model_close(struct model *m);

/* The tensor of that name, or NULL. */
const struct model_tensor *model_find(const struct model *m, const char *name);

/*
 * Keys and their values; of a split model those of its first part, of safetensors those of the config.json beside it
 * ("text_config.head_dim"). A number that does not fit is as good as absent. `index` 0 of a scalar is its value.
 */
uint32_t model_key_count(const struct model *m);
const char *model_key(const struct model *m, uint32_t number);
bool model_has(const struct model *m, const char *key);
uint64_t model_count(const struct model *m, const char *key); /* elements of an array, 1 for a scalar, 0 if absent */
bool model_u64(const struct model *m, const char *key, uint64_t index, uint64_t *value); /* also of a boolean */
bool model_f64(const struct model *m, const char *key, uint64_t index, double *value);
const char *model_text(const struct model *m, const char *key); /* NULL if it is no string; lives as long as *m */
/* An element of an array of strings, for free(); NULL if there is none. Reads the file again. */
char *model_text_at(const struct model *m, const char *key, uint64_t index);

/* --- names ------------------------------------------------------------------------------------------------------- */

/*
 * The component of a tensor by its name, as model files and engines spell it (rules: tensors.rules). Also for names
 * from a running engine. `adapter` is the name of the LoRA adapter that the tensor is of, NULL if it is of none or that
 * is not known. NULL if no rule knows the name; else `text`. *layer (may be NULL) becomes the block's number or -1.
 */
const char *model_component(const char *name, const char *adapter, char text[MODEL_COMPONENT], int32_t *layer);

/*
 * Whether a name is one that ggml made from another tensor's: "blk.0.attn_q.weight (transposed) (cont)", or a copy that
 * the scheduler made for a device, "CUDA0#blk.0.attn_q.weight#0". `stem` (`size` bytes) becomes the name it was made from.
 */
bool model_name_derived(const char *name, char *stem, size_t size);

#endif
