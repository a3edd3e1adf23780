edgewise ledger why req_1 --sum all
