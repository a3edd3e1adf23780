/* grammars.h - grammars made once: requests with the same schema share one.
 *
 * A client sends the same schema with each request, and making an automaton over a vocabulary takes
 * milliseconds to seconds. Kept are EW_GRAMMARS_MAX, the least used one goes first; what a request
 * still uses stays until it is put back. Any thread. */
#ifndef EW_GRAMMARS_H
#define EW_GRAMMARS_H

#include "base/err.h"

enum { EW_GRAMMARS_MAX = 32 };

struct ew_grammars;
struct ew_grammars_entry;

int ew_grammars_open(struct ew_grammars **gives, struct ew_err *err);
void ew_grammars_close(struct ew_grammars **grammars);
/* Makes it or finds it; to be put back. */
int ew_grammars_get(struct ew_grammars *grammars, const struct ew_model *model,
                    const struct ew_grammar_params *params, struct ew_grammars_entry **gives,
                    struct ew_err *err);
const struct ew_grammar *ew_grammars_grammar(const struct ew_grammars_entry *entry);
void ew_grammars_put(struct ew_grammars *grammars, struct ew_grammars_entry **entry);
/* Those of a model that is about to be closed; none of them is in use. */
void ew_grammars_forget(struct ew_grammars *grammars, const struct ew_model *model);

#endif
