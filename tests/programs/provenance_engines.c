/*
 * provenance_engines.c: uses two copies of an engine, neither of which the other can see, and says what the tap must
 * have recorded of them.
 *
 *      provenance_engines ENGINE ENGINE         two files with provenance_engine.so
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

struct engine {
    void *handle;
    unsigned (*use)(void);
    void *(*make)(void);
    void (*drop)(void *);
    unsigned (*wrong)(void);
};

static void *find(void *handle, const char *name)
{
    void *symbol = dlsym(handle, name);
    if (symbol)
        return symbol;
    printf("failed: no %s\n", name);
    exit(1);
}

static struct engine load(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        printf("failed: %s\n", dlerror());
        exit(1);
    }
    return (struct engine){ handle, (unsigned (*)(void))find(handle, "engine_use"),
                            (void *(*)(void))find(handle, "engine_make"), (void (*)(void *))find(handle, "engine_drop"),
                            (unsigned (*)(void))find(handle, "engine_wrong") };
}

/* Without an engine, whoever finds the tap's functions can call them. */
static void ask_for_what_is_not_there(void)
{
    static const char *const names[] = { "ggml_backend_buft_alloc_buffer", "ggml_backend_tensor_alloc", "llama_free" };
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        void *(*f)(void *, size_t, void *) = (void *(*)(void *, size_t, void *))dlsym(RTLD_DEFAULT, names[i]);
        if (f)
            f(NULL, 0, NULL);
    }
}

static int wrong_calls(const struct engine *e, const char *name)
{
    unsigned wrong = e->wrong();
    if (wrong)
        printf("failed: %u wrong calls in engine %s\n", wrong, name);
    return wrong != 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    ask_for_what_is_not_there();
    struct engine a = load(argv[1]), b = load(argv[2]);
    for (int i = 0; i < 3; i++) {
        a.use();
        b.use();
    }
    void *of_b = b.make(), *of_a = a.make();
    b.drop(of_b);
    a.drop(of_a);
    int failed = wrong_calls(&a, "A") + wrong_calls(&b, "B");
    for (int i = 0; i < 3; i++) {
        dlclose(a.handle);
        dlclose(b.handle);
        a = load(argv[i % 2 ? 1 : 2]); /* the other copy, where the first one was */
        b = load(argv[i % 2 ? 2 : 1]);
        a.use();
        b.use();
        failed += wrong_calls(&a, "A") + wrong_calls(&b, "B");
    }
    return failed;
}
