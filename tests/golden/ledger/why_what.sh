edgewise ledger why
