/* run_print.h - what `run` says of an answer: one line for people, one object for programs. */
#ifndef EW_RUN_PRINT_H
#define EW_RUN_PRINT_H

#include <stdio.h>

#include "edgewise.h"
#include "measure/answer.h"

/* "41 tokens, 212.0 tokens/s (40 times reading speed), first after 23 ms, energy unknown". */
void ew_run_print_line(FILE *out, const struct ew_answer *answer);
/* The object of `run --json` on stdout (docs/JSON.md). */
int ew_run_print_json(const struct ew_answer *answer, const struct ew_model *model,
                      struct ew_err *err);

#endif
