/*
 * cache.c: the key-value cache that a model will have. See need.h.
 *
 * By llama.cpp: llama_hparams (src/llama-hparams.cpp), the load_hparams of each architecture (src/llama-model.cpp,
 * src/models/), llama_kv_cache (src/llama-kv-cache.cpp) and llama_kv_cache_iswa (src/llama-kv-cache-iswa.cpp).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/need.h"

#define LAYERS_MAX 4096u
#define CTX_DEFAULT 4096u
#define CELL_PAD 256u

/* Which layers see a window only, where the file does not list them: all but every period-th, the first or the last. */
static const struct window_rule {
    const char *architecture;
    uint32_t period;
    bool dense_first;
    uint32_t layers; /* the rule is for models of so many layers; 0: all */
    uint64_t window; /* if the file does not say */
} window_rules[] = {
    { "gemma2", 2, false, 0, 4096 },   { "gemma3", 6, false, 0, 0 },      { "gemma3n", 5, false, 0, 0 },
    { "cohere2", 4, false, 0, 0 },     { "llama4", 4, false, 0, 8192 },   { "gpt-oss", 2, false, 0, 0 },
    { "gptoss", 2, false, 0, 0 },      { "exaone4", 4, false, 64, 4096 }, { "olmo2", 4, false, 0, 0 },
    { "smallthinker", 4, true, 0, 0 }, { "afmoe", 4, false, 0, 0 },
};

/* The keys of GGUF have the architecture before them; those of a config.json may be in its text_config. */
struct shape {
    const struct model *m;
    uint64_t layers, embedding, ctx;
    uint32_t seen; /* layers from here on have caches of their own no longer: shared, or for prediction */
};

/* A number of one layer: an array has one for each, a scalar is for all. */
static bool get(const struct shape *s, const char *name, uint64_t layer, uint64_t *value)
{
    char key[200];
    bool gguf = s->m->format == MODEL_GGUF;
    for (int i = 0; i < 2; i++) {
        snprintf(key, sizeof key, "%.80s%s%s",
                 gguf ? s->m->architecture
                 : i  ? "text_config"
                      : "",
                 gguf || i ? "." : "", name);
        uint64_t count = model_count(s->m, key);
        if (count)
            return model_u64(s->m, key, count > 1 ? layer : 0, value);
        if (gguf)
            break;
    }
    return false;
}

/* One name for both worlds: GGUF's, and that of config.json. */
static uint64_t get_or(const struct shape *s, const char *gguf, const char *config, uint64_t layer, uint64_t otherwise)
{
    uint64_t value;
    const char *name = s->m->format == MODEL_GGUF ? gguf : config;
    return name && get(s, name, layer, &value) ? value : otherwise;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strncmp(name, *names, strlen(*names)) == 0)
            return true;
    return false;
}

/* --- which layers ------------------------------------------------------------------------------------------------ */

static bool layer_type(const struct shape *s, uint64_t layer, enum need_layer_kind *kind)
{
    char *text = model_text_at(s->m, "layer_types", layer);
    if (!text)
        text = model_text_at(s->m, "text_config.layer_types", layer);
    bool known = text != NULL;
    if (known)
        *kind = strstr(text, "sliding") || strstr(text, "chunked") ? NEED_WINDOW
                : strstr(text, "full")                             ? NEED_FULL
                                                                   : NEED_RECURRENT;
    free(text);
    return known;
}

static const struct window_rule *window_rule(const struct shape *s)
{
    static const char *const suffix[] = { "_text", "", NULL }; /* config.json says "gemma3_text" */
    for (size_t i = 0; i < sizeof window_rules / sizeof *window_rules; i++) {
        const struct window_rule *r = &window_rules[i];
        size_t length = strlen(r->architecture);
        if (strncmp(s->m->architecture, r->architecture, length) == 0 &&
            (!s->m->architecture[length] || strcmp(s->m->architecture + length, suffix[0]) == 0) &&
            (!r->layers || r->layers == s->layers))
            return r;
    }
    return NULL;
}

