/* files.c: see files.h. */
#include "files.h"

#include <errno.h>

#define MODELS 256u
#define LEAST_SIZE 1024u /* of a model file */
#define HEAD 128u
#define BLOCK 4096u /* of a disk, at most */

struct model_file {
    struct sys_file file;
    bool ready;
    char path[512];
};

uint16_t files_known[FILES_DESCRIPTORS];

static struct {
    struct model_file file[MODELS];
    uint32_t count; /* places given out, which may be more than there are */
} models;

/* --- what is a model --------------------------------------------------------------------------------------------- */

static uint64_t little_endian(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | p[bytes];
    return value;
}

/* The length of a JSON text, and the text (huggingface.co/docs/safetensors): it may be up to 100 MB long. */
static bool is_safetensors(const uint8_t *head, uint64_t size)
{
    uint64_t length = little_endian(head, 8);
    return head[8] == '{' && length < 100000000 && length <= size - 8;
}

static bool ends_with(const char *s, const char *end)
{
    size_t size = sys_strlen(s), end_size = sys_strlen(end);
    return size >= end_size && sys_equal(s + size - end_size, end);
}

/* A zip by its first local header (APPNOTE 4.3.7), with a first member as torch.save names it, or a name for models. */
static bool is_torch(const uint8_t *head, const char *path)
{
    static const char *const endings[] = { ".pt", ".pth", ".bin", ".ckpt" };
    if (__builtin_memcmp(head, "PK\3\4", 4) != 0)
        return false;
    for (unsigned i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(path, endings[i]))
            return true;
    uint64_t name_size = little_endian(head + 26, 2);
    for (uint64_t at = 30; at + 8 <= HEAD && at + 8 <= 30 + name_size; at++)
        if (__builtin_memcmp(head + at, "archive/", 8) == 0 || __builtin_memcmp(head + at, "data.pkl", 8) == 0)
            return true;
    return false;
}

static bool read_head(int fd, uint8_t *head)
{
    long got = sys_pread(fd, head, HEAD, 0);
    if (got != -EINVAL)
        return got == HEAD;
    uint8_t *block = sys_map(BLOCK); /* opened with O_DIRECT: whole blocks, to addresses of whole blocks */
    if (!block)
        return false;
    got = sys_pread(fd, block, BLOCK, 0);
    __builtin_memcpy(head, block, HEAD);
    sys_unmap(block, BLOCK);
    return got >= (long)HEAD;
}

static bool is_model(const uint8_t *head, const struct sys_file *file, const char *path)
{
    return __builtin_memcmp(head, "GGUF", 4) == 0 || is_safetensors(head, file->size) || is_torch(head, path);
}

/* Cheaper than to find out a file's path, and nearly always enough. */
static bool may_be_model(const uint8_t *head, const struct sys_file *file)
{
    return is_model(head, file, ".pt");
}

/* --- the table --------------------------------------------------------------------------------------------------- */

/* The same number of bytes as well: a new file may get the number of one that was deleted. */
static bool is_same(const struct sys_file *a, const struct sys_file *b)
{
    return a->inode == b->inode && a->device == b->device && a->size == b->size;
}

/* The place of a file that is known to be a model; MODELS if it is not known. */
static uint32_t find_model(const struct sys_file *file)
{
    uint32_t count = __atomic_load_n(&models.count, __ATOMIC_ACQUIRE), i = 0;
    for (; i < count && i < MODELS; i++)
        if (__atomic_load_n(&models.file[i].ready, __ATOMIC_ACQUIRE) && is_same(&models.file[i].file, file))
            return i;
    return MODELS;
}

static void path_of(int fd, char *path, size_t size)
{
    char link[32];
    struct text t = TEXT_ON(link);
    text_add(&t, "/proc/self/fd/");
    text_add_number(&t, (uint64_t)fd);
    if (sys_read_link(link, path, size) <= 0)
        text_add(&(struct text){ path, size, 0, false }, "(unknown)"); /* no /proc */
}

/* MODELS if the file is no model, or there is no place for it. Two threads may add the same file twice: no harm. */
static uint32_t add_model(int fd, const struct sys_file *file)
{
    char path[sizeof models.file->path];
    uint8_t head[HEAD];
    if (!file->regular || file->size < LEAST_SIZE || __atomic_load_n(&models.count, __ATOMIC_RELAXED) >= MODELS ||
        !read_head(fd, head) || !may_be_model(head, file))
        return MODELS;
    path_of(fd, path, sizeof path);
    if (!is_model(head, file, path))
        return MODELS;
    uint32_t i = __atomic_fetch_add(&models.count, 1, __ATOMIC_ACQ_REL);
    if (i >= MODELS)
        return MODELS;
    models.file[i].file = *file;
    __builtin_memcpy(models.file[i].path, path, sizeof path);
    __atomic_store_n(&models.file[i].ready, true, __ATOMIC_RELEASE);
    return i;
}

const char *files_model(int fd)
{
    struct sys_file file;
    if (!files_may_be_model(fd) || !sys_identify(fd, &file))
        return NULL;
    uint16_t known = __atomic_load_n(&files_known[fd], __ATOMIC_RELAXED);
    uint32_t i = known >= FILES_FIRST ? known - (uint32_t)FILES_FIRST : MODELS;
    if (i < MODELS && is_same(&models.file[i].file, &file))
        return models.file[i].path;
    i = find_model(&file);
    if (i == MODELS)
        i = add_model(fd, &file);
    __atomic_store_n(&files_known[fd], i < MODELS ? (uint16_t)(FILES_FIRST + i) : (uint16_t)FILES_OTHER,
                     __ATOMIC_RELAXED);
    return i < MODELS ? models.file[i].path : NULL;
}
