/*
 * silence_ends.c: the ways in which a process comes to its end, with handlers that allocate on the way.
 *
 *      silence_ends WAY      return, exit, quick, now, thread, last-thread, handler, abort, fault
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANDLERS 40 /* more than libc has room for without allocating */

static __thread void *volatile kept; /* a pair of malloc and free that nobody can see would be left out */
static char *volatile nowhere;
static int ran;

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(9);
}

static void at_exit(void)
{
    free(kept = malloc(100));
    if (++ran == HANDLERS)
        say("all handlers ran\n");
}

static void on_the_exit(int status, void *text)
{
    free(kept = malloc(200));
    say(status == 5 && strcmp(text, "argument") == 0 ? "on_exit ran with 5\n" : "on_exit ran\n");
}

static void at_quick_exit_(void)
{
    free(kept = malloc(100));
    say("quick handler ran\n");
}

static void __attribute__((destructor)) finish(void)
{
    free(kept = malloc(100));
    say("destructor ran\n");
}

static void *exit_process(void *unused)
{
    (void)unused;
    exit(5);
}

static void *outlive(void *unused)
{
    (void)unused;
    usleep(20000);
    free(kept = malloc(100));
    say("outlived main\n");
    return NULL;
}

static void on_signal(int number)
{
    (void)number;
    _exit(5);
}

static void end(const char *way)
{
    pthread_t thread;
    if (strcmp(way, "exit") == 0)
        exit(5);
    else if (strcmp(way, "quick") == 0)
        quick_exit(5);
    else if (strcmp(way, "now") == 0)
        _exit(5);
    else if (strcmp(way, "abort") == 0)
        abort();
    else if (strcmp(way, "fault") == 0)
        *nowhere = 1;
    else if (strcmp(way, "thread") == 0)
        pthread_create(&thread, NULL, exit_process, NULL), pause();
    else if (strcmp(way, "last-thread") == 0)
        pthread_create(&thread, NULL, outlive, NULL), pthread_exit(NULL);
    else if (strcmp(way, "handler") == 0)
        signal(SIGUSR1, on_signal), raise(SIGUSR1);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    on_exit(on_the_exit, "argument");
    for (int i = 0; i < HANDLERS; i++)
        atexit(at_exit);
    at_quick_exit(at_quick_exit_);
    free(kept = malloc(50));
    end(argv[1]);
    return 5;
}
