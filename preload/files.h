/*
 * files.h: which descriptors lead to model files: GGUF, safetensors, or the zip of a torch checkpoint, told by their
 * first bytes. A descriptor is looked at when it is first read from, and then remembered until it is opened, closed or
 * duplicated anew; so opening a file costs nothing, and its access time changes only when the program reads it.
 *
 * No locks. What is remembered of a model file's descriptor is checked at every use, because libc, system calls and
 * vfork children close and open descriptors unseen; so a wrong file is never reported, but one may be missed.
 */
#ifndef PRELOAD_FILES_H
#define PRELOAD_FILES_H

#include "sys.h"

/* Shorter reads are not looked at: the vocabulary of a GGUF file is hundreds of thousands of them. */
#define FILES_LEAST 64u

#define FILES_DESCRIPTORS 1024u /* higher ones are not looked at */

enum { FILES_UNKNOWN = 0, FILES_OTHER = 1, FILES_FIRST = 2 /* the first model file */ };

/* Of each descriptor, one of the above, or FILES_FIRST + the number of a model file. */
extern uint16_t files_known[FILES_DESCRIPTORS];

/* Hot path: whether it is worth asking. */
static inline bool files_may_be_model(int fd)
{
    return (unsigned)fd < FILES_DESCRIPTORS &&
           __atomic_load_n(&files_known[fd], __ATOMIC_RELAXED) != (uint16_t)FILES_OTHER;
}

/* The path of the model file that the descriptor leads to; NULL if it leads elsewhere. Makes system calls. */
const char *files_model(int fd);

/* The descriptor was given out or given up: what was known of it no longer counts. */
static inline void files_changed(int fd)
{
    if ((unsigned)fd < FILES_DESCRIPTORS && __atomic_load_n(&files_known[fd], __ATOMIC_RELAXED) != FILES_UNKNOWN)
        __atomic_store_n(&files_known[fd], FILES_UNKNOWN, __ATOMIC_RELAXED);
}

#endif
