/*
 * silence_spawn.c: every way in which a process starts another one.
 *
 *      silence_spawn vfork|spawn|fork|chain|clone|shell|many|killed
 *
 * The children are this program with "child TEXT": they allocate, say TEXT, and end with 5.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */
extern char **environ;
static char self[4096];

static void allocate(void)
{
    for (int i = 0; i < 2000; i++)
        free(kept = malloc((size_t)i % 900 + 1));
}

static void tell(const char *way, pid_t pid)
{
    int status = 0;
    bool ended = pid > 0 && waitpid(pid, &status, 0) == pid;
    printf("%s: %s, exit %d, signal %d\n", way, ended ? "ended" : "no child", WEXITSTATUS(status), WTERMSIG(status));
    fflush(stdout);
}

static void by_vfork(void)
{
    for (volatile int round = 0; round < 20; round++) {
        pid_t pid = vfork();
        if (pid == 0) {
            execl(self, self, "child", "vfork", NULL);
            _exit(9);
        }
        tell("vfork", pid);
    }
    pid_t pid = vfork();
    if (pid == 0) {
        execl("/nonexistent", "nonexistent", NULL);
        _exit(9);
    }
    tell("vfork without exec", pid);
}

/*
 * What launchers do between vfork and exec, although only few calls are allowed there: close everything that they do
 * not know, and use the heap. The memory is the parent's, the descriptors are not.
 */
static void by_careless_vfork(void)
{
    volatile int before = 0, after = 0;
    for (int fd = 0; fd < 4096; fd++)
        before += fcntl(fd, F_GETFD) >= 0;
    for (int round = 0; round < 50; round++) {
        pid_t pid = vfork();
        if (pid == 0) {
            closefrom(3);
            allocate();
            munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
            execl(self, self, "child", NULL);
            _exit(9);
        }
        int status;
        waitpid(pid, &status, 0);
        allocate();
    }
    for (int fd = 0; fd < 4096; fd++)
        after += fcntl(fd, F_GETFD) >= 0;
    printf("after 50 vforks the parent has %s descriptors\n", after <= before + 4 ? "its" : "more");
}

static void by_posix_spawn(void)
{
    char *argv[] = { self, "child", "posix_spawn", NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t set;
    pid_t pid = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, 1, 7);
    posix_spawn_file_actions_addclosefrom_np(&actions, 8);
    posix_spawnattr_init(&attributes);
    sigfillset(&set);
    posix_spawnattr_setsigdefault(&attributes, &set);
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attributes, &set);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    posix_spawn(&pid, self, &actions, &attributes, argv, environ);
    tell("posix_spawn", pid);
    printf("posix_spawn of nothing: %d\n", posix_spawn(&pid, "/nonexistent", NULL, NULL, argv, environ));
}

/* Handlers of fork allocate on both sides, before the child has done anything else. */
static void at_fork(void)
{
    allocate();
}

/* A forked child that goes on by itself, forks again, and never execs. */
static void by_fork(void)
{
    pthread_atfork(at_fork, at_fork, at_fork);
    pid_t pid = fork();
    if (pid == 0) {
        allocate();
        pid_t grandchild = fork();
        if (grandchild == 0) {
            allocate();
            puts("grandchild");
            exit(6);
        }
        tell("fork in fork", grandchild);
        exit(5);
    }
    tell("fork", pid);
    pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); /* nobody but the kernel knows of this fork */
    if (pid == 0) {
        allocate();
        syscall(SYS_exit_group, 8);
    }
    tell("fork by the kernel", pid);
    pid = fork();
    if (pid == 0)
        abort();
    tell("fork and abort", pid);
}

static void exec_chain(const char *left)
{
    char less[16];
    allocate();
    if (atoi(left) == 0) {
        puts("the end of the chain");
        return;
    }
    snprintf(less, sizeof less, "%d", atoi(left) - 1);
    execl(self, self, "chain", less, NULL);
}

static int exec_child(void *unused)
{
    (void)unused;
    execl(self, self, "child", "clone", NULL);
    return 9;
}

/* As Go does it: memory shared, the parent stopped until exec, no signal but SIGCHLD at the end. */
static void by_clone(void)
{
    const size_t size = 65536;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    for (int round = 0; round < 20; round++)
        tell("clone", clone(exec_child, stack + size, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
}

static void by_shell(void)
{
    char line[64] = "";
    printf("system: %d\n", WEXITSTATUS(system("exit 3")));
    FILE *in = popen("echo from the shell; exit 4", "r");
    if (fgets(line, sizeof line, in))
        line[strcspn(line, "\n")] = '\0';
    printf("popen: %s, %d\n", line, WEXITSTATUS(pclose(in)));
}

/* Forks in one thread while others allocate: the child's heap must be usable, whatever the others were doing. */
static volatile int over;
static void *allocate_on(void *unused)
{
    (void)unused;
    while (!over)
        allocate();
    return NULL;
}

static void many(void)
{
    int good = 0;
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, allocate_on, NULL);
    for (int round = 0; round < 200; round++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            allocate();
            _exit(round % 100);
        }
        waitpid(pid, &status, 0);
        good += WIFEXITED(status) && WEXITSTATUS(status) == round % 100;
    }
    over = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    printf("forked beside three threads, %d of 200 good\n", good);
}

/* Children that are killed at any moment from their birth on, as a pool's workers are when it closes. */
static void killed(void)
{
    int good = 0;
    for (int round = 0; round < 300; round++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            allocate();
            pause();
        }
        usleep((useconds_t)round * 10);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        good += WIFSIGNALED(status);
    }
    printf("killed at once, %d of 300 good\n", good);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (!realpath(argv[0], self))
        return 2;
    allocate();
    if (strcmp(mode, "child") == 0) {
        if (argc > 2)
            printf("child of %s\n", argv[2]);
        return 5;
    } else if (strcmp(mode, "vfork") == 0) {
        by_vfork();
        by_careless_vfork();
    } else if (strcmp(mode, "spawn") == 0) {
        by_posix_spawn();
    } else if (strcmp(mode, "fork") == 0) {
        by_fork();
    } else if (strcmp(mode, "chain") == 0) {
        exec_chain(argc > 2 ? argv[2] : "20");
    } else if (strcmp(mode, "clone") == 0) {
        by_clone();
    } else if (strcmp(mode, "shell") == 0) {
        by_shell();
    } else if (strcmp(mode, "many") == 0) {
        many();
    } else if (strcmp(mode, "killed") == 0) {
        killed();
    } else {
        return 2;
    }
    return 0;
}
