/* latency_module.so.c: a shared object that allocates; latency.c loads many copies of it. */
#include <stdlib.h>

void *module_allocate(size_t size)
{
    void *block = malloc(size);
    __asm__ volatile("" : : "r"(block) : "memory"); /* a call, not a jump: its frame is in the stack */
    return block;
}
