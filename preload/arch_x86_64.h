/* arch_x86_64.h: see arch.h. */
#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>

#define ARCH_NAME "x86_64"
#define ARCH_HAS_TICKS 1
#define ARCH_HAS_CFI 1
#define ARCH_HAS_RECORDS 0
#define arch_code(address) (address)
#define ARCH_DWARF_FP 6
#define ARCH_DWARF_SP 7
#define ARCH_DWARF_RA 16
#define ARCH_DWARF_REGISTERS 17
#define ARCH_TICKS_SHIFT 4 /* 16 ticks at 1 to 4 GHz are 16 to 4 ns */

static inline long arch_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline uint64_t arch_ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* Loads, locked operations and readings of the counter (Intel SDM vol. 2, LFENCE; on AMD since Linux makes it so). */
static inline void arch_order(void)
{
    __asm__ volatile("lfence" : : : "memory");
}

static inline uintptr_t arch_zero_after(uint64_t value)
{
    __asm__ volatile("and $0, %0" : "+r"(value)); /* no idiom: it waits for the operand */
    return value;
}

/* CPUID 8000'0007 EDX bit 8, "invariant TSC" (Intel SDM vol. 3, 18.17.1; AMD APM vol. 3, appendix E). */
static inline bool arch_ticks_usable(void)
{
    uint32_t a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8);
}

/* A hook with a frame pointer has pushed its caller's; the return address lies above it, and above that the caller's
 * frame ends, as it will be when the hook has returned. */
#define ARCH_CALLER __builtin_frame_address(0)
#define ARCH_HAS_CALLER 1

static inline const void *arch_caller_pc(const void *caller)
{
    return ((void *const *)caller)[1];
}

static inline void arch_caller_registers(const void *caller, uint64_t *pc, uint64_t *sp, uint64_t *fp)
{
    *fp = ((const uint64_t *)caller)[0];
    *pc = ((const uint64_t *)caller)[1];
    *sp = (uint64_t)(uintptr_t)caller + 16;
}

/* The registers that a walk begins with; pc lies in the function that uses this. */
#define arch_get_registers(pc, sp, fp)                                                                                 \
    __asm__ volatile("lea 0(%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2" : "=r"(pc), "=r"(sp), "=r"(fp))

/* The same for all of them, by DWARF number: rax rdx rcx rbx rsi rdi rbp rsp r8 to r15, pc. What a call may change is
 * of no use to a walk, and left as it is. */
#define arch_get_all_registers(value)                                                                                  \
    __asm__ volatile("mov %%rbx, 24(%0)\n\tmov %%rbp, 48(%0)\n\tmov %%rsp, 56(%0)\n\tmov %%r12, 96(%0)\n\t"            \
                     "mov %%r13, 104(%0)\n\tmov %%r14, 112(%0)\n\tmov %%r15, 120(%0)\n\t"                              \
                     "lea 0(%%rip), %%rax\n\tmov %%rax, 128(%0)"                                                       \
                     :                                                                                                 \
                     : "r"(value)                                                                                      \
                     : "rax", "memory")

/* Where the kernel keeps the interrupted registers, counted from the stack pointer of a signal frame: struct ucontext
 * (40 bytes before the registers) and the order of gregs in sys/ucontext.h. */
#define ARCH_SIGNAL_FP 120
#define ARCH_SIGNAL_SP 160
#define ARCH_SIGNAL_PC 168

/* All registers of the interrupted frame, by DWARF number. */
static inline bool arch_step_over_signal(uint64_t *value, bool (*read)(void *, uint64_t, uint64_t *), void *context)
{
    static const uint8_t place[17] = { 13, 12, 14, 11, 9, 8, 10, 15, 0, 1, 2, 3, 4, 5, 6, 7, 16 };
    uint64_t sp = value[ARCH_DWARF_SP];
    for (unsigned i = 0; i < 17; i++)
        if (!read(context, sp + 40 + (uint64_t)place[i] * 8, &value[i]))
            return false;
    return true;
}

/* Whether the code behind a call is that of Go's runtime.asmcgocall (runtime/asm_amd64.s; Go 1.18 to 1.27 looked at): it
 * takes its stack pointer of before, stack.hi of the goroutine that it saved minus the depth that it saved:
 * mov g(%rsp), %rdi; mov 8(%rdi), %rsi; sub depth(%rsp), %rsi. Shared code loads %rcx first. */
#define ARCH_GO_CODE 20
static inline bool arch_is_call_from_go(const uint8_t *code)
{
    static const uint8_t take_g[] = { 0x48, 0x8b, 0x7c, 0x24 }, take_stack[] = { 0x48, 0x8b, 0x77, 0x08, 0x48, 0x2b };
    if (code[0] == 0x48 && ((code[1] == 0xc7 && code[2] == 0xc1) || (code[1] == 0x8b && code[2] == 0x0d)))
        code += 7;
    return __builtin_memcmp(code, take_g, sizeof take_g) == 0 &&
           __builtin_memcmp(code + 5, take_stack, sizeof take_stack) == 0 && (code[11] & 0xbf) == 0x34 &&
           code[12] == 0x24;
}
