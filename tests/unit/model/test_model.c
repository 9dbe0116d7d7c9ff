/* Model files: types, names of tensors, keys, sizes of caches. */
#include "unit/cmocka_tap.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"
#include "model/need.h"

/* --- types ------------------------------------------------------------------------------------------------------- */

static void types_have_their_block_sizes(void **state)
{
    static const struct {
        uint32_t number, block, bytes;
        const char *name;
    } want[] = { { 0, 1, 4, "F32" },       { 2, 32, 18, "Q4_0" }, { 8, 32, 34, "Q8_0" },   { 12, 256, 144, "Q4_K" },
                 { 14, 256, 210, "Q6_K" }, { 30, 1, 2, "BF16" },  { 39, 32, 17, "MXFP4" }, { 23, 256, 136, "IQ4_XS" } };
    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const struct model_type *t = model_type(want[i].number);
        assert_non_null(t);
        assert_string_equal(t->name, want[i].name);
        assert_int_equal(t->block, want[i].block);
        assert_int_equal(t->bytes, want[i].bytes);
    }
    assert_null(model_type(4));
    assert_null(model_type(UINT32_MAX));
    assert_int_equal(model_type_named("q8_0")->number, 8);
    assert_int_equal(model_type_named("f8_e4m3")->bytes, 1);
    assert_null(model_type_named("q9_0"));
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static void check_names(const char *const (*pairs)[2], size_t count)
{
    char text[MODEL_COMPONENT];
    for (size_t i = 0; i < count; i++) {
        const char *found = model_component(pairs[i][0], NULL, text, NULL);
        if (!found || strcmp(found, pairs[i][1]) != 0)
            fail_msg("%s is %s, not %s", pairs[i][0], found ? found : "unknown", pairs[i][1]);
    }
}

#define CHECK_NAMES(pairs) check_names(pairs, sizeof(pairs) / sizeof *(pairs))

static void gguf_names_are_known(void **state)
{
    static const char *const pairs[][2] = {
        { "token_embd.weight", "weights/embedding" },
        { "output.weight", "weights/output" },
        { "output_norm.weight", "weights/norm" },
        { "blk.0.attn_q.weight", "weights/layer.0/attention" },
        { "blk.47.attn_qkv.bias", "weights/layer.47/attention" },
        { "blk.3.attn_norm.weight", "weights/layer.3/norm" },
        { "blk.3.attn_q_norm.weight", "weights/layer.3/norm" },
        { "blk.3.post_attention_norm.weight", "weights/layer.3/norm" },
        { "blk.12.ffn_gate_exps.weight", "weights/layer.12/ffn" },
        { "blk.12.ffn_gate_inp.weight", "weights/layer.12/ffn" },
        { "blk.12.post_ffw_norm.weight", "weights/layer.12/norm" },
        { "blk.1.ssm_conv1d.weight", "weights/layer.1/attention" },
        { "v.blk.3.attn_q.weight", "weights/vision/blk.3" },
        { "v.blk.26.ffn_down.bias", "weights/vision/blk.26" },
        { "v.patch_embd.weight", "weights/vision/patch" },
        { "v.position_embd.weight", "weights/vision/patch" },
        { "v.post_ln.weight", "weights/vision/norm" },
        { "mm.input_projection.weight", "weights/projector" },
        { "mm.0.weight", "weights/projector" },
        { "mm.a.mlp.1.weight", "weights/audio/projector" },
        { "a.blk.7.ffn_up.weight", "weights/audio/blk.7" },
    };
    (void)state;
    CHECK_NAMES(pairs);
}

static void ollama_spells_some_differently(void **state)
{
    static const char *const pairs[][2] = {
        { "v.patch_embedding.weight", "weights/vision/patch" },
        { "v.position_embedding.weight", "weights/vision/patch" },
        { "v.blk.0.layer_norm1.bias", "weights/vision/blk.0" },
        { "v.blk.0.mlp.fc1.weight", "weights/vision/blk.0" },
        { "v.post_layernorm.weight", "weights/vision/norm" },
        { "mm.mm_soft_emb_norm.weight", "weights/projector" },
    };
    (void)state;
    CHECK_NAMES(pairs);
}

