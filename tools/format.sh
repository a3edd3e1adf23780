#!/bin/sh
# format.sh - clang-format over the files given: --check says which differ, --write rewrites them.
# Versions of clang-format disagree with each other, so only the one named here is believed.
version=14
how=$1
shift
tool=
for name in clang-format-$version clang-format; do
    if command -v $name >/dev/null && $name --version | grep -q "version $version\."; then
        tool=$name
        break
    fi
done
if [ -z "$tool" ]; then
    echo "format: skipped, there is no clang-format $version here"
    exit 77
fi
failed=0
for file in "$@"; do
    # What a program writes, that program formats; its plate says "generated".
    sed '/\*\//q' "$file" | grep -q generated && continue
    if [ "$how" = --write ]; then
        $tool -i "$file"
    elif ! $tool "$file" | cmp -s - "$file"; then
        echo "$file: not as clang-format $version writes it ('make fmt')"
        failed=1
    fi
done
exit $failed
