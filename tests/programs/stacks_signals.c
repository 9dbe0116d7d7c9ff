/*
 * stacks_signals.c: as stacks_c.c, for stacks that a signal has interrupted: in a handler, on the stack of its own that
 * a handler may have, and between any two instructions, where prologues and epilogues are half done.
 *
 *   stacks_signals FILE
 */
#include <signal.h>
#include <stdalign.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "own_stack.h"

static volatile int zero;

/* --- handlers ----------------------------------------------------------------------------------------------------- */

static void handler(int signal)
{
    innermost();
    if (signal == SIGUSR1)
        raise(SIGUSR2);
    innermost();
    AFTER_CALL;
}

static FRAME void raise_two(void)
{
    raise(SIGUSR1);
    innermost();
    AFTER_CALL;
}

static FRAME void set_handlers(int flags)
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
}

static FRAME void signals(void)
{
    set_handlers(0);
    raise_two();
    AFTER_CALL;
}

static FRAME void signals_elsewhere(void)
{
    const size_t size = 1 << 18;
    stack_t stack = { .ss_sp = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                      .ss_size = size };
    stack_t none = { .ss_flags = SS_DISABLE };
    sigaltstack(&stack, NULL);
    set_handlers(SA_ONSTACK);
    raise_two();
    raise_two();
    sigaltstack(&none, NULL);
    munmap(stack.ss_sp, size);
    innermost();
    AFTER_CALL;
}

/* --- between any two instructions -------------------------------------------------------------------------------- */

static volatile sig_atomic_t stepping;

/* Lets the processor trap after each instruction of what was interrupted, as long as somebody wants it. */
static void trapped(int signal, siginfo_t *info, void *context)
{
    const greg_t trap = 0x100;
    greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
    (void)signal, (void)info;
    *flags = stepping ? *flags | trap : *flags & ~trap;
    innermost();
    AFTER_CALL;
}

static FRAME int stepped_leaf(int n)
{
    volatile int local[40];
    local[n % 40] = n;
    return local[n % 40] + 1;
}

static FRAME int stepped_array(int n)
{
    volatile char array[n];
    array[0] = (char)stepped_leaf(n);
    return array[0];
}

static FRAME __attribute__((optimize("no-omit-frame-pointer"))) int stepped_with_pointer(int n)
{
    return n > 0 ? stepped_with_pointer(n - 1) + stepped_leaf(n) : 0;
}

static FRAME int stepped(int n)
{
    int a = n * 3, b = n * 5, c = n * 7, d = n * 11, e = n * 13, f = n * 17;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
    int sum = stepped_leaf(n) + stepped_array(n + 20);
    return sum + a + b + c + d + e + f;
}

static FRAME void step_through(int (*run)(int), int argument)
{
    struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };
    sigaction(SIGTRAP, &action, NULL);
    stepping = 1;
    raise(SIGTRAP);
    zero = run(argument) * 0;
    stepping = 0;
    AFTER_CALL;
}

static FRAME void every_instruction(void)
{
    step_through(stepped, 2);
    step_through(stepped_array, 100);
    step_through(stepped_with_pointer, 5);
    AFTER_CALL;
}

/* Through the procedure linkage table: the loader looks for the function at the first call. */
static FRAME int library_call(int n)
{
    return getppid() + n;
}

static FRAME void every_instruction_of_lazy_binding(void)
{
    step_through(library_call, 1);
    AFTER_CALL;
}

static FRAME void every_instruction_of_a_library_call(void)
{
    step_through(library_call, 1);
    AFTER_CALL;
}

static int stepped_realigned(int n)
{
    alignas(64) volatile char local[64];
    volatile char array[n + 1];
    local[n % 64] = 1;
    array[n] = 1;
    return local[n % 64] + array[n];
}

static FRAME void every_instruction_of_a_realigned_frame(void)
{
    step_through(stepped_realigned, 30);
    AFTER_CALL;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        { "signals", signals },
        { "signals-on-another-stack", signals_elsewhere },
        { "every-instruction", every_instruction },
        { "every-instruction-of-lazy-binding", every_instruction_of_lazy_binding },
        { "every-instruction-of-a-library-call", every_instruction_of_a_library_call },
        { "every-instruction-of-a-realigned-frame", every_instruction_of_a_realigned_frame },
    };
    if (argc != 2)
        return 2;
    own_open(argv[1], 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        own_case(cases[i].name);
        cases[i].run();
    }
    return 0;
}
