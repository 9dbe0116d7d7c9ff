/* hook_process.c: where processes and code come and go. dlopen is not wrapped: that would change whose RUNPATH counts;
 * new modules are noticed when their first address appears on a stack. */
#include "event.h"
#include "real.h"

pid_t hook_fork(void)
{
    event_fork_begin();
    pid_t pid = real()->fork();
    event_fork_end(pid);
    return pid;
}

pid_t hook__Fork(void)
{
    event_fork_begin();
    pid_t pid = real()->_Fork();
    event_fork_end(pid);
    return pid;
}

static void note_exit(int status, void *unused)
{
    (void)unused;
    event_exit(status);
}

/* exit() ends in _exit inside libc, past the hooks below: its status comes by a handler. */
static void __attribute__((constructor)) watch_exit(void)
{
    int (*on)(void (*)(int, void *), void *) = (int (*)(void (*)(int, void *), void *))real_next("on_exit");
    if (on)
        on(note_exit, NULL);
}

void hook__exit(int status)
{
    event_exit(status);
    real()->_exit(status);
    __builtin_unreachable();
}

void hook__Exit(int status)
{
    event_exit(status);
    real()->_Exit(status);
    __builtin_unreachable();
}

int hook_dlclose(void *handle)
{
    int failed = real()->dlclose(handle);
    if (!failed)
        event_unloaded();
    return failed;
}