/* Marks the layers that see a window only, and says from where that is known. */
static void find_windows(const struct shape *s, struct need_kv *kv)
{
    const struct window_rule *rule = window_rule(s);
    const char *pattern_key =
        s->m->format == MODEL_GGUF ? "attention.sliding_window_pattern" : "sliding_window_pattern";
    uint64_t period = rule ? rule->period : 1, listed, last;
    enum need_layer_kind kind;
    kv->window = get_or(s, "attention.sliding_window", "sliding_window", 0, rule ? rule->window : 0);
    if (!kv->window)
        return;
    bool by_types = layer_type(s, 0, &kind);
    bool array = !by_types && kv->layers > 1 && get(s, pattern_key, 0, &listed) && get(s, pattern_key, 1, &last) &&
                 !get(s, pattern_key, UINT32_MAX, &last);
    if (!array && get(s, pattern_key, 0, &listed))
        period = listed;
    snprintf(kv->source, sizeof kv->source,
             by_types || array ? "which layers, the file says"
             : rule            ? "every %u%s layer sees all: llama.cpp's rule for %.60s"
                               : "llama.cpp knows no such layers for this architecture, so all count in full",
             (unsigned)period,
             period == 2   ? "nd"
             : period == 3 ? "rd"
                           : "th",
             s->m->architecture);
    for (uint32_t i = 0; i < kv->layers; i++) {
        bool window = period == 0 || (rule && rule->dense_first ? i % period != 0 : i % period < period - 1);
        if (by_types)
            window = layer_type(s, i, &kind) && kind == NEED_WINDOW;
        if (array)
            window = get(s, pattern_key, i, &listed) && listed;
        if (window)
            kv->layer[i].kind = NEED_WINDOW;
    }
}

/* Layers without attention keep a state for each sequence instead. */
static bool is_recurrent(const struct shape *s, uint64_t layer)
{
    static const char *const all[] = { "mamba", "rwkv", "arwkv", NULL };
    static const char *const every[] = { "qwen3next", "qwen35", "kimi-linear", NULL };
    enum need_layer_kind kind;
    uint64_t heads, period = get_or(s, "full_attention_interval", "full_attention_interval", 0,
                                    is_one_of(s->m->architecture, every) ? 4 : 0);
    if (s->m->format != MODEL_GGUF && layer_type(s, layer, &kind))
        return kind == NEED_RECURRENT;
    if (is_one_of(s->m->architecture, all))
        return true;
    if (period)
        return (layer + 1) % period != 0;
    return get(s, "attention.head_count_kv", layer, &heads) && heads == 0;
}

/* --- how much ---------------------------------------------------------------------------------------------------- */

static uint64_t row_bytes(const struct model_type *type, uint64_t elements)
{
    return (elements + type->block - 1) / type->block * type->bytes;
}

/* Products of what a file claims must not overflow; nothing real is near the limit. */
static uint64_t limited(uint64_t n)
{
    return n < 1u << 24 ? n : 1u << 24;
}

static uint64_t token_bytes(const struct shape *s, const struct need_options *o, uint32_t layer, bool window)
{
    uint64_t heads = get_or(s, "attention.head_count", "num_attention_heads", layer, 1), latent;
    uint64_t kv_heads = limited(get_or(s, "attention.head_count_kv", "num_key_value_heads", layer, heads));
    uint64_t width = get_or(s, NULL, "head_dim", 0, s->embedding / (heads ? heads : 1));
    uint64_t key = get_or(s, "attention.key_length", NULL, layer, width);
    uint64_t value = get_or(s, "attention.value_length", NULL, layer, width);
    if (window) { /* gemma4's two kinds of layers have heads of two sizes */
        key = get_or(s, "attention.key_length_swa", NULL, layer, key);
        value = get_or(s, "attention.value_length_swa", NULL, layer, value);
    }
    if (get(s, "attention.key_length_mla", 0, &latent))
        return row_bytes(o->keys, limited(key) * kv_heads); /* the latent vector serves as key and as value */
    return row_bytes(o->keys, limited(key) * kv_heads) + row_bytes(o->values, limited(value) * kv_heads);
}

