/* dialect_openai_int.h - the reading half of OpenAI's dialect. Family-private. */
#ifndef EW_DIALECT_OPENAI_INT_H
#define EW_DIALECT_OPENAI_INT_H

#include "api/dialect_int.h"
#include "api/openai_int.h"

void ew_openai_answer_whole(struct ew_answer *answer);
void ew_openai_answer_event(struct ew_answer *answer, const char *name);
/* [{"token", "logprob", "bytes", "top_logprobs": […]}], which Ollama has, too. */
void ew_openai_answer_tokens(struct ew_answer *answer, const json_t *content,
                             struct ew_delta *delta);

#endif
