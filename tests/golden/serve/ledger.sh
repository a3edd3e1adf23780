echo 'devices: [{name: a, url: "http://127.0.0.1:9/v1"}]' >edgewise.yaml
timeout 1 edgewise serve --config edgewise.yaml --port 0 --ledger new/folder/x.db 2>&1 | grep ledger
ls new/folder/x.db
