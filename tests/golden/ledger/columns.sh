edgewise ledger --columns
