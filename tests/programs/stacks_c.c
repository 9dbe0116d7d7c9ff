/*
 * stacks_c.c: takes its own stack before each allocation, in all the situations in which walking a stack is hard.
 *
 *   stacks_c FILE LIBRARY OTHER LAZY    two builds of tests/libraries/reopened.c, and lazy.c
 *
 * Each case is a function of its own; FILE says which stacks belong to which. See own_stack.h.
 */
#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdalign.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "own_stack.h"

static volatile int zero;

/* --- plain frames ------------------------------------------------------------------------------------------------ */

static FRAME int nested_3(int n)
{
    char local[200];
    memset(local, n, sizeof local);
    innermost();
    return local[n & 127];
}

static FRAME int nested_2(int n)
{
    int sum = nested_3(n) + nested_3(n + 1);
    innermost();
    return sum;
}

static FRAME void nested(void)
{
    zero = nested_2(1) * 0;
    AFTER_CALL;
}

static FRAME int recursion(int depth)
{
    volatile char local[32];
    local[depth % 32] = (char)depth;
    if (depth % 10 == 0)
        innermost();
    int sum = depth > 0 ? recursion(depth - 1) : 0;
    if (depth % 25 == 0)
        innermost();
    return sum + local[depth % 32];
}

static FRAME void recursion_to_200(void)
{
    recursion(200);
    AFTER_CALL;
}

static FRAME void large_frame(int n)
{
    volatile char local[70000];
    local[n] = 1;
    innermost();
    zero = local[n] * 0;
}

static FRAME void with_alloca(int n)
{
    char *local = alloca((size_t)n);
    memset(local, n, (size_t)n);
    OWN_ALLOC();
    innermost();
    AFTER_CALL;
}

static FRAME int with_array(int n)
{
    int array[n];
    for (int i = 0; i < n; i++)
        array[i] = i;
    OWN_ALLOC();
    if (n > 8)
        with_array(n / 2);
    innermost();
    return array[n / 2];
}

static FRAME void variable_frames(void)
{
    for (int n = 1; n < 5000; n = n * 3 + 1)
        with_alloca(n);
    with_array(300);
    large_frame(zero);
    AFTER_CALL;
}

/* --- with and without frame pointers ----------------------------------------------------------------------------- */

static int mixed_without(int n);

static FRAME __attribute__((optimize("no-omit-frame-pointer"))) int mixed_with(int n)
{
    innermost();
    int sum = n > 0 ? (n % 3 ? mixed_with(n - 1) : mixed_without(n - 1)) : 0;
    innermost();
    return sum + n;
}

/* Uses the frame pointer as a register like any other. */
static FRAME __attribute__((optimize("omit-frame-pointer"))) int mixed_without(int n)
{
    int a = n * 3, b = n * 5, c = n * 7, d = n * 11, e = n * 13, f = n * 17;
    innermost();
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
    int sum = n > 0 ? (n % 2 ? mixed_with(n - 1) : mixed_without(n - 1)) : 0;
    return sum + a + b + c + d + e + f;
}

static FRAME void frame_pointers(void)
{
    zero = (mixed_with(12) + mixed_without(12)) * 0;
    AFTER_CALL;
}

/* --- tail calls -------------------------------------------------------------------------------------------------- */

/* Jumps to malloc: the caller's caller is what the stack shows. */
static FRAME void *jumps_to_malloc(size_t size)
{
    return malloc(size);
}

static FRAME void *jumps_on(size_t size, int depth)
{
    if (depth == 0)
        return jumps_to_malloc(size);
    return jumps_on(size + 0 * (size_t)depth, depth - 1);
}

static FRAME void *jump_to_frames(int n)
{
    innermost();
    return jumps_on(OWN_STACK("gone"), n);
}

static FRAME void tail_calls(void)
{
    free(jumps_to_malloc(OWN_STACK("")));
    free(jumps_on(OWN_STACK(""), 5));
    void *(*jump)(size_t) = zero ? NULL : jumps_to_malloc;
    free(jump(OWN_STACK("")));
}

