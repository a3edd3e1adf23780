/* ollama_int.h - what the files of the Ollama wires share. Family-private. */
#ifndef EW_OLLAMA_INT_H
#define EW_OLLAMA_INT_H

#include "api/read.h"
#include "api/write.h"

/* What /api/chat and /api/generate have in common, into in->request: model, stream, options,
 * format, keep_alive, logprobs, think. */
void ew_ollama_fields_read(struct ew_read *in, const json_t *root);
/* The array that "messages" is; empty: load_only. */
void ew_ollama_messages_read(struct ew_read *in, const json_t *root);
/* The messages that a prompt and a system text make. */
void ew_ollama_prompt_messages(struct ew_read *in, const char *system, const char *prompt);
/* A field that must be empty, an array or a string, for `why` is what the client is told. */
void ew_ollama_refuse(struct ew_read *in, const json_t *object, const char *where, const char *key,
                      const char *why);
/* A request without prompt loads the model, or unloads it; it is answered at once and whole. */
void ew_ollama_load_only(struct ew_read *in);

/* "2026-11-24T03:00:00Z"; null where the time isn't known. */
void ew_ollama_put_time(struct ew_jsonw *json, const char *key, int64_t unix_s);
/* Opens a line: model, created_at. */
void ew_ollama_head(struct ew_jsonw *json, const struct ew_reply *reply);
/* What is told of tokens that were asked for; nothing where there are none. */
void ew_ollama_logprobs(struct ew_jsonw *json, const struct ew_delta *delta);
/* done, why, and what it took; closes the line. */
void ew_ollama_done(struct ew_jsonw *json, const struct ew_reply *reply, enum ew_finish finish);
int ew_ollama_start(const struct ew_reply *reply, struct ew_buf *out);
int ew_ollama_error(const struct ew_fault *fault, struct ew_buf *out);

#endif
