#!/bin/sh
# format.sh - every source is as clang-format writes it; skipped where there is none.
exec tools/format.sh --check include/*.h $(find src tests tools -name '*.[ch]')
