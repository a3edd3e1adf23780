/* main.c - the table of subcommands and nothing else. */
#include <stdio.h>

int main(void)
{
    fputs("edgewise: no subcommands yet\n", stderr);
    return 2;
}
