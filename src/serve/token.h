/* token.h - what a device shows to be let in, and how the front knows that it made it itself.
 *
 * Two kinds. A join token is made by `edgewise serve --new-token` and is good for EW_TOKEN_JOIN_S
 * and for one device: who shows it second is refused. With it the device gets a membership, which
 * is good for EW_TOKEN_MEMBER_S and renewed each time it is shown, so that the device comes back by
 * itself after an outage. Both are texts signed with the front's secret (HMAC-SHA-256):
 * "ewj1.NAME.EXPIRES.NONCE.SIGNATURE", "ewm1.…"; the front keeps nothing but the nonces of join
 * tokens that were used, in a file beside its secret, until they have run out. */
#ifndef EW_TOKEN_H
#define EW_TOKEN_H

#include "base/err.h"

enum {
    EW_TOKEN_BYTES = 256, /* of its text, with the NUL */
    EW_TOKEN_NAME_BYTES = 64,
    EW_TOKEN_JOIN_S = 900,
    EW_TOKEN_MEMBER_S = 30 * 86400,
    EW_TOKEN_USED_MAX = 4096, /* used ones that haven't run out */
};

enum ew_token_kind { EW_TOKEN_JOIN, EW_TOKEN_MEMBER };

struct ew_tokens; /* a front's secret, and what was used */

/* The secret is made, mode 0600, where the file isn't there. */
int ew_tokens_open(struct ew_tokens **gives, const char *path, struct ew_err *err);
void ew_tokens_close(struct ew_tokens **tokens);

/* name: letters, digits, dashes, underscores; "" for a join token that lets the device choose. */
int ew_tokens_make(struct ew_tokens *tokens, enum ew_token_kind kind, const char *name,
                   int64_t now_s, char text[EW_TOKEN_BYTES], struct ew_err *err);
/* Whether it is good now; EW_EINVAL with a sentence: it isn't ours, has run out, or was used. */
int ew_tokens_check(struct ew_tokens *tokens, const char *text, int64_t now_s,
                    enum ew_token_kind *kind, char name[EW_TOKEN_NAME_BYTES], struct ew_err *err);
/* The same, and a join token is used from now on; call it when its device is let in. Where that
 * can't be written down it is as good as before. */
int ew_tokens_use(struct ew_tokens *tokens, const char *text, int64_t now_s, struct ew_err *err);

#endif
