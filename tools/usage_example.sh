#!/bin/sh
# usage_example.sh - makes a program of the usage example in include/edgewise.h, on stdout.
#
# The example is the block of its first comment from `struct ew_err err` to the blank line: it can't
# rot, because the tests build and run it. The program takes a model's path and a text; its output
# isn't buffered, so that a test may stop reading after a few tokens.
cat <<'PROGRAM'
#include "edgewise.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const char *path = argv[1], *text = argv[2];
    setvbuf(stdout, NULL, _IONBF, 0);
PROGRAM
sed -n '/^ \*     struct ew_err err/,/^ \*$/s/^ \*     /    /p' "$1"
printf '    return err.code ? 1 : 0;\n}\n'
