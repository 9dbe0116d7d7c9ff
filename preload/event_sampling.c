/* event_sampling.c: see event_sampling.h. */
#include "event_sampling.h"

#include "event_inside.h"

/* A thread is in the trace, with its name and its stack, whether one of its blocks is ever chosen or not. */
static void introduce_thread(void)
{
    struct thread_pass pass;
    if (event_begin(&pass))
        thread_leave(&pass);
}

bool sampling_chooses(size_t size)
{
    if (poisson_begin()) {
        introduce_thread();
        if (!poisson_count(size))
            return false;
    }
    poisson_advance();
    return true;
}

static void say_if_full(void)
{
    if (blockset.full)
        tracefile_shortfall(TRACE_SHORT_SAMPLE_FULL);
}

void sampling_keep(const void *block)
{
    if (sampling_on() && !blockset_put(block))
        say_if_full();
}

bool sampling_release(const void *block)
{
    return !sampling_on() || blockset_take(block) || blockset.full;
}

void sampling_start(uint64_t mean)
{
    poisson_mean = mean;
    if (mean)
        blockset_start();
    say_if_full();
}

void sampling_forked(void)
{
    poisson_forget();
    say_if_full();
}
