edgewise ledger what req_1
