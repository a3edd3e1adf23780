/* eval_logprobs.h - `eval perplexity --logprobs K FILE`: JSON lines in, JSON lines out. */
#ifndef EW_EVAL_LOGPROBS_H
#define EW_EVAL_LOGPROBS_H

#include "edgewise.h"

enum { EW_EVAL_TOP_MAX = 1000 };

/* A line {"text": "..."} or {"tokens": [...]} gives {"top": [{"token", "text", "logprob"}...]}. */
int ew_eval_logprobs(struct ew_model *model, const char *file, int k, struct ew_err *err);

#endif
