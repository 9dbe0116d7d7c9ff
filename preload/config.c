/* config.c: see config.h. */
#include "config.h"

#include <memtap/trace.h>

#include "sys.h"

static struct config config;

/* Names and values are cut, so that the reason and the next warning find room. */
static void warn(const char *name, const char *value, const char *reason)
{
    struct text t = { config.warnings, sizeof config.warnings, sys_strlen(config.warnings), false };
    size_t length = sys_strlen(value);
    text_add(&t, name);
    text_add(&t, "=");
    text_add_bytes(&t, value, length < 60 ? length : 60);
    text_add(&t, length < 60 ? "" : "...");
    text_add(&t, reason);
    text_add(&t, "\n");
}

static void read_flag(const char *name, const char *value, bool *flag)
{
    if (sys_equal(value, "0") || sys_equal(value, "1"))
        *flag = *value == '1';
    else if (*value)
        warn(name, value, ": neither 0 nor 1; ignored");
}

/* `most`: greater ones are none. */
static void read_size(const char *name, const char *value, uint64_t most, uint64_t *size)
{
    static const char units[] = "KMGT";
    const char *end;
    uint64_t n = sys_parse_number(value, &end, 10);
    unsigned shift = 0;
    for (unsigned i = 0; units[i] && *end; i++)
        if ((*end & ~0x20) == units[i])
            shift = 10 * (i + 1);
    if (end == value || (*end && (!shift || end[1])) || n > most >> shift)
        warn(name, value, ": not a size such as 512M; ignored");
    else
        *size = n << shift;
}

static void read_variable(const char *name, const char *value)
{
    if (sys_equal(name, "MEMTAP_OUTPUT"))
        config.output = *value ? value : NULL;
    else if (sys_equal(name, "MEMTAP_LIMIT"))
        read_size(name, value, UINT64_MAX - 1, &config.limit);
    else if (sys_equal(name, "MEMTAP_SAMPLE"))
        read_size(name, value, TRACE_SAMPLE_MOST, &config.sample);
    else if (sys_equal(name, "MEMTAP_FOLLOW"))
        read_flag(name, value, &config.follow);
    else if (sys_equal(name, "MEMTAP_DISABLE"))
        read_flag(name, value, &config.disabled);
    else if (sys_equal(name, "MEMTAP_UNWINDER") && (sys_equal(value, "libunwind") || sys_equal(value, "table")))
        config.libunwind = *value == 'l';
    else if (sys_starts(name, "MEMTAP_"))
        warn(name, value, ": no such setting; ignored");
    else if (sys_equal(name, "TMPDIR") && *value == '/')
        config.temporary = value;
}

const struct config *config_read(char **envp)
{
    config = (struct config){ .temporary = "/tmp", .limit = (uint64_t)4 << 30, .follow = true };
    for (; envp && *envp; envp++) {
        char name[64];
        struct text t = TEXT_ON(name);
        const char *equals = *envp;
        if (*equals != 'M' && *equals != 'T')
            continue;
        while (*equals && *equals != '=')
            equals++;
        text_add_bytes(&t, *envp, (size_t)(equals - *envp));
        if (*equals)
            read_variable(name, equals + 1); /* a name that does not fit is none of ours: cut, it stays unknown */
    }
    return &config;
}
