/* run_chat.h - `run` in a terminal: a conversation, turn by turn. */
#ifndef EW_RUN_CHAT_H
#define EW_RUN_CHAT_H

#include "edgewise.h"
#include "measure/answer.h"

/* Until ^D or /exit; system may be NULL. The session keeps what both sides said: a turn computes
 * only what is new. */
int ew_run_chat(const struct ew_model *model, struct ew_session *session, const char *system,
                const struct ew_answer_params *params, struct ew_err *err);

#endif
