/*
 * event_sampling.h: which heap events are recorded where only a sample is (MEMTAP_SAMPLE): blocks of the mean and more,
 * smaller ones as poisson.h has it, and the frees of those that were. For the files of this room only. All of it says
 * "record it" where nothing is sampled.
 */
#ifndef PRELOAD_EVENT_SAMPLING_H
#define PRELOAD_EVENT_SAMPLING_H

#include "blockset.h"
#include "event_start.h"
#include "poisson.h"

/* Whether the process records a sample only; wakes the tap. */
static inline bool sampling_on(void)
{
    if (*event_state == EVENT_ASLEEP)
        event_wake();
    return *event_state == EVENT_SAMPLING;
}

/*
 * Hot path: whether nothing is to be done for a new block, or for one that is about to be freed. If not, the rest has
 * to find out; for an alloc, the block has been counted if the process samples and it is smaller than the mean.
 */
static inline bool sampling_is_done_with_alloc(const void *block, size_t size)
{
    return *event_state == EVENT_SAMPLING && block && size < poisson_mean && !poisson_count(size);
}

static inline bool sampling_is_done_with_free(const void *block)
{
    return *event_state == EVENT_SAMPLING && blockset_lacks(block);
}

/* The thread's countdown has run out, or it is new. True if the block of this size is chosen. */
bool sampling_chooses(size_t size);

/* Whether a new block is not recorded. To be asked once for each block, as it counts unless `counted`. NULL: the call
 * failed, which is recorded. */
static inline bool sampling_passes_over(const void *block, size_t size, bool counted)
{
    if (!sampling_on() || !block || size >= poisson_mean)
        return false;
    return !((counted || poisson_count(size)) && sampling_chooses(size));
}

/* Whether the free of a block is not recorded. */
static inline bool sampling_ignores(const void *block)
{
    return sampling_on() && !blockset_has(block);
}

/* The block has been recorded: so will be its free. */
void sampling_keep(const void *block);

/* The block is about to be freed, or has a record of its free. False: it was not recorded. */
bool sampling_release(const void *block);

/* Before there are threads: `mean` as in struct config. */
void sampling_start(uint64_t mean);

/* In a forked child, whose trace has begun: it has the parent's blocks, but draws numbers of its own. */
void sampling_forked(void);

#endif
