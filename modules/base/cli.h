/* SPDX-License-Identifier: MIT */
/*
 * cli - from argv to a running command: names, global options, help texts, reports, exit codes.
 *
 * Names: argv[0] without directory, leading '-' and trailing ".exe" picks the command when it is
 * nk-X, netkit-X or X itself; any other name (netkit, netkit-1.2, app, init) means that the first
 * words do.
 */
#ifndef NK_BASE_CLI_H
#define NK_BASE_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include "base/args.h"
#include "base/buf.h"
#include "base/cmd.h"
#include "base/json.h"

#define NK_CLI_MAX_SECTIONS 64
#define NK_CLI_MAX_NAME 64 /* longest command name, with its terminator */

/* A command table; the program's own is nk_cmd_table. */
struct nk_cmds {
    const struct nk_cmd_entry *v;
    size_t n;
};

/* Which command the words name. */
struct nk_cli_target {
    const struct nk_cmd_entry *entry; /* NULL: no complete command */
    char name[NK_CLI_MAX_NAME];       /* words matched: "relay status", "config", "" */
    bool help;                        /* `GROUP help [VERB]` */
    int argc;                         /* words that are left: options and operands */
    char **argv;                      /* free() the array; words borrowed from the caller */
    int raw;                          /* of a RAW command: how many of them are not its own */
};

/* nk_cli_resolve - find the command of a whole argv (argc may be 0). 0; NK_ENOCMD (diag has a
 * suggestion), -ENOMEM. On success free out->argv. */
int nk_cli_resolve(struct nk_cli_target *out, struct nk_cmds cmds, int argc, char **argv,
                   struct nk_diag *diag);

/* nk_cli_find - the entry of exactly that name (words joined by spaces), or NULL. */
const struct nk_cmd_entry *nk_cli_find(struct nk_cmds cmds, const char *name);

/* nk_cli_has_children - do longer names begin with `name` and a space? "" always does. */
bool nk_cli_has_children(struct nk_cmds cmds, const char *name);

/* nk_cli_suggest - "did you mean" into the hint of diag for a wrong word below `parent`. */
void nk_cli_suggest(struct nk_cmds cmds, const char *parent, const char *word,
                    struct nk_diag *diag);

/* nk_cli_opts / nk_cli_conf_size - a command's rows: its own, else its section's. */
const struct nk_opt *nk_cli_opts(const struct nk_cmd *cmd);
size_t nk_cli_conf_size(const struct nk_cmd *cmd);

/* nk_cli_sections - every section that some command defines, each once, in the order of the table;
 * out has NK_CLI_MAX_SECTIONS + 1 places and ends with NULL. Returns how many there are. */
size_t nk_cli_sections(struct nk_cmds cmds, const struct nk_section **out);

/* nk_cli_globals - rows of the options that every command takes, over struct nk_globals (the rows
 * help, version and verbose have no field of their own type: cli.c counts them). */
extern const struct nk_opt nk_cli_globals[];

/*
 * Texts. All append to out and return 0 or the buffer's error. A help text is the same from `help
 * X`, `X --help` and (with the HIDDEN rows, full = true) `man X`: lines in the first column are
 * headings, the rest is indented.
 */
int nk_help_overview(struct nk_buf *out, struct nk_cmds cmds);
int nk_help_group(struct nk_buf *out, struct nk_cmds cmds, const char *name);
int nk_help_command(struct nk_buf *out, struct nk_cmds cmds, const struct nk_cmd_entry *entry,
                    bool full);
int nk_help_globals(struct nk_buf *out);
int nk_help_exit_codes(struct nk_buf *out);
int nk_help_version(struct nk_buf *out, bool json);

/* nk_help_wrap - append text, broken at white space, to a line that has `col` columns already;
 * further lines are indented by `indent`; the result ends with a line feed. */
int nk_help_wrap(struct nk_buf *out, size_t col, size_t indent, const char *text);

/* nk_help_entry - one line "  left    right", right in its column and wrapped. */
int nk_help_entry(struct nk_buf *out, const char *left, const char *right);

/* nk_help_param - the line of a row that is written KEY=VALUE (parameters of endpoint strings). */
int nk_help_param(struct nk_buf *out, const struct nk_opt *row);

/* nk_cli_print - write all of buf to stdout; errors show at nk_cli_flush. */
void nk_cli_print(const struct nk_buf *buf);

/* nk_cli_put_json - end the document of j and print it as a line, as nk_cli_print does; its buffer
 * is cleared. 0, or why it could not be made, with diag. */
int nk_cli_put_json(struct nk_json *j, struct nk_diag *diag);

/* nk_cli_flush - flush stdout. 0, NK_EOUTPUT with diag, or -EPIPE when the reader went away. */
int nk_cli_flush(struct nk_diag *diag);

/* nk_cli_report - one line "netkit NAME: text (hint: ...)" on stderr, or a JSON object. */
void nk_cli_report(const char *name, const struct nk_diag *diag, bool json);

/* nk_cli_report_problems - the problems of a load, each on a line. name NULL: without prefix. */
void nk_cli_report_problems(const char *name, const struct nk_conf *c, bool json);

/* nk_cli_load - load the configuration that the global options, the environment and the usual
 * places give. As nk_conf_load, whose *out it sets. */
int nk_cli_load(struct nk_conf **out, struct nk_cmds cmds, const struct nk_globals *globals,
                const struct nk_section *flags_for, nk_conf_ep_check *check, struct nk_diag *diag);

/* nk_cli_state_dir - the state directory for --state-dir `given` (may be NULL): NETKIT_STATE_DIR,
 * $STATE_DIRECTORY, /var/lib/netkit for root, $XDG_STATE_HOME/netkit, $HOME/.local/state/netkit. */
void nk_cli_state_dir(char *out, size_t max, const char *given);

/* nk_stdio_open - make sure that descriptors 0, 1 and 2 are open, so that no file ever gets one of
 * their numbers. What was closed fails when used: writing to such a stdout is an error. */
void nk_stdio_open(void);

/* What base cannot do itself; NULL members are left out. */
struct nk_cli_hooks {
    int (*launch)(struct nk_launcher **out, struct nk_diag *diag);
    void (*launch_end)(struct nk_launcher *l);
    nk_conf_ep_check *check_endpoint;
};

/* nk_cli_main - everything between main() and a command's run(). Returns the exit status. */
int nk_cli_main(int argc, char **argv, const struct nk_cli_hooks *hooks);

#endif
