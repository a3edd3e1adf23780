/* fault.c - what is wrong with a request, in the kinds that OpenAI's clients know.
 *
 * The official clients choose their exception by the status; scripts look at type and code. OpenAI
 * answers nearly all that a client did wrong with invalid_request_error, a wrong key included. */
#include "api/wire.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int status;
    const char *type, *code; /* the code where the caller names none */
} kinds[] = {
    {401, "invalid_request_error", "invalid_api_key"},
    {403, "permission_error", NULL},
    {429, "requests", "rate_limit_exceeded"},
    {503, "server_error", "service_unavailable"},
};

void ew_fault_set(struct ew_fault *fault, int status, const char *code, const char *param,
                  const char *format, ...)
{
    *fault = (struct ew_fault){.status = status, .code = code};
    fault->type = status >= 500 ? "server_error" : "invalid_request_error";
    for (size_t i = 0; i < EW_COUNT(kinds); i++)
        if (kinds[i].status == status) {
            fault->type = kinds[i].type;
            fault->code = code ? code : kinds[i].code;
        }
    if (param)
        snprintf(fault->param, sizeof fault->param, "%s", param);
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(fault->message, sizeof fault->message, format, args);
    va_end(args);
    if (bytes >= (int)sizeof fault->message - 1) /* no half character at the cut */
        fault->message[ew_utf8_valid(fault->message, strlen(fault->message))] = '\0';
}
