/*
 * hooks.c: what a call costs that the tap looks at although it allocates nothing: of an engine, and of files.
 *
 *   hooks CALLS FILE       FILE has 1 MiB or more
 *
 * Prints lines of a name and nanoseconds per call.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

static long calls;
static int file;
static char bytes[1 << 20];
static struct ggml_tensor tensor = { 1, "blk.17.ffn_down.weight" };

static void place_weights(long i)
{
    ggml_backend_tensor_alloc(engine_buffer(0), &tensor, bytes + i % 4096 * 64);
}

static void place_intermediate(long i)
{
    ggml_backend_tensor_alloc(engine_buffer(1), &tensor, bytes + i % 4096 * 64);
}

static void compute(long i)
{
    ggml_backend_graph_compute((struct ggml_backend *)&tensor, bytes + i % 64);
}

static void read_some(long i)
{
    if (pread(file, bytes, 4096, i % 200 * 4096) != 4096)
        abort();
}

static void read_much(long i)
{
    (void)i;
    if (pread(file, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        abort();
}

static void read_and_close(long i)
{
    int other = open("/proc/self/stat", O_RDONLY);
    if (read(other, bytes, 1) != 1 || close(other) != 0)
        abort();
    (void)i;
}

static void measure(const char *name, void (*function)(long), long times)
{
    struct timespec from, to;
    for (long i = 0; i < times / 10; i++)
        function(i);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (long i = 0; i < times; i++)
        function(i);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double taken = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
    printf("%s %.1f\n", name, taken / (double)times);
}

int main(int argc, char **argv)
{
    calls = argc == 3 ? atol(argv[1]) : 0;
    file = argc == 3 ? open(argv[2], O_RDONLY) : -1;
    if (calls < 1000 || file < 0) {
        fprintf(stderr, "usage: hooks CALLS FILE\n");
        return 2;
    }
    measure("tensor_alloc_weights", place_weights, calls);
    measure("tensor_alloc_compute", place_intermediate, calls);
    measure("graph_compute", compute, calls);
    measure("pread_4k", read_some, calls);
    measure("pread_1m", read_much, calls / 100);
    measure("open_read_close", read_and_close, calls / 10);
    return 0;
}
