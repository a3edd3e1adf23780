/* account.h - the row of each request: what was asked, what came of it, what it took. */
#ifndef EW_ACCOUNT_H
#define EW_ACCOUNT_H

#include "serve/exchange.h"

/* Of one that ends now. True: its answer has to wait until the ledger says that the row is safe. */
bool ew_account_put(struct ew_exchange *exchange);
/* Of one that never became an exchange: a wrong key. */
void ew_account_refused(struct ew_server *server, const struct ew_http_request *http,
                        const char *id, const struct ew_fault *fault);

#endif
