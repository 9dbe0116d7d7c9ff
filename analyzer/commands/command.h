/* command.h: what the verbs share: how they complain, and options that several of them have. Inside commands/. */
#ifndef COMMANDS_COMMAND_H
#define COMMANDS_COMMAND_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attribute/attribute.h"
#include "base/error.h"
#include "residency/residency.h"
#include "symbols/symbols.h"
#include "trace/trace.h"

/* What the verbs that explain memory work on. */
struct command_input {
    struct session session;
    struct rules *rules;
    struct symbols *symbols;
};

/* Opens a session; says on stderr what of it could not be read. */
bool command_session(const char *path, struct session *s, struct error *e);

/* Rule files of the user, in the order in which they are asked: `first` (or NULL), then by name those that end with
 * .rules in $XDG_CONFIG_HOME/memtap (~/.config/memtap without it). */
struct command_rules {
    char **file;
    uint32_t count, room;
};
struct command_rules command_rules_find(const char *first);
void command_rules_free(struct command_rules *files);

/* Opens a session and reads the rules, those of `rules` (or NULL) and the user's first. EXIT_FINE, or the code after a complaint. */
int command_open(struct command_input *in, const char *session, const char *rules);
void command_close(struct command_input *in);

/* The snapshots that were kept of a trace's process; NULL if there are none. Says on stderr what could not be read. */
struct residency *command_residency(const struct trace *t);

/* Prints the sentence to stderr; returns its exit code. */
int command_fail(const struct error *e);

/* Complains about the words of the call and points to the help; returns EXIT_TROUBLE. */
int command_misused(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* After getopt_long said '?' or ':' (with opterr 0 and a leading ':' in the short options): complains. */
int command_bad_option(const char *verb, int answer, char **argv);

/* A whole number, cut to 32 bits; false if it is none. */
bool command_number(const char *text, uint32_t *number);

/* Columns for tables: of the terminal if stdout is one, else of COLUMNS, else 100; never fewer than 60. */
uint32_t command_width(void);

/* Flushes stdout and checks that everything arrived; returns `code`, or EXIT_TROUBLE with a complaint. */
int command_finish(int code);

#endif
