/* inside.h: what the readers of the formats share. Inside model/. */
#ifndef MODEL_INSIDE_H
#define MODEL_INSIDE_H

#include "base/error.h"
#include "base/intern.h"
#include "base/memory.h"
#include "model/model.h"

#define MODEL_TENSORS_MAX (1u << 20)
#define MODEL_NAME_MAX 1024u      /* bytes of a tensor's name */
#define MODEL_KEY_MAX 65535u      /* bytes of a key, by the specification of GGUF */
#define MODEL_TEXT_MAX (4u << 20) /* bytes of a string that is kept; longer ones are cut */
#define MODEL_JSON_MAX (32u << 20)

/* --- reading forward through a file, every step checked (span.c) --- */

struct span {
    int fd;
    const char *path;
    uint64_t size, at; /* of the file; of the next byte */
    struct error *error;
    bool failed; /* the sentence is in *error; reads return zeros from here on */
    uint64_t buffer_at;
    uint32_t buffered;
    uint8_t buffer[1 << 16];
};

/* Opens a regular file. NULL and a sentence if it cannot. span_close also after a failure. */
struct span *span_open(const char *path, struct error *e);
void span_close(struct span *s);

/* Little-endian numbers; `what` names it in the sentence: "the length of a key". */
uint8_t span_u8(struct span *s, const char *what);
uint16_t span_u16(struct span *s, const char *what);
uint32_t span_u32(struct span *s, const char *what);
uint64_t span_u64(struct span *s, const char *what);
bool span_bytes(struct span *s, void *to, uint64_t size, const char *what);
bool span_skip(struct span *s, uint64_t size, const char *what);
/* Goes to a byte of the file. */
bool span_seek(struct span *s, uint64_t at, const char *what);
/* `length` bytes and a NUL, in new memory; NULL if they are not there, or more than `most`. */
char *span_text(struct span *s, uint64_t length, uint64_t most, const char *what);
/* Says "PATH is damaged at byte N: ..." of the next byte, unless something was said before. Returns false. */
bool span_damaged(struct span *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- keys (keys.c) --- */

/* The numbers are GGUF's. */
enum value_type {
    VALUE_U8,
    VALUE_I8,
    VALUE_U16,
    VALUE_I16,
    VALUE_U32,
    VALUE_I32,
    VALUE_F32,
    VALUE_BOOL,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_U64,
    VALUE_I64,
    VALUE_F64,
    VALUE_TYPES
};

struct value {
    const char *key;
    bool array;
    enum value_type type; /* of the elements of an array */
    uint64_t count;
    uint8_t *data;        /* little endian, or a string with its NUL; NULL if it is not kept */
    uint64_t size;        /* of data, without the NUL */
    uint64_t offset;      /* of the elements of an array of strings in the first file */
    uint32_t length_size; /* bytes of the length before each of them; 0: they are NUL-terminated in data */
};

struct model_keys;
struct model_keys *keys_new(void);
void keys_free(struct model_keys *k);
/* Takes over v->data. False if the key is there already; then it is freed. */
bool keys_add(struct model_keys *k, const struct value *v);
uint32_t value_size(enum value_type type); /* of one element; 0: not fixed */

/* --- the model being read (model.c) --- */

/* A copy that lives as long as the model. */
const char *model_keep(struct model *m, const char *text);
uint32_t model_add_file(struct model *m, const char *path, uint64_t size);
/* Adds a tensor; NULL if the name is there already. Its component is filled in at the end. */
struct model_tensor *model_add_tensor(struct model *m, const char *name);
/* Elements of all dimensions; false on overflow. */
bool model_elements(struct model_tensor *t);
/* The path of a file beside another; for free(). */
char *path_beside(const char *path, const char *name);
const char *path_name(const char *path);
/* "NAME-00002-of-00003.EXT": the length of NAME, and the numbers; false if it is not like that. */
bool path_part(const char *path, size_t *stem, uint32_t *number, uint32_t *count);
char *path_of_part(const char *path, size_t stem, uint32_t number, uint32_t count);
/* Reads a whole file of at most `most` bytes; NULL and a sentence if it cannot. */
char *file_text(const char *path, uint64_t most, uint64_t *size, struct error *e);

/* --- the formats --- */

bool gguf_read(struct model *m, const char *path, struct error *e);
bool safetensors_read(struct model *m, const char *path, struct error *e);
bool safetensors_read_index(struct model *m, const char *path, struct error *e);
bool torch_read(struct model *m, const char *path, struct error *e);

/* --- PyTorch's pickle (pickle.c) --- */

/* One tensor that a pickle describes: a part of the storage "data/KEY". */
struct pickle_tensor {
    const char *name, *storage, *type; /* live during the call */
    uint64_t first, elements;          /* of the storage, where it begins; of the storage in all */
    uint64_t dim[MODEL_DIMS];
    uint32_t dims;
};

/*
 * Reads the pickle of a checkpoint, and calls `found` for each tensor in the order of the names in it. Knows the
 * instructions that describe tensors in dictionaries; nothing is executed, other objects are opaque. False and a sentence
 * without the file's name if it is no such pickle, or if `found` returned false.
 */
bool pickle_read(const uint8_t *data, uint64_t size, bool (*found)(void *context, const struct pickle_tensor *t),
                 void *context, char why[200]);

#endif
