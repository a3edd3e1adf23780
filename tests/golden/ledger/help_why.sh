edgewise ledger why --help | sed '/^options:/,/^$/d'
