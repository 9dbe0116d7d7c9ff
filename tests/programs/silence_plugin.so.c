/* silence_plugin.so.c: the library that silence_storm loads and unloads. */
#include <stdlib.h>
#include <string.h>

static char *loaded;
static __thread char *mine;

static void __attribute__((constructor)) begin(void)
{
    loaded = malloc(300);
    memset(loaded, 1, 300);
}

static void __attribute__((destructor)) finish(void)
{
    free(loaded);
}

int storm_work(int n)
{
    int sum = 0;
    mine = malloc(64);
    for (int i = 0; i < 3; i++) {
        char *p = calloc(1, 40 + (size_t)i);
        sum += n + p[39];
        free(p);
    }
    free(mine);
    mine = NULL;
    return sum;
}
