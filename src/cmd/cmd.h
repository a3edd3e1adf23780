/* cmd.h - the subcommands: arguments in, exit status out.
 *
 * Each lives in src/cmd/cmd_<name>.c, under 200 lines: it reads its arguments (base/args.h), makes
 * one call into the room that does the work, and prints. A command gets its own name as argv[0].
 * It returns the exit status: 0 done, 1 failed, 2 called wrongly. A new command is a declaration
 * here and a row in main.c. */
#ifndef EW_CMD_H
#define EW_CMD_H

int ew_cmd_bench(int argc, char **argv);
int ew_cmd_doctor(int argc, char **argv);
int ew_cmd_eval(int argc, char **argv);
int ew_cmd_ledger(int argc, char **argv);
int ew_cmd_pcr(int argc, char **argv);
int ew_cmd_pull(int argc, char **argv);
int ew_cmd_run(int argc, char **argv);
int ew_cmd_serve(int argc, char **argv);
int ew_cmd_tokenize(int argc, char **argv);

#endif
