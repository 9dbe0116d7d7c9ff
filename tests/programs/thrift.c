/*
 * thrift.c: what goes on for long in the same way.
 *
 *   thrift stacks    3 million mallocs and frees from 64 stacks by turns, equally deep and with equal frames
 *   thrift resize    a million reallocs, with hardly a malloc or free between them
 *   thrift live N    N blocks that are never freed
 */
#include <stdlib.h>
#include <string.h>

#define FRAME __attribute__((noinline, noclone))
#define KEEP(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

static FRAME void allocate(void)
{
    for (int i = 0; i < 16; i++) {
        void *block = malloc(64);
        KEEP(block);
        free(block);
    }
}

static FRAME void left(unsigned frames, unsigned way);
static FRAME void right(unsigned frames, unsigned way);

static inline __attribute__((always_inline)) void descend(unsigned frames, unsigned way)
{
    if (frames == 0)
        allocate();
    else if (way & 1)
        left(frames - 1, way >> 1);
    else
        right(frames - 1, way >> 1);
    KEEP(NULL);
}

static FRAME void left(unsigned frames, unsigned way)
{
    descend(frames, way);
}

static FRAME void right(unsigned frames, unsigned way)
{
    descend(frames, way);
}

static void resize(void)
{
    char *block = NULL;
    for (size_t i = 0; i < 1000000; i++)
        block = realloc(block, 16 + i % 64 * 16);
    free(block);
}

static void keep(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        KEEP(malloc(16 + i % 64));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "resize") == 0)
        resize();
    else if (argc > 2 && strcmp(argv[1], "live") == 0)
        keep((unsigned)atoi(argv[2]));
    else
        for (unsigned i = 0; i < 3000000 / 16; i++)
            descend(6, i % 64);
    return 0;
}
