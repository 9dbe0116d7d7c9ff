#include "commands/commands.h"
int command_ls(int c, char **v){ (void)c; (void)v; return 2; } int command_mark(int c, char **v){ (void)c; (void)v; return 2; } int command_pack(int c, char **v){ (void)c; (void)v; return 2; } int command_doctor(int c, char **v){ (void)c; (void)v; return 2; }
