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
