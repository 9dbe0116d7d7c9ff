/* arch_aarch64.h: see arch.h. */
#include <stdbool.h>
#include <stdint.h>

#define ARCH_NAME "aarch64"
#define ARCH_HAS_TICKS 1
#define ARCH_HAS_CFI 0 /* stacks by libunwind: signed return addresses are not told by cfi.c */
#define ARCH_DWARF_FP 29
#define ARCH_DWARF_SP 31
#define ARCH_DWARF_RA 30
#define ARCH_DWARF_REGISTERS 32
#define ARCH_TICKS_SHIFT 0 /* the generic timer runs at 24 to 1,000 MHz: its tick is the unit */

static inline long arch_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
    return x0;
}

static inline uint64_t arch_ticks(void)
{
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}

/* Arm ARM, B2.3.12 and D11.2.1: reading the counter is ordered by isb only. */
static inline void arch_order(void)
{
    __asm__ volatile("dsb ish\n\tisb" : : : "memory");
}

static inline uintptr_t arch_zero_after(uint64_t value)
{
    (void)value;
    __asm__ volatile("isb" : : : "memory");
    return 0;
}

/* The architecture demands a constant rate (Arm ARM, D11.1.2). */
static inline bool arch_ticks_usable(void)
{
    return true;
}

#define ARCH_CALLER __builtin_return_address(0)
#define ARCH_HAS_CALLER 0
#define arch_caller_pc(caller) (caller)
#define arch_caller_registers(caller, pc, sp, fp) ((void)(caller), *(pc) = *(sp) = *(fp) = 0)
#define arch_get_registers(pc, sp, fp) ((pc) = 0, (sp) = 0, (fp) = 0)
#define arch_get_all_registers(value) ((void)(value))
#define arch_step_over_signal(value, read, context) ((void)(value), (void)(read), (void)(context), false)
#define ARCH_SIGNAL_FP 0
#define ARCH_SIGNAL_SP 0
#define ARCH_SIGNAL_PC 0
