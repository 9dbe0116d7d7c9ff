/* launch.c: see launch.h. */
#include "process/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

/* --- where the tap is -------------------------------------------------------------------------------------------- */

bool launch_find_tap(const char *name, char *path, struct error *e)
{
    static const char *const places[] = { "", "../lib/memtap/", "../" };
    char self[PATH_MAX], candidate[PATH_MAX + 64];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *given = getenv("MEMTAP_LIBRARY");
    if (given && strcmp(name, "libmemtap.so") == 0 && realpath(given, path))
        return true;
    self[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash)
        slash[1] = '\0';
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(candidate, sizeof candidate, "%s%s%s", self, places[i], name);
        if (realpath(candidate, path))
            return true;
    }
    return error_set(e, EXIT_RUN_FAILED,
                     "cannot find %s beside memtap (%s) or in ../lib/memtap; "
                     "set MEMTAP_LIBRARY to its path",
                     name, self);
}

/* --- signals ----------------------------------------------------------------------------------------------------- */

/*
 * Signals to this process are held from before the program is started until it has ended, and read one by one. A
 * terminal sends its own to the program as well; the others are for us alone, and are passed on.
 */
static const int passed_on[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
static const int from_terminal[] = { SIGINT, SIGQUIT };
static sigset_t held, before;

static void hold_signals(void)
{
    sigemptyset(&held);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaddset(&held, passed_on[i]);
    for (size_t i = 0; i < sizeof from_terminal / sizeof *from_terminal; i++)
        sigaddset(&held, from_terminal[i]);
    sigprocmask(SIG_BLOCK, &held, &before);
}

static void release_signals(void)
{
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void pass_signals_on(int signals, pid_t pid)
{
    for (struct signalfd_siginfo i; read(signals, &i, sizeof i) == sizeof i;)
        for (size_t k = 0; k < sizeof passed_on / sizeof *passed_on; k++)
            if (i.ssi_signo == (uint32_t)passed_on[k])
                kill(pid, passed_on[k]);
}

/* --- starting ---------------------------------------------------------------------------------------------------- */

/* Appends to a list of libraries for LD_PRELOAD. */
static void add_library(char *list, size_t size, const char *path)
{
    size_t used = strlen(list);
    if (path && *path)
        snprintf(list + used, size - used, "%s%s", used ? ":" : "", path);
}

/* The tap comes first: a library before it would keep its calls to itself. What was to be preloaded anyway stays. */
static bool set_preload(const struct launch *l, struct error *e)
{
    char list[4 * PATH_MAX] = "", tap[PATH_MAX], second[PATH_MAX];
    if (!launch_find_tap("libmemtap.so", tap, e))
        return false;
    add_library(list, sizeof list, tap);
    if (l->with_jemalloc_api) {
        if (!launch_find_tap("libmemtap-je.so", second, e))
            return false;
        add_library(list, sizeof list, second);
    }
    add_library(list, sizeof list, getenv("LD_PRELOAD"));
    add_library(list, sizeof list, l->allocator);
    return setenv("LD_PRELOAD", list, 1) == 0;
}

/* MEMTAP_OUTPUT takes placeholders; a path is meant literally. */
static void set_output(const char *session)
{
    char *escaped = memory_take(2 * strlen(session) + 1), *p = escaped;
    for (; *session; session++) {
        if (*session == '%')
            *p++ = '%';
        *p++ = *session;
    }
    setenv("MEMTAP_OUTPUT", escaped, 1);
    free(escaped);
}

/* 0: as it is. */
static void set_size(const char *name, uint64_t bytes)
{
    char text[32];
    if (!bytes)
        return;
    snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
    setenv(name, text, 1);
}

static bool set_environment(const struct launch *l, struct error *e)
{
    set_output(l->session);
    set_size("MEMTAP_LIMIT", l->limit);
    set_size("MEMTAP_SAMPLE", l->sample);
    if (l->only_first)
        setenv("MEMTAP_FOLLOW", "0", 1);
    return set_preload(l, e);
}

static bool start_failed(const struct launch *l, int error, struct error *e)
{
    int code = error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
    return error_set(e, code, "cannot run %s: %s", l->argv[0], strerror(error));
}

pid_t launch_start(const struct launch *l, struct error *e)
{
    int report[2], failure = 0;
    if (pipe2(report, O_CLOEXEC) < 0)
        return error_set(e, EXIT_RUN_FAILED, "cannot make a pipe: %s", strerror(errno)), -1;
    fflush(NULL);
    hold_signals();
    pid_t pid = fork();
    if (pid == 0) {
        struct error unset = { .code = 0 };
        release_signals();
        if (set_environment(l, &unset)) {
            execvp(l->argv[0], l->argv);
            failure = errno;
        } else {
            fprintf(stderr, "memtap: %s\n", unset.text);
            failure = -1;
        }
        if (write(report[1], &failure, sizeof failure) < 0)
            failure = 0; /* nobody listens any more */
        _exit(EXIT_RUN_FAILED);
    }
    close(report[1]);
    if (pid < 0) {
        release_signals();
        error_set(e, EXIT_RUN_FAILED, "cannot make a process: %s", strerror(errno));
    }
    ssize_t told = pid < 0 ? 0 : read(report[0], &failure, sizeof failure);
    close(report[0]);
    if (told <= 0)
        return pid;
    waitpid(pid, NULL, 0);
    release_signals();
    if (failure < 0)
        error_set(e, EXIT_RUN_FAILED, "the program was not started");
    else
        start_failed(l, failure, e);
    return -1;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

int launch_wait(pid_t pid, unsigned (*idle)(void *context), void *context)
{
    int status = 0, pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int signals = signalfd(-1, &held, SFD_NONBLOCK | SFD_CLOEXEC);
    struct pollfd news[] = { { .fd = pidfd, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
    signal(SIGXFSZ, SIG_IGN); /* a trace that may not grow any more is a failed write, not our end */
    while (waitpid(pid, &status, WNOHANG) == 0) {
        poll(news, sizeof news / sizeof *news, (int)idle(context));
        pass_signals_on(signals, pid);
    }
    close(pidfd);
    close(signals);
    release_signals();
    return status;
}
