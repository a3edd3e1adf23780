edgewise ledger --since teatime