static void hugging_face_names_are_known(void **state)
{
    static const char *const pairs[][2] = {
        { "model.embed_tokens.weight", "weights/embedding" },
        { "lm_head.weight", "weights/output" },
        { "model.norm.weight", "weights/norm" },
        { "model.layers.31.self_attn.q_proj.weight", "weights/layer.31/attention" },
        { "model.layers.31.self_attn.q_norm.weight", "weights/layer.31/norm" },
        { "model.layers.31.mlp.gate_proj.weight", "weights/layer.31/ffn" },
        { "model.layers.31.mlp.experts.7.up_proj.weight", "weights/layer.31/ffn" },
        { "model.layers.31.post_attention_layernorm.weight", "weights/layer.31/norm" },
        { "language_model.model.layers.5.self_attn.k_proj.weight", "weights/layer.5/attention" },
        { "language_model.model.embed_tokens.weight", "weights/embedding" },
        { "language_model.lm_head.weight", "weights/output" },
        { "vision_tower.vision_model.encoder.layers.3.self_attn.q_proj.weight", "weights/vision/blk.3" },
        { "vision_tower.vision_model.embeddings.patch_embedding.weight", "weights/vision/patch" },
        { "vision_tower.vision_model.post_layernorm.weight", "weights/vision/norm" },
        { "multi_modal_projector.mm_input_projection_weight", "weights/projector" },
        { "model.visual.blocks.3.attn.qkv.weight", "weights/vision/blk.3" },
        { "visual.merger.mlp.0.weight", "weights/projector" },
        { "visual.patch_embed.proj.weight", "weights/vision/patch" },
        { "audio_tower.layers.2.fc1.weight", "weights/audio/blk.2" },
        { "transformer.h.11.attn.c_attn.weight", "weights/layer.11/attention" },
        { "transformer.h.11.mlp.c_fc.weight", "weights/layer.11/ffn" },
        { "transformer.h.11.ln_1.weight", "weights/layer.11/norm" },
        { "transformer.wte.weight", "weights/embedding" },
        { "transformer.ln_f.weight", "weights/norm" },
        { "bert.encoder.layer.4.attention.self.query.weight", "weights/layer.4/attention" },
        { "bert.encoder.layer.4.output.dense.weight", "weights/layer.4/ffn" },
    };
    (void)state;
    CHECK_NAMES(pairs);
}

static void adapters_have_their_own_name(void **state)
{
    char text[MODEL_COMPONENT];
    int32_t layer;
    (void)state;
    assert_string_equal(model_component("blk.0.attn_q.weight.lora_a", "style", text, &layer), "weights/lora/style");
    assert_int_equal(layer, -1);
    assert_string_equal(model_component("base.layers.1.q_proj.lora_B.weight", NULL, text, NULL), "weights/lora");
}

