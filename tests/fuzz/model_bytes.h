/* model_bytes.h: any bytes as a model file, for the fuzz targets of the formats. */
#ifndef FUZZ_MODEL_BYTES_H
#define FUZZ_MODEL_BYTES_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/model.h"
#include "model/need.h"

/* Opens it, looks at every tensor and key, and sizes the cache; must neither crash, nor hang, nor take much memory. */
static inline void model_bytes(const void *data, size_t size)
{
    char path[64];
    struct model m;
    struct error e = { .code = 0 };
    struct need need;
    struct need_options o = { .parallel = 3, .batch = 512 };
    uint64_t n, sum = 0;
    double real;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    o.keys = model_type_named("F16");
    o.values = model_type_named("Q8_0");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd >= 0 && write(fd, data, size) == (ssize_t)size && model_open(path, &m, &e)) {
        for (uint32_t i = 0; i < m.tensors; i++) {
            const struct model_tensor *t = &m.tensor[i];
            if (t->offset > m.file[t->file].size || t->bytes > m.file[t->file].size - t->offset ||
                model_find(&m, t->name) != t || !t->component || !t->type.name)
                abort();
        }
        for (uint32_t i = 0; i < model_key_count(&m); i++) {
            const char *key = model_key(&m, i);
            sum += model_u64(&m, key, 0, &n) + model_f64(&m, key, 1, &real) + (model_text(&m, key) != NULL);
            free(model_text_at(&m, key, 1));
        }
        need_compute(&m, sum % 2 ? &m : NULL, &o, &need);
        need_free(&need);
        model_close(&m);
    } else if (fd >= 0 && e.code != EXIT_DAMAGED && e.code != EXIT_TROUBLE) {
        abort();
    }
    if (fd >= 0)
        close(fd);
}

#endif
