/* commands.h: the verbs. Each parses its own options and returns the exit code; argv[0] is the verb. */
#ifndef COMMANDS_COMMANDS_H
#define COMMANDS_COMMANDS_H

int command_run(int argc, char **argv);
int command_report(int argc, char **argv);
int command_leaks(int argc, char **argv);
int command_model(int argc, char **argv);
int command_ls(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_mark(int argc, char **argv);
int command_pause(int argc, char **argv);
int command_resume(int argc, char **argv);
int command_pack(int argc, char **argv);
int command_rules(int argc, char **argv);
int command_doctor(int argc, char **argv);

#endif
