edgewise ledger --help
