/*
 * lazy.c: a function that exists in several versions, as in libraries with code for several processors. The loader
 * calls lazy_choose when lazy_chosen is called for the first time.
 */
static void (*callback)(void);

static void chosen(void)
{
}

static void (*lazy_choose(void))(void)
{
    if (callback)
        callback();
    return chosen;
}

void lazy_chosen(void) __attribute__((ifunc("lazy_choose")));

void lazy_call(void (*call)(void))
{
    callback = call;
    lazy_chosen();
    __asm__ volatile("" ::: "memory");
    call();
    __asm__ volatile("" ::: "memory");
}