/* A call that never returns is the last instruction: the return address belongs to the next function. */
static jmp_buf way_out;

static FRAME __attribute__((noreturn)) void leaves(int value)
{
    innermost();
    longjmp(way_out, value);
}

static FRAME __attribute__((noreturn)) void ends_in_a_call(int value)
{
    leaves(value + 1);
}

static FRAME void non_local_exits(void)
{
    for (volatile int i = 0; i < 4; i++) {
        if (setjmp(way_out) == 0)
            ends_in_a_call(i);
        innermost();
        AFTER_CALL;
    }
    nested();
    AFTER_CALL;
}

/* --- callbacks --------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    innermost();
    return *(const int *)a - *(const int *)b;
}

static FRAME void callbacks(void)
{
    int number[] = { 5, 3, 9, 1, 7, 2 }, key = 7;
    qsort(number, sizeof number / sizeof *number, sizeof *number, compare);
    zero = bsearch(&key, number, sizeof number / sizeof *number, sizeof *number, compare) == NULL;
    AFTER_CALL;
}

static FRAME void in_libraries(void)
{
    static char text[1 << 20];
    memset(text, 'x', OWN_STACK("libc.so.6") - 1);
    void *volatile block = strdup(text);
    free(block);
    block = aligned_alloc(16, OWN_STACK(""));
    free(block);
    block = reallocarray(NULL, OWN_STACK(""), 1);
    block = realloc(block, OWN_STACK(""));
    free(block);
    block = calloc(1, OWN_STACK(""));
    free(block);
}

/* --- code without tables ----------------------------------------------------------------------------------------- */

void blind_frame(void (*)(void)); /* keeps the frame pointer */
void blind_call(void (*)(void));  /* does not: nothing says where its frame ends */

#define SIZED(name) ".type " name ", @function\n .size " name ", .-" name "\n .zero 16\n"

__asm__(".text\n"
        "blind_frame: push %rbp\n mov %rsp, %rbp\n call *%rdi\n pop %rbp\n ret\n" SIZED(
            "blind_frame") "blind_call: sub $24, %rsp\n call *%rdi\n add $24, %rsp\n ret\n" SIZED("blind_call"));

static FRAME void calls_blind(void (*function)(void (*)(void)))
{
    innermost();
    function(innermost);
    AFTER_CALL;
}

static FRAME void frame_without_tables(void)
{
    calls_blind(blind_frame);
    AFTER_CALL;
}

/* The frame pointer that blind_call leaves alone is that of this function. */
static FRAME __attribute__((optimize("no-omit-frame-pointer"))) void call_without_tables(void)
{
    calls_blind(blind_call);
    AFTER_CALL;
}

/* --- realigned stacks -------------------------------------------------------------------------------------------- */

static FRAME __attribute__((force_align_arg_pointer)) int realigned(int n)
{
    alignas(64) volatile char local[64];
    local[n % 64] = 1;
    innermost();
    return local[n % 64];
}

/* Arguments on the stack and a variable frame: the frame is found through a saved pointer to the arguments. */
static FRAME int realigned_array(int n, int a, int b, int c, int d, int e, int f, int g)
{
    alignas(64) volatile char local[64];
    volatile char array[n + 1];
    local[n % 64] = (char)(a + b + c + d + e + f + g);
    array[n] = 1;
    OWN_ALLOC();
    innermost();
    if (n > 4)
        realigned_array(n / 2, a, b, c, d, e, f, g);
    return local[n % 64] + array[n];
}

static FRAME __attribute__((target("avx2"))) int realigned_wide(int n)
{
    typedef float wide __attribute__((vector_size(32)));
    alignas(64) volatile wide local[2];
    local[n & 1] = (wide){ (float)n };
    innermost();
    return (int)local[n & 1][0];
}

static FRAME void realignment(void)
{
    zero = (realigned(3) + realigned_array(40, 1, 2, 3, 4, 5, 6, 7)) * 0;
    if (__builtin_cpu_supports("avx2"))
        zero = realigned_wide(1) * 0;
    nested();
    AFTER_CALL;
}

