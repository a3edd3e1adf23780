#!/bin/bash
# test_service.sh - `make install` puts a unit there that systemd takes without a complaint, and that
# is locked up as tightly as it was.
EXPOSURE_MAX=20 # of systemd-analyze security, in tenths
command -v systemd-analyze >/dev/null || {
    echo "systemd-analyze isn't here"
    exit 77
}
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
make -s MODE="${MODE:-release}" PREFIX="$here" install >/dev/null 2>&1 || {
    echo "failed: make install"
    exit 1
}
unit=$here/lib/systemd/system/edgewise.service
said=$(systemd-analyze verify --man=no "$unit" 2>&1) && [ -z "$said" ] || {
    echo "failed: systemd-analyze verify says: $said"
    exit 1
}
grep -q "^ExecStart=$here/bin/edgewise serve " "$unit" && [ -s "$here/share/edgewise/edgewise.schema.json" ] || {
    echo "failed: the unit doesn't start what was installed, or the schema isn't there"
    exit 1
}
if level=$(systemd-analyze security --offline=true "$unit" 2>/dev/null | grep -oE 'level for .*: [0-9]+\.[0-9]'); then
    level=${level##*: }
    [ "${level/./}" -le $EXPOSURE_MAX ] || {
        echo "failed: exposure $level"
        exit 1
    }
fi
make -s PREFIX="$here" uninstall && [ ! -e "$unit" ]
