/* ledger_print.h - rows and sums of the ledger on stdout: table, JSON, CSV. */
#ifndef EW_LEDGER_PRINT_H
#define EW_LEDGER_PRINT_H

#include "ledger/query.h"

enum ew_ledger_form { EW_LEDGER_TABLE, EW_LEDGER_JSON, EW_LEDGER_CSV };

enum { EW_LEDGER_TABLE_ROWS_MAX = 10000 }; /* a table is made whole before it is printed */

int ew_ledger_print_rows(struct ew_query *query, const struct ew_query_filter *filter,
                         enum ew_ledger_form form, struct ew_err *err);
int ew_ledger_print_sums(struct ew_query *query, const struct ew_query_filter *filter,
                         enum ew_query_group group, const char *group_name,
                         enum ew_ledger_form form, struct ew_err *err);
/* What the columns mean; a table or JSON. */
int ew_ledger_print_columns(enum ew_ledger_form form, struct ew_err *err);
/* EW_EINVAL, with how many rows it would be. */
int ew_ledger_refuse_to_delete(struct ew_query *query, int64_t before_ms, struct ew_err *err);

#endif
