/* dialect_anthropic_int.h - the reading half of Anthropic's dialect. Family-private. */
#ifndef EW_DIALECT_ANTHROPIC_INT_H
#define EW_DIALECT_ANTHROPIC_INT_H

#include "api/dialect_int.h"

void ew_anthropic_answer_whole(struct ew_answer *answer);
void ew_anthropic_answer_event(struct ew_answer *answer, const char *name);

#endif
