edgewise ledger
