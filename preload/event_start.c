/* event_start.c: see event_start.h. */
#include "event_start.h"

#include "coarse.h"
#include "components.h"
#include "config.h"
#include "event_sampling.h"
#include "modules.h"
#include "real.h"
#include "sample.h"
#include "session.h"
#include "settings.h"
#include "stacks.h"
#include "stamp.h"
#include "thread.h"
#include "unwind.h"

static volatile uint32_t plain_state; /* until there is a page that fork() wipes */
const volatile uint32_t *event_state = &plain_state;

static struct {
    bool starting, started, off, wiped, no_unwinder;
    const struct config *config;
    int argc;
    char **argv;
    char program[4096];
    char settings[TRACE_SETTINGS_SIZE];
    char directory[512]; /* of the session */
} image;

static void set_state(uint32_t state)
{
    *(volatile uint32_t *)(uintptr_t)event_state = state;
}

/* --- in every image and child ------------------------------------------------------------------------------------ */

static int create_trace(bool forked)
{
    struct tracefile_start s = {
        .directory = image.directory,
        .program = image.program,
        .argc = image.argc,
        .argv = image.argv,
        .settings = image.settings,
        .limit = image.config->limit,
        .sample_bytes = image.config->sample,
        .warnings = image.config->warnings,
        .forked = forked,
        .fork_before = forked ? thread_self.fork_before : 0,
    };
    real_own_range(&s.tap_start, &s.tap_end);
    return tracefile_create(&s);
}

/* The child of a fork: everything that says what is in the trace belongs to the parent's. */
static bool start_in_child(void)
{
    bool interrupted = thread_self.depth > 0;
    tracefile_forget(interrupted);
    ring_forget(interrupted);
    stacks_forget(interrupted);
    components_forget();
    modules_forget();
    sample_forget();
    thread_forget();
    stamp_forked();
    unwind_forked();
    image.off = !image.config->follow || create_trace(true) < 0;
    if (image.no_unwinder)
        tracefile_shortfall(TRACE_SHORT_NO_UNWINDER);
    sampling_forked();
    return !image.off;
}

/* --- once per program image -------------------------------------------------------------------------------------- */

/* argc, argv and the environment lie at the bottom of the stack; libc may not have been told yet. */
static char **find_arguments(void)
{
    long *stack = __libc_stack_end;
    image.argc = (int)stack[0];
    image.argv = (char **)(stack + 1);
    if (sys_read_link("/proc/self/exe", image.program, sizeof image.program) <= 0) {
        struct text t = TEXT_ON(image.program);
        text_add(&t, image.argc > 0 ? image.argv[0] : "unknown");
    }
    return image.argv + image.argc + 1;
}

static bool start_in_session(void)
{
    for (int fallback = 0; fallback < 2; fallback++) {
        const char *name = image.argc > 0 && *image.argv[0] ? image.argv[0] : image.program;
        if (!session_choose(image.config, name, fallback, image.directory, sizeof image.directory))
            continue;
        if (create_trace(false) == 0) {
            if (fallback)
                tracefile_shortfall(TRACE_SHORT_FALLBACK_DIR);
            return true;
        }
    }
    return false;
}

/* What is remembered about code that has been unloaded must not be believed of what takes its place. */
static void forget_code(uint64_t from, uint64_t to)
{
    unwind_code_goes();
    stacks_retire(from, to);
    unwind_code_gone(from, to);
}

static bool start_in_image(void)
{
    volatile uint32_t *wiped = sys_map_wiped(sys_page_size());
    char **envp = find_arguments();
    image.config = config_read(envp);
    settings_keep(envp, image.settings, sizeof image.settings);
    image.off = image.config->disabled || !start_in_session();
    image.wiped = wiped != NULL;
    if (wiped)
        event_state = wiped;
    if (image.off)
        return false;
    coarse_start(envp);
    sampling_start(image.config->sample);
    sys_single_threaded = real_next("__libc_single_threaded");
    modules_start(forget_code);
    image.no_unwinder = !unwind_use(&unwind_table);
    return true;
}

/* What must wait until libc is ready and may allocate. What the loader allocates for libunwind is booked as our own. */
static void __attribute__((constructor)) start_libraries(void)
{
    if (!event_awake())
        return;
    thread_start_begin();
    thread_start();
    if (image.no_unwinder || image.config->libunwind)
        image.no_unwinder = !unwind_use(&unwind_libunwind);
    else
        unwind_ready();
    if (image.no_unwinder)
        tracefile_shortfall(TRACE_SHORT_NO_UNWINDER);
    thread_start_end();
}

void event_sleep(void)
{
    if (!image.wiped)
        set_state(EVENT_ASLEEP);
}

bool event_wake(void)
{
    image.off |= image.started && tracefile_hindrance() == TRACE_LOSS_SANDBOX; /* no system call is safe any more */
    if (image.off)
        set_state(EVENT_OFF);
    if (image.starting || image.off)
        return false;
    image.starting = true;
    bool awake = image.started ? start_in_child() : start_in_image();
    image.started = true;
    set_state(!awake ? EVENT_OFF : image.config->sample ? EVENT_SAMPLING : EVENT_AWAKE);
    image.starting = false;
    return awake;
}
