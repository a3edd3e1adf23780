/* http_head.h - what the head of a request means: the parser's other half, and its alone. */
#ifndef EW_HTTP_HEAD_H
#define EW_HTTP_HEAD_H

#include "net/http_parse.h"

void ew_http_parse_fail(struct ew_http_parse *parse, int status, const char *message);
/* One header is complete. */
void ew_http_head_field(struct ew_http_parse *parse, const char *name, const char *value);
/* All are: the target is taken apart, the body's length decided. */
void ew_http_head_end(struct ew_http_parse *parse);

#endif
