/* fuzz_safetensors.c: any bytes as safetensors, for libFuzzer and AFL++. The length in front is made to fit the JSON. */
#include <string.h>

#include "fuzz/model_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[1 << 20];
    if (size < 9 || size > sizeof file)
        return 0;
    memcpy(file, data, size);
    file[8] = '{';
    int depth = 0;
    for (size_t i = 8; i < size; i++) {
        depth += file[i] == '{' ? 1 : file[i] == '}' ? -1 : 0;
        uint64_t length = i - 7;
        if (depth == 0) {
            memcpy(file, &length, sizeof length);
            break;
        }
    }
    model_bytes(file, size);
    return 0;
}
