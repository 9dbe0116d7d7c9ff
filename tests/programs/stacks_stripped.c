/* stacks_stripped.c: calls the exported functions of tests/libraries/stripped.c: stacks_stripped LIBRARY */
#include <dlfcn.h>
#include <stddef.h>

static void call(void *library, const char *name, size_t size)
{
    void (*function)(size_t);
    *(void **)&function = dlsym(library, name);
    function(size);
}

int main(int argc, char **argv)
{
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library)
        return 2;
    call(library, "first_exported", 70001);
    call(library, "second_exported", 70002);
    call(library, "third_exported", 70003);
    return 0;
}
