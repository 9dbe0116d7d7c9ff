/* Holds more and more, a step larger each time, until it gets no more: what memtap report --at oom tells of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

int main(void)
{
    const struct rlimit limit = { 400u << 20, 400u << 20 };
    if (setrlimit(RLIMIT_AS, &limit))
        return 1;
    for (size_t step = 1; step < 100; step++) {
        char *held = malloc(step << 20);
        if (!held) {
            printf("%zu MiB more is too much\n", step);
            return 0;
        }
        memset(held, 1, 4096);
    }
    return 1;
}
