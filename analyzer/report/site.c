/* site.c: a call stack for people. See site.h. */
#include "base/units.h"
#include "report/sampling.h"
#include "report/site.h"
#include "report/table.h"

static void print_frame(const struct symbol_frame *f, uint32_t width, FILE *out)
{
    char text[1200], function[600];
    const char *module = *f->module ? symbols_base_name(f->module) : "generated code";
    if (f->function && f->file)
        snprintf(text, sizeof text, "%s%s  (%s:%u)", symbols_shorten(f->function, function, sizeof function),
                 f->inlined ? " [inlined]" : "", symbols_base_name(f->file), f->line);
    else if (f->function)
        snprintf(text, sizeof text, "%s  (%s)", symbols_shorten(f->function, function, sizeof function), module);
    else
        snprintf(text, sizeof text, "%s+0x%llx", module, (unsigned long long)f->offset);
    fputs("      ", out);
    table_clip(text, width - 6, out);
    fputc('\n', out);
}

void site_print_frames(const struct summary_site *site, const struct report_style *style, FILE *out)
{
    const uint32_t most = style->verbose ? UINT32_MAX : 16;
    for (uint32_t i = 0; i < site->frames && i < most; i++)
        print_frame(&site->frame[i], style->width, out);
    if (site->frames > most)
        fprintf(out, "      ... %u more frames (-v shows them)\n", site->frames - most);
}

void site_print(const struct summary_site *site, const struct report_style *style, FILE *out)
{
    char live[UNITS_TEXT], error[SAMPLING_TEXT], blocks[UNITS_TEXT], count[UNITS_TEXT], title[400];
    snprintf(title, sizeof title, "%s%s in %s blocks · %.150s%s%s · %s x %s · site %016llx",
             units_bytes(live, site->live_bytes), sampling_error(error, site->live_variance),
             units_count(blocks, (uint64_t)site->live_blocks), site->component, *site->how ? " " : "", site->how,
             units_count(count, (uint64_t)site->alloc_count), site->call, (unsigned long long)site->id);
    fputs("\n  ", out);
    table_clip(title, style->width - 2, out);
    fputc('\n', out);
    site_print_frames(site, style, out);
}