static void names_of_other_things_are_unknown(void **state)
{
    static const char *const names[] = { "cache_k_l12",
                                         "cache_v_l0",
                                         "inp_embd",
                                         "node_17",
                                         "leaf_3",
                                         "kq_mask",
                                         "blk",
                                         "",
                                         "xblk.0.attn_q.weight",
                                         "blk.99999999999.attn_q.weight" };
    char text[MODEL_COMPONENT], name[5000];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_null(model_component(names[i], NULL, text, NULL));
    memset(name, '*', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_null(model_component(name, NULL, text, NULL));
}

static void derived_names_lead_to_their_tensor(void **state)
{
    char stem[100];
    (void)state;
    assert_false(model_name_derived("blk.0.attn_q.weight", stem, sizeof stem));
    assert_string_equal(stem, "blk.0.attn_q.weight");
    assert_true(model_name_derived("blk.0.attn_q.weight (transposed) (cont)", stem, sizeof stem));
    assert_string_equal(stem, "blk.0.attn_q.weight");
    assert_true(model_name_derived("cache_k_l3 (view) (copy of Kcur-3)", stem, sizeof stem));
    assert_string_equal(stem, "cache_k_l3");
    assert_true(model_name_derived("CUDA0#blk.1.ffn_up.weight#0", stem, sizeof stem));
    assert_string_equal(stem, "blk.1.ffn_up.weight");
    assert_true(model_name_derived("CPU#cache_k_l3 (view)#12", stem, sizeof stem));
    assert_string_equal(stem, "cache_k_l3");
    assert_false(model_name_derived("", stem, sizeof stem));
    assert_false(model_name_derived("a#b", stem, sizeof stem));
    assert_true(model_name_derived("long (view)", stem, 3));
    assert_string_equal(stem, "lo");
}

/* --- a file ------------------------------------------------------------------------------------------------------ */

static uint8_t bytes[4096];
static size_t size;

static void put(const void *data, size_t count)
{
    memcpy(bytes + size, data, count);
    size += count;
}

static void put32(uint32_t n)
{
    put(&n, sizeof n);
}

static void put64(uint64_t n)
{
    put(&n, sizeof n);
}

static void put_text(const char *text)
{
    put64(strlen(text));
    put(text, strlen(text));
}

static void put_number(const char *key, uint32_t n)
{
    put_text(key);
    put32(4);
    put32(n);
}

static void put_tensor(const char *name, uint64_t rows, uint64_t at)
{
    put_text(name);
    put32(2);
    put64(256);
    put64(rows);
    put32(8);
    put64(at);
}

/* A model of two layers, with a value of each kind. */
static void make_file(char path[32])
{
    float quarter = 0.25f;
    size = 0;
    put("GGUF", 4);
    put32(3);
    put64(2);
    put64(10);
    put_text("general.architecture"), put32(8), put_text("llama");
    put_number("llama.block_count", 2);
    put_number("llama.embedding_length", 64);
    put_number("llama.attention.head_count", 4);
    put_text("llama.attention.head_count_kv"), put32(9), put32(5), put64(2), put32(1), put32(2);
    put_text("real"), put32(6), put(&quarter, 4);
    put_text("negative"), put32(1), put("\xff", 1);
    put_text("truth"), put32(7), put("\1", 1);
    put_text("words"), put32(9), put32(8), put64(2), put_text("one"), put_text("two");
    put_number("llama.context_length", 1024);
    put_tensor("token_embd.weight", 2, 0);
    put_tensor("blk.1.ffn_up.weight", 1, 544);
    size = (size + 31) / 32 * 32;
    size += 544 + 288;
    strcpy(path, "/tmp/memtap-model-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
}

static void keys_give_numbers_texts_and_elements(void **state)
{
    char path[32];
    struct model m;
    struct error e;
    uint64_t n;
    double real;
    (void)state;
    make_file(path);
    assert_true(model_open(path, &m, &e));
    assert_string_equal(m.architecture, "llama");
    assert_int_equal(model_key_count(&m), 10);
    assert_true(model_u64(&m, "llama.attention.head_count_kv", 1, &n) && n == 2);
    assert_false(model_u64(&m, "llama.attention.head_count_kv", 2, &n));
    assert_false(model_u64(&m, "negative", 0, &n));
    assert_false(model_u64(&m, "real", 0, &n));
    assert_false(model_u64(&m, "absent", 0, &n));
    assert_true(model_u64(&m, "truth", 0, &n) && n == 1);
    assert_true(model_f64(&m, "real", 0, &real) && real > 0.24 && real < 0.26);
    assert_true(model_f64(&m, "negative", 0, &real) && real < 0);
    assert_int_equal(model_count(&m, "words"), 2);
    assert_null(model_text(&m, "words"));
    char *word = model_text_at(&m, "words", 1);
    assert_string_equal(word, "two");
    free(word);
    assert_null(model_text_at(&m, "words", 2));
    model_close(&m);
    unlink(path);
}

static void tensors_are_found_with_place_and_component(void **state)
{
    char path[32];
    struct model m;
    struct error e;
    (void)state;
    make_file(path);
    assert_true(model_open(path, &m, &e));
    const struct model_tensor *t = model_find(&m, "blk.1.ffn_up.weight");
    assert_non_null(t);
    assert_string_equal(t->component, "weights/layer.1/ffn");
    assert_int_equal(t->layer, 1);
    assert_int_equal(t->bytes, 272);
    assert_int_equal(t->offset, m.file[0].data + 544);
    assert_int_equal(m.file[0].size, size);
    assert_null(model_find(&m, "absent"));
    model_close(&m);
    unlink(path);
}

static void caches_are_sized_layer_by_layer(void **state)
{
    char path[32];
    struct model m;
    struct error e;
    struct need_kv kv;
    struct need_options o = { .ctx = 1000, .parallel = 1, .batch = 512 };
    (void)state;
    o.keys = o.values = model_type_named("F16");
    make_file(path);
    assert_true(model_open(path, &m, &e));
    assert_true(need_kv(&m, &o, &kv));
    assert_int_equal(kv.layers, 2);
    assert_int_equal(kv.cells, 1024); /* in steps of 256 */
    assert_int_equal(kv.layer[0].token, 2 * 16 * 2);
    assert_int_equal(kv.layer[1].token, 2 * 2 * 16 * 2);
    assert_int_equal(kv.bytes[NEED_FULL], 1024 * 3 * 64);
    need_kv_free(&kv);
    o.ctx = 0; /* what the model was trained for, if that is less than 4,096 */
    assert_true(need_kv(&m, &o, &kv));
    assert_int_equal(kv.ctx, 1024);
    need_kv_free(&kv);
    model_close(&m);
    unlink(path);
}

static void an_empty_tensor_needs_no_padding(void **state)
{
    char path[32] = "/tmp/memtap-model-XXXXXX";
    struct model m;
    struct error e;
    (void)state;
    size = 0;
    put("GGUF", 4), put32(3), put64(1), put64(0);
    put_text("a"), put32(1), put64(0), put32(0), put64(0);
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
    assert_true(model_open(path, &m, &e));
    assert_int_equal(m.tensor[0].offset, size);
    model_close(&m);
    unlink(path);
}

static void every_cut_of_a_file_is_refused(void **state)
{
    char path[32];
    struct model m;
    struct error e;
    (void)state;
    make_file(path);
    for (size_t length = size; length-- > 0;) {
        assert_int_equal(truncate(path, (off_t)length), 0);
        bool padding_only = length >= size - 16; /* behind the last tensor */
        assert_int_equal(model_open(path, &m, &e), padding_only);
        if (padding_only)
            model_close(&m);
        else
            assert_int_equal(e.code, EXIT_DAMAGED);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_their_block_sizes),
        cmocka_unit_test(gguf_names_are_known),
        cmocka_unit_test(ollama_spells_some_differently),
        cmocka_unit_test(hugging_face_names_are_known),
        cmocka_unit_test(adapters_have_their_own_name),
        cmocka_unit_test(names_of_other_things_are_unknown),
        cmocka_unit_test(derived_names_lead_to_their_tensor),
        cmocka_unit_test(keys_give_numbers_texts_and_elements),
        cmocka_unit_test(tensors_are_found_with_place_and_component),
        cmocka_unit_test(caches_are_sized_layer_by_layer),
        cmocka_unit_test(an_empty_tensor_needs_no_padding),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
    };
    return unit_main(tests);
}
