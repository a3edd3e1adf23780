. $REPO/tests/support/golden_model.sh
edgewise serve nosuch --port 0 --ledger none
edgewise serve smollm2-135m --memory 10M --port 0 --ledger none
