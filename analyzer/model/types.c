/* types.c: the types of types.def. See model.h. */
#include <strings.h>

#include "model/model.h"

static const struct model_type types[] = {
#define GGML_TYPE(number_, name_, block_, bytes_, quantised_, repacked_)                                               \
    { .name = name_,                                                                                                   \
      .number = number_,                                                                                               \
      .block = block_,                                                                                                 \
      .bytes = bytes_,                                                                                                 \
      .quantised = quantised_,                                                                                         \
      .repacked = repacked_ },
#define OTHER_TYPE(name_, bytes_) { .name = name_, .number = -1, .block = 1, .bytes = bytes_ },
#include "model/types.def"
};

const struct model_type *model_type(uint32_t number)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].number >= 0 && (uint32_t)types[i].number == number)
            return &types[i];
    return NULL;
}

const struct model_type *model_type_named(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcasecmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}
