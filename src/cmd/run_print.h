/* run_print.h - what `run` says of an answer: one line for people, one object for programs. */
#ifndef EW_RUN_PRINT_H
#define EW_RUN_PRINT_H

#include <stdio.h>

#include "edgewise.h"
#include "measure/answer.h"
#include "measure/compare.h"

/* "41 tokens, 212.0 tokens/s (40 times reading speed), first after 23 ms, energy unknown". */
void ew_run_print_line(FILE *out, const struct ew_answer *answer);
/* The object of `run --json` on stdout; `compare` may be NULL. */
int ew_run_print_json(const struct ew_answer *answer, const struct ew_model *model,
                      const struct ew_compare *compare, struct ew_err *err);
/* By the answer's own words where it has enough to tell, else by the usual ratio. */
double ew_run_tokens_per_word(const struct ew_answer *answer);

#endif
