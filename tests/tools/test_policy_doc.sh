#!/bin/sh
# test_policy_doc.sh - docs/POLICY.md names every selection, refusal and reason of src/flow/decision.h,
# and every health of src/policy/place.h.
words=$(sed -n 's/^    X([A-Z_]*, "\([a-z_-]\{1,\}\)",.*/\1/p' src/flow/decision.h src/policy/place.h)
[ "$(echo "$words" | wc -l)" -ge 40 ] || { echo "found too few words: has the form of the lists changed?"; exit 1; }
missing=
for word in $words; do
    case $word in
        offline|unhealthy|refused) grep -q "$word" docs/POLICY.md || missing="$missing $word" ;;
        healthy|unknown|busy|warming) grep -q "$word [01]" docs/POLICY.md || missing="$missing $word" ;;
        *) grep -q "\`$word\`" docs/POLICY.md || missing="$missing $word" ;;
    esac
done
[ -z "$missing" ] && exit 0
echo "docs/POLICY.md doesn't name:$missing"
exit 1
