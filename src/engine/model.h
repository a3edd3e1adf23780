/* model.h - what struct ew_model is, for the rooms of the engine only. */
#ifndef EW_MODEL_H
#define EW_MODEL_H

#include <pthread.h>

#include "engine/forward.h"
#include "engine/plan.h"
#include "model/template.h"
#include "model/tokenizer.h"

/* A prompt is computed in chunks of this many tokens unless a session says otherwise: enough that
 * reading the weights for each chunk doesn't count, little enough that working space stays a few
 * percent of the model. Measured with 128, 256 and 512: the same speed, 10 MB less at 128 than at
 * 512 for a model of 98 MB. A multiple of forward.c's blocks of 64 tokens shares out evenly. */
enum { EW_CHUNK_DEFAULT = 128 };

struct ew_model {
    struct ew_gguf *gguf;
    struct ew_tokenizer *tokenizer;
    struct ew_template *chat;
    struct ew_network net;
    struct ew_plan plan;
    uint64_t memory_allowed; /* for the model and what is opened of it */
    bool vocab_only, has_chat_template;
    char name[128];
    pthread_mutex_t computing; /* one session computes at a time: the pool is shared */
};

#endif
