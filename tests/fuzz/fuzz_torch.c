/* fuzz_torch.c: any bytes as a PyTorch checkpoint, for libFuzzer and AFL++; if the first byte is odd, as its pickle. */
#include <string.h>

#include "fuzz/model_bytes.h"
#include "model/inside.h"

static bool look(void *context, const struct pickle_tensor *t)
{
    uint64_t *sum = context;
    *sum += strlen(t->name) + strlen(t->storage) + strlen(t->type) + t->first + t->dim[MODEL_DIMS - 1];
    return t->dims <= MODEL_DIMS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[1 << 20];
    char why[200];
    uint64_t sum = 0;
    if (size < 5 || size > sizeof file)
        return 0;
    memcpy(file, data + 1, size - 1);
    if (data[0] % 2) {
        if (!pickle_read(file, size - 1, look, &sum, why) && !*why)
            abort();
        return 0;
    }
    memcpy(file, "PK\3\4", 4);
    model_bytes(file, size - 1);
    return 0;
}
