/* jemalloc_api.c: calls jemalloc's extended API where there is one (weak symbols), and says whether there is. */
#include <jemalloc/jemalloc.h>
#include <stdio.h>

#pragma weak mallocx
#pragma weak rallocx
#pragma weak xallocx
#pragma weak sdallocx
#pragma weak dallocx

static __attribute__((noinline)) void work(void)
{
    for (int i = 0; i < 100; i++) {
        void *block = mallocx(1000, 0);
        if (i % 2)
            block = rallocx(block, 5000, 0);
        if (i % 4 == 3)
            xallocx(block, 5100, 0, 0);
        if (i % 10 == 0)
            continue; /* ten stay */
        if (i % 3)
            dallocx(block, 0);
        else
            sdallocx(block, i % 2 ? 5000 : 1000, 0);
    }
}

int main(void)
{
    if (mallocx)
        work();
    puts(mallocx ? "jemalloc" : "no jemalloc");
    return 0;
}