/* One sequence's state in F32: n_embd_r() and n_embd_s(). */
static uint64_t state_bytes(const struct shape *s)
{
    uint64_t head = limited(get_or(s, "wkv.head_size", NULL, 0, 0)),
             length = get_or(s, "shortconv.l_cache", NULL, 0, 0);
    uint64_t conv = get_or(s, "ssm.conv_kernel", NULL, 0, 0), inner = limited(get_or(s, "ssm.inner_size", NULL, 0, 0));
    uint64_t state = limited(get_or(s, "ssm.state_size", NULL, 0, 0)),
             groups = get_or(s, "ssm.group_count", NULL, 0, 0);
    if (head)
        return 4 * (limited(s->embedding) * 2 + limited(s->embedding) * head);
    if (length)
        return 4 * limited(s->embedding) * (limited(length) - 1);
    return 4 * ((conv ? limited(conv) - 1 : 0) * (inner + 2 * (groups < 4096 ? groups : 4096) * state) + state * inner);
}

static uint64_t padded(uint64_t cells)
{
    return (cells + CELL_PAD - 1) / CELL_PAD * CELL_PAD;
}

/* ctx, batch and windows are cut to 2^32 and token sizes to 2^50 before they meet. */
static uint64_t product(uint64_t a, uint64_t b)
{
    uint64_t result;
    return __builtin_mul_overflow(a, b, &result) ? UINT64_MAX / 65536 : result;
}

static void size_cache(const struct shape *s, const struct need_options *o, struct need_kv *kv)
{
    uint64_t parallel = o->parallel ? o->parallel : 1, window = limited(kv->window);
    kv->trained_ctx = s->ctx;
    kv->ctx = o->ctx ? o->ctx : s->ctx && s->ctx < CTX_DEFAULT ? s->ctx : CTX_DEFAULT;
    kv->cells = padded(kv->ctx);
    kv->window_cells = product(window, parallel) + o->batch;
    kv->window_cells = padded(kv->cells < kv->window_cells ? kv->cells : kv->window_cells);
    for (uint32_t i = 0; i < kv->layers; i++) {
        struct need_layer *l = &kv->layer[i];
        if (is_recurrent(s, i) && l->kind != NEED_NONE)
            l->kind = NEED_RECURRENT;
        kv->count[l->kind]++;
        if (l->kind == NEED_NONE)
            continue;
        l->token = l->kind == NEED_RECURRENT ? state_bytes(s) : token_bytes(s, o, i, l->kind == NEED_WINDOW);
        l->bytes = product(l->token, l->kind == NEED_RECURRENT ? parallel
                                     : l->kind == NEED_WINDOW  ? kv->window_cells
                                                               : kv->cells);
        kv->token[l->kind] += l->token;
        kv->bytes[l->kind] += l->bytes;
    }
}

bool need_kv(const struct model *m, const struct need_options *o, struct need_kv *kv)
{
    struct shape s = { .m = m };
    uint64_t causal = 1, shared, without;
    *kv = (struct need_kv){ .layer = NULL };
    s.layers = get_or(&s, "block_count", "num_hidden_layers", 0, 0);
    s.embedding = get_or(&s, "embedding_length", "hidden_size", 0, 0);
    s.ctx = get_or(&s, "context_length", "max_position_embeddings", 0, 0);
    if (!*m->architecture || !s.layers || s.layers > LAYERS_MAX || strcmp(m->architecture, "clip") == 0 ||
        (get(&s, "attention.causal", 0, &causal) && !causal))
        return false;
    kv->layers = (uint32_t)s.layers;
    kv->layer = memory_take(kv->layers * sizeof *kv->layer);
    find_windows(&s, kv);
    shared = get_or(&s, "attention.shared_kv_layers", "num_kv_shared_layers", 0, 0);
    without = get_or(&s, "nextn_predict_layers", NULL, 0, 0);
    without = shared > without ? shared : without;
    for (uint64_t i = without < s.layers ? s.layers - without : s.layers; i < s.layers; i++)
        kv->layer[i].kind = NEED_NONE;
    size_cache(&s, o, kv);
    return true;
}

void need_kv_free(struct need_kv *kv)
{
    free(kv->layer);
    *kv = (struct need_kv){ .layer = NULL };
}
