/* model.c: opens a model file of any format. See model.h. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/inside.h"

const char *model_format_name(enum model_format f)
{
    static const char *const names[] = { "GGUF", "safetensors", "PyTorch" };
    return names[f];
}

/* --- what the readers use ---------------------------------------------------------------------------------------- */

const char *model_keep(struct model *m, const char *text)
{
    return intern_text(m->text, intern_add(m->text, text));
}

uint32_t model_add_file(struct model *m, const char *path, uint64_t size)
{
    array_room(m->file, m->files, m->file_room);
    m->file[m->files] = (struct model_file){ .path = model_keep(m, path), .size = size };
    return m->files++;
}

struct model_tensor *model_add_tensor(struct model *m, const char *name)
{
    if (intern_add(m->names, name) != m->tensors)
        return NULL;
    array_room(m->tensor, m->tensors, m->tensor_room);
    m->tensor[m->tensors] = (struct model_tensor){ .name = intern_text(m->names, m->tensors), .layer = -1 };
    return &m->tensor[m->tensors++];
}

bool model_elements(struct model_tensor *t)
{
    t->elements = 1;
    for (uint32_t i = 0; i < t->dims; i++)
        if (__builtin_mul_overflow(t->elements, t->dim[i], &t->elements))
            return false;
    return true;
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_beside(const char *path, const char *name)
{
    size_t folder = (size_t)(path_name(path) - path), size = folder + strlen(name) + 1;
    char *beside = memory_take(size);
    snprintf(beside, size, "%.*s%s", (int)folder, path, name);
    return beside;
}

/* The five digits at `p`; -1 if they are none. */
static int five_digits(const char *p)
{
    int n = 0;
    for (int i = 0; i < 5; i++, p++) {
        if (!isdigit((unsigned char)*p))
            return -1;
        n = n * 10 + (*p - '0');
    }
    return n;
}

bool path_part(const char *path, size_t *stem, uint32_t *number, uint32_t *count)
{
    const char *name = path_name(path), *dot = strrchr(name, '.');
    if (!dot || dot - name < 16 || dot[-15] != '-' || strncmp(dot - 9, "-of-", 4) != 0)
        return false;
    int n = five_digits(dot - 14), of = five_digits(dot - 5);
    *stem = (size_t)(dot - 15 - path);
    *number = (uint32_t)n;
    *count = (uint32_t)of;
    return n >= 1 && of >= n;
}

char *path_of_part(const char *path, size_t stem, uint32_t number, uint32_t count)
{
    size_t size = strlen(path) + 1;
    char *part = memory_take(size);
    snprintf(part, size, "%.*s-%05u-of-%05u%s", (int)stem, path, number % 100000, count % 100000, strrchr(path, '.'));
    return part;
}

char *file_text(const char *path, uint64_t most, uint64_t *size, struct error *e)
{
    struct span *s = span_open(path, e);
    char *text = s ? span_text(s, s->size, most, "the file") : NULL;
    *size = s ? s->size : 0;
    span_close(s);
    return text;
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcasecmp(text + length - size, end) == 0;
}

/* A folder stands for the index of safetensors in it, or for its only such file. */
static bool open_folder(struct model *m, const char *path, struct error *e)
{
    static const char *const names[] = { "model.safetensors.index.json", "model.safetensors", "pytorch_model.bin" };
    for (int i = 0; i < 3; i++) {
        size_t room = strlen(path) + 64;
        char *inside = memory_take(room);
        snprintf(inside, room, "%s/%s", path, names[i]);
        bool there = access(inside, F_OK) == 0, fine = false;
        if (there)
            fine = i == 0   ? safetensors_read_index(m, inside, e)
                   : i == 1 ? safetensors_read(m, inside, e)
                            : torch_read(m, inside, e);
        free(inside);
        if (there)
            return fine;
    }
    return error_set(e, EXIT_TROUBLE, "there is no %s, %s or %s in the folder %s; name a model file", names[0],
                     names[1], names[2], path);
}

/* What files are that people take for models. */
static bool refuse(const char *path, const uint8_t head[16], uint64_t size, struct error *e)
{
    static const struct {
        const char *magic, *what;
    } known[] = {
        { "version https:/", "is a pointer of Git LFS, not the model itself; fetch it with git lfs pull" },
        { "FUGG", "is a big-endian GGUF file; memtap reads little-endian ones" },
        { "tjgg", "is of the old GGJT format, which engines of today do not read either" },
        { "fmgg", "is of the old GGMF format, which engines of today do not read either" },
        { "lmgg", "is of the old GGML format, which engines of today do not read either" },
        { "\x80\x02",
          "is a PyTorch file from before version 1.6, which is no zip archive; save it again with torch.save" },
        { "\x89HDF", "is an HDF5 file, which memtap does not read" },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (size >= strlen(known[i].magic) && memcmp(head, known[i].magic, strlen(known[i].magic)) == 0)
            return error_set(e, EXIT_DAMAGED, "%s %s", path, known[i].what);
    if (size == 0)
        return error_set(e, EXIT_DAMAGED, "%s is empty", path);
    return error_set(
        e, EXIT_DAMAGED,
        "%s is no model file: it begins with %02x %02x %02x %02x; memtap reads GGUF, safetensors and PyTorch "
        "zip checkpoints",
        path, head[0], head[1], head[2], head[3]);
}

static bool open_file(struct model *m, const char *path, struct error *e)
{
    uint8_t head[16] = { 0 };
    struct span *s = span_open(path, e);
    if (!s)
        return false;
    uint64_t size = s->size;
    bool fine = span_bytes(s, head, size < sizeof head ? size : sizeof head, "the beginning");
    span_close(s);
    if (!fine)
        return false;
    if (ends_with(path, ".json"))
        return safetensors_read_index(m, path, e);
    if (memcmp(head, "GGUF", 4) == 0)
        return gguf_read(m, path, e);
    if (memcmp(head, "PK\3\4", 4) == 0)
        return torch_read(m, path, e);
    if (head[8] == '{' || ends_with(path, ".safetensors"))
        return safetensors_read(m, path, e);
    return refuse(path, head, size, e);
}

/* --- finishing --------------------------------------------------------------------------------------------------- */

/* The adapter's name, if the file is one: what it says of itself, else the name of the file. */
static const char *adapter_name(struct model *m)
{
    char name[200];
    const char *type = model_text(m, "general.type");
    bool adapter = type && strcmp(type, "adapter") == 0;
    for (uint32_t i = 0; i < m->tensors && !adapter; i++)
        adapter = strstr(m->tensor[i].name, "lora_") != NULL;
    if (!adapter)
        return NULL;
    snprintf(name, sizeof name, "%.190s", *m->name ? m->name : path_name(m->path));
    char *dot = strrchr(name, '.');
    if (!*m->name && dot && dot > name)
        *dot = '\0';
    for (char *p = name; *p; p++)
        if (*p == '/')
            *p = '_';
    return model_keep(m, name);
}

static void name_components(struct model *m)
{
    char text[MODEL_COMPONENT];
    const char *adapter = adapter_name(m);
    for (uint32_t i = 0; i < m->tensors; i++) {
        struct model_tensor *t = &m->tensor[i];
        const char *component = model_component(t->name, adapter, text, &t->layer);
        t->component = model_keep(m, component ? component : "weights/other");
    }
}

bool model_open(const char *path, struct model *m, struct error *e)
{
    struct stat st;
    *m = (struct model){
        .architecture = "", .name = "", .text = intern_new(), .names = intern_new(), .keys = keys_new()
    };
    m->path = model_keep(m, path);
    bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    bool fine = folder ? open_folder(m, path, e) : open_file(m, path, e);
    if (fine)
        name_components(m);
    else
        model_close(m);
    return fine;
}

void model_close(struct model *m)
{
    keys_free(m->keys);
    intern_free(m->text);
    intern_free(m->names);
    free(m->tensor);
    free(m->file);
    *m = (struct model){ .files = 0 };
}

const struct model_tensor *model_find(const struct model *m, const char *name)
{
    uint32_t number;
    return intern_find(m->names, name, &number) ? &m->tensor[number] : NULL;
}
