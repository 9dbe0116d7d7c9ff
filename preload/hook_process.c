/* hook_process.c: where processes and code come and go. dlopen is not wrapped: that would change whose RUNPATH counts;
 * new modules are noticed when their first address appears on a stack. */
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "event.h"
#include "hook_engine_real.h"
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

/* Programs sandbox themselves by prctl, or by the seccomp system call, which has no function of its own in libc. */
int hook_prctl(int option, ...)
{
    va_list more;
    va_start(more, option);
    unsigned long a = va_arg(more, unsigned long), b = va_arg(more, unsigned long), c = va_arg(more, unsigned long),
                  d = va_arg(more, unsigned long);
    va_end(more);
    if (option == PR_SET_SECCOMP)
        event_sandbox_begin();
    int result = real()->prctl(option, a, b, c, d);
    if (option == PR_SET_SECCOMP)
        event_sandbox_end(result == 0);
    return result;
}

long hook_syscall(long number, ...)
{
    va_list more;
    long a[6];
    va_start(more, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(more, long);
    va_end(more);
    bool sandboxes = number == SYS_seccomp && (a[0] == SECCOMP_SET_MODE_STRICT || a[0] == SECCOMP_SET_MODE_FILTER);
    if (sandboxes)
        event_sandbox_begin();
    long result = real()->syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (sandboxes)
        event_sandbox_end(result == 0);
    return result;
}

int hook_dlclose(void *handle)
{
    int failed = real()->dlclose(handle);
    if (!failed) {
        engine_forget();
        event_unloaded();
    }
    return failed;
}
