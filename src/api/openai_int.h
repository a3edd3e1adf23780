/* openai_int.h - what the files of the OpenAI wires share: the fields that both kinds of request
 * have, and the pieces that their answers have in common. Family-private. */
#ifndef EW_OPENAI_INT_H
#define EW_OPENAI_INT_H

#include "api/read.h"
#include "api/write.h"

/* A chat's messages, where its body's one pass could read them. */
struct ew_openai_messages {
    struct ew_buf out;  /* as a request has them */
    struct ew_buf text; /* one without its escapes */
    struct ew_jsonw json;
    struct ew_scan_aside aside;
};

struct ew_scan_aside *ew_openai_messages_init(struct ew_openai_messages *messages,
                                              size_t body_bytes);
void ew_openai_messages_fini(struct ew_openai_messages *messages);

/* Each reads its part of the body into in->request. */
void ew_openai_fields_read(struct ew_read *in, const json_t *root);
void ew_openai_messages_read(struct ew_read *in, const json_t *root,
                             struct ew_openai_messages *plain);
/* tools, tool_choice, parallel_tool_calls, response_format. */
void ew_openai_tools_read(struct ew_read *in, const json_t *root);
/* Of these, the tools alone; the array as it came, or NULL. */
const json_t *ew_openai_tools_list(struct ew_read *in, const json_t *root);
/* One string, or an array of them. */
void ew_openai_stops_read(struct ew_read *in, const json_t *object, const char *where);
/* How a template calls such a role; NULL: there is none. */
const char *ew_openai_role_ours(struct ew_str theirs);
/* The same of the message's role; NULL: a fault. */
const char *ew_openai_role(struct ew_read *in, const json_t *message, const char *where);

/* "data: " in front, an empty line behind. */
void ew_openai_event_begin(struct ew_write *text, struct ew_buf *out);
int ew_openai_event_end(struct ew_write *text);

/* Opens the object: id, object, created, model, system_fingerprint. */
void ew_openai_head(struct ew_jsonw *json, const struct ew_reply *reply, const char *object);
void ew_openai_usage(struct ew_jsonw *json, const struct ew_reply *reply);
/* A stream with include_usage has the key in each chunk: null, until the one that ends it. */
void ew_openai_usage_later(struct ew_jsonw *json, const struct ew_reply *reply);
void ew_openai_finish(struct ew_jsonw *json, enum ew_finish finish);
/* The chunk with the usage, if it was asked for, and "[DONE]". */
int ew_openai_stream_end(const struct ew_reply *reply, const char *object, struct ew_buf *out);
int ew_openai_error(const struct ew_fault *fault, struct ew_buf *out);
int ew_openai_stream_error(const struct ew_fault *fault, struct ew_buf *out);

#endif