/* --- stacks of one's own ----------------------------------------------------------------------------------------- */

static ucontext_t outside, coroutine[2];

static void coroutine_body(int number)
{
    for (int i = 0; i < 3; i++) {
        recursion(number * 20);
        swapcontext(&coroutine[number], &outside);
        innermost();
    }
    swapcontext(&coroutine[number], &outside);
}

static FRAME void coroutines(void)
{
    const size_t size = 1 << 18;
    for (int i = 0; i < 2; i++) {
        getcontext(&coroutine[i]);
        coroutine[i].uc_stack.ss_sp = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        coroutine[i].uc_stack.ss_size = size;
        makecontext(&coroutine[i], (void (*)(void))coroutine_body, 1, i);
    }
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < 2; i++) {
            swapcontext(&outside, &coroutine[i]);
            innermost();
        }
    AFTER_CALL;
}

static void *thread_body(void *argument)
{
    recursion(10 * (int)(intptr_t)argument);
    innermost();
    AFTER_CALL;
    return NULL;
}

static FRAME void threads(void)
{
    pthread_t thread[3];
    for (intptr_t i = 0; i < 3; i++) /* one after another: the later ones take over the stack of the first */
        if (pthread_create(&thread[i], NULL, thread_body, (void *)i) == 0)
            pthread_join(thread[i], NULL);
    for (intptr_t i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, thread_body, (void *)i);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
}

/* --- libraries that come and go ---------------------------------------------------------------------------------- */

/* Calls innermost through the frames of a library and returns where it was loaded. */
static FRAME uintptr_t call_library(const char *path, void **handle)
{
    *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!*handle)
        _exit(4);
    void (*call)(void (*)(void), int);
    *(void **)&call = dlsym(*handle, "reopened_call");
    call(innermost, 3);
    struct link_map *map = *handle;
    return map->l_addr;
}

static FRAME void reopened(const char *library, const char *other)
{
    void *handle;
    own_case("dlopen");
    uintptr_t first = call_library(library, &handle);
    dlclose(handle);
    own_case("another-library-at-its-address");
    uintptr_t second = call_library(other, &handle);
    dlclose(handle);
    own_case("opened-again");
    uintptr_t third = call_library(library, &handle);
    dlclose(handle);
    own_case("opened-elsewhere");
    void *blocked = mmap((void *)third, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    uintptr_t fourth = call_library(library, &handle);
    dprintf(own.fd, "addresses %lx %lx %lx %lx %d\n", first, second, third, fourth, blocked != MAP_FAILED);
    innermost();
    AFTER_CALL;
}

/* The loader asks a function of the library which of several to use: its frames lie below the loader's. */
static FRAME void lazy_binding(const char *library)
{
    void *handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
    if (!handle)
        _exit(4);
    void (*call)(void (*)(void));
    *(void **)&call = dlsym(handle, "lazy_call");
    own_case("lazy-binding");
    call(innermost);
    AFTER_CALL;
}

static void at_exit(void)
{
    own_case("atexit");
    innermost();
    AFTER_CALL;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        { "nested", nested },
        { "recursion", recursion_to_200 },
        { "variable-frames", variable_frames },
        { "frame-pointers", frame_pointers },
        { "tail-calls", tail_calls },
        { "non-local-exits", non_local_exits },
        { "callbacks", callbacks },
        { "in-libraries", in_libraries },
        { "realigned", realignment },
        { "frame-without-tables", frame_without_tables },
        { "call-without-tables", call_without_tables },
        { "coroutines", coroutines },
        { "threads", threads },
    };
    if (argc != 5)
        return 2;
    own_open(argv[1], 0);
    atexit(at_exit);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        own_case(cases[i].name);
        cases[i].run();
    }
    own_case("tail-call-behind-frames");
    free(jump_to_frames(2));
    reopened(argv[2], argv[3]);
    lazy_binding(argv[4]);
    return 0;
}
