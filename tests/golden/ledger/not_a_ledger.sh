echo "dear diary, this is no database at all" >notes
edgewise ledger --db notes
