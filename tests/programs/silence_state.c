/*
 * silence_state.c: prints everything about its process that a guest inside it could have changed.
 *
 *      silence_state [FILE]      to stdout, or to a file if stdout may be closed
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOW 100 /* what a guest needs, it keeps at or above this number */

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */
extern char **environ;
static FILE *out;

static void print_descriptors(void)
{
    for (int fd = 0; fd < LOW; fd++) {
        struct stat s;
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || fd == fileno(out) || fstat(fd, &s) != 0)
            continue;
        fprintf(out, "descriptor %d: flags %d, status %#x, type %#o\n", fd, flags, fcntl(fd, F_GETFL),
                s.st_mode & S_IFMT);
    }
    /* High ones must at least not outlive an exec. */
    for (int fd = LOW; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) == 0)
            fprintf(out, "descriptor %d stays open over exec\n", fd);
}

static void print_status(void)
{
    static const char *const wanted[] = { "Sig",    "Shd",    "Threads:",     "NoNewPrivs:", "Seccomp",
                                          "Umask:", "Cap",    "Uid:",         "Gid:",        "Groups:",
                                          "VmLck:", "VmPin:", "THP_enabled:", "CoreDumping:" };
    char line[512];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (strncmp(line, wanted[i], strlen(wanted[i])) == 0)
                fputs(line, out);
    if (status)
        fclose(status);
}

static void print_tasks(void)
{
    int tasks = 0;
    DIR *d = opendir("/proc/self/task");
    while (d && readdir(d))
        tasks++;
    if (d)
        closedir(d);
    fprintf(out, "tasks %d, any child %d\n", tasks - 2, waitpid(-1, NULL, WNOHANG) == 0 || errno != ECHILD);
}

static void print_signals(void)
{
    stack_t stack;
    struct itimerval timer;
    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            fprintf(out, "signal %d: %s, flags %#x\n", number, action.sa_handler == SIG_IGN ? "ignored" : "handled",
                    action.sa_flags);
    }
    sigaltstack(NULL, &stack);
    fprintf(out, "alternate stack: flags %d, size %zu\n", stack.ss_flags, stack.ss_size);
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
        getitimer(which, &timer);
        fprintf(out, "timer %d: %ld.%06ld\n", which, (long)timer.it_value.tv_sec, (long)timer.it_value.tv_usec);
    }
}

static void print_limits(void)
{
    for (int what = 0; what < (int)RLIMIT_NLIMITS; what++) {
        struct rlimit limit;
        if (getrlimit(what, &limit) == 0)
            fprintf(out, "limit %d: %lu %lu\n", what, (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
    }
}

static void print_process(void)
{
    char here[PATH_MAX], name[16];
    cpu_set_t cpus;
    prctl(PR_GET_NAME, name);
    sched_getaffinity(0, sizeof cpus, &cpus);
    fprintf(out, "in %s, called %s, short %s, thread %s\n", getcwd(here, sizeof here) ? here : "?",
            program_invocation_name, program_invocation_short_name, name);
    fprintf(out, "nice %d, policy %d, cpus %d\n", getpriority(PRIO_PROCESS, 0), sched_getscheduler(0),
            CPU_COUNT(&cpus));
    fprintf(out, "dumpable %d, no new privileges %d, keep capabilities %d, death signal %d, timer slack %d\n",
            prctl(PR_GET_DUMPABLE), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_KEEPCAPS),
            prctl(PR_GET_PDEATHSIG, name) == 0 ? *(int *)name : -1, prctl(PR_GET_TIMERSLACK));
}

/* The heap itself: the same blocks at the same distances, nothing of somebody else's among them. */
static void print_heap(void)
{
    struct mallinfo2 heap = mallinfo2();
    char *first = malloc(100), *second = malloc(5000), *large = malloc(1 << 20);
    fprintf(out, "heap: %zu in use, %zu free, %zu pieces, %zu mapped; distance %td, usable %zu %zu %zu\n",
            heap.uordblks, heap.fordblks, heap.ordblks, heap.hblks, second - first, malloc_usable_size(first),
            malloc_usable_size(second), malloc_usable_size(large));
    free(first);
    free(second);
    free(large);
}

static void print_errors(void)
{
    void *p = NULL;
    volatile size_t much = SIZE_MAX / 2;
    errno = 77;
    free(kept = malloc(100));
    free(kept = calloc(10, 10));
    munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
    fprintf(out, "errno after what went well: %d\n", errno);
    errno = 0;
    p = malloc(much);
    fprintf(out, "malloc of too much: %d %d\n", p == NULL, errno);
    errno = 0;
    p = calloc(much, 3);
    fprintf(out, "calloc of too much: %d %d\n", p == NULL, errno);
    errno = 0;
    int result = posix_memalign(&p, 3, 10);
    fprintf(out, "posix_memalign(3): %d, errno %d\n", result, errno);
    p = mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fprintf(out, "mmap of nothing: %d %d\n", p == MAP_FAILED, errno);
    fprintf(out, "munmap of half a page: %d %d\n", munmap((void *)1, 10), errno);
}

static void print_environment(void)
{
    for (char **variable = environ; *variable; variable++)
        fprintf(out, "environment %s\n", *variable);
}

int main(int argc, char **argv)
{
    out = argc > 1 ? fopen(argv[1], "w") : stdout;
    if (!out)
        return 2;
    print_heap();
    print_descriptors();
    print_status();
    print_tasks();
    print_signals();
    print_limits();
    print_process();
    print_errors();
    print_environment();
    return 0;
}
