/* fuzz_gguf.c: any bytes behind the magic number of GGUF, for libFuzzer and AFL++. */
#include <string.h>

#include "fuzz/model_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[1 << 20];
    if (size < 8 || size > sizeof file)
        return 0;
    memcpy(file, data, size);
    memcpy(file, "GGUF", 4);
    if (file[4] > 3)
        file[4] &= 3; /* the versions there are */
    memset(file + 5, 0, 3);
    model_bytes(file, size);
    return 0;
}
