/* SPDX-License-Identifier: MIT */
/* Which command do argv[0] and the first words name? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/codec.h"

#define MAX_CANDIDATES 256

const struct nk_cmd_entry *nk_cli_find(struct nk_cmds cmds, const char *name)
{
    for (const struct nk_cmd_entry *e = cmds.v; e < cmds.v + cmds.n; e++) {
        if (strcmp(e->name, name) == 0) {
            return e;
        }
    }
    return NULL;
}

static bool is_child(const char *name, const char *parent)
{
    size_t n = strlen(parent);
    return n == 0 || (strncmp(name, parent, n) == 0 && name[n] == ' ');
}

bool nk_cli_has_children(struct nk_cmds cmds, const char *name)
{
    for (size_t i = 0; i < cmds.n; i++) {
        if (is_child(cmds.v[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool exists(struct nk_cmds cmds, const char *name)
{
    return nk_cli_find(cmds, name) || nk_cli_has_children(cmds, name);
}

/* "hsc-generate-key" -> "hsc generate-key": a symlink cannot have spaces. */
static bool find_joined(struct nk_cmds cmds, const char *joined, char *out)
{
    if (strlen(joined) >= NK_CLI_MAX_NAME || *joined == '\0') {
        return false;
    }
    if (exists(cmds, joined)) {
        snprintf(out, NK_CLI_MAX_NAME, "%s", joined);
        return true;
    }
    for (size_t i = 0; i < cmds.n; i++) {
        const char *name = cmds.v[i].name;
        size_t k = 0;
        while (joined[k] && (name[k] == joined[k] || (name[k] == ' ' && joined[k] == '-'))) {
            k++;
        }
        /* a whole name, or the words of a group */
        if (joined[k] == '\0' && (name[k] == '\0' || name[k] == ' ')) {
            snprintf(out, NK_CLI_MAX_NAME, "%.*s", (int)k, name);
            return true;
        }
    }
    return false;
}

/* The name a program was called by, without what shells, logins and other systems put around it. */
static void bare_name(char *out, size_t max, const char *argv0)
{
    const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
    const char *base = slash ? slash + 1 : argv0 ? argv0 : "";
    base += *base == '-';
    snprintf(out, max, "%s", base);
    size_t n = strlen(out);
    if (n > 4 && strcmp(out + n - 4, ".exe") == 0) {
        out[n - 4] = '\0';
    }
}

static void resolve_argv0(struct nk_cli_target *t, struct nk_cmds cmds, const char *argv0)
{
    char name[NK_CLI_MAX_NAME];
    bare_name(name, sizeof(name), argv0);
    const char *rest = strncmp(name, "netkit-", 7) == 0 ? name + 7
                       : strncmp(name, "nk-", 3) == 0   ? name + 3
                                                        : name;
    if (!find_joined(cmds, rest, t->name)) {
        t->name[0] = '\0';
    }
}

/* Add a word to the name if that leads somewhere. */
static bool extend(struct nk_cli_target *t, struct nk_cmds cmds, const char *word)
{
    char longer[2 * NK_CLI_MAX_NAME];
    if (t->name[0] == '\0') {
        return find_joined(cmds, word, t->name);
    }
    if (strlen(word) >= NK_CLI_MAX_NAME || *word == '\0') {
        return false;
    }
    snprintf(longer, sizeof(longer), "%s %s", t->name, word);
    if (strlen(longer) >= NK_CLI_MAX_NAME || !exists(cmds, longer)) {
        return false;
    }
    memcpy(t->name, longer, strlen(longer) + 1);
    return true;
}

static bool is_raw(struct nk_cmds cmds, const char *name)
{
    const struct nk_cmd_entry *e = nk_cli_find(cmds, name);
    return e && (e->cmd->flags & NK_CMD_RAW) && !nk_cli_has_children(cmds, name);
}

void nk_cli_suggest(struct nk_cmds cmds, const char *parent, const char *word, struct nk_diag *diag)
{
    char words[MAX_CANDIDATES][NK_CLI_MAX_NAME];
    const char *names[MAX_CANDIDATES];
    size_t n = 0, skip = *parent ? strlen(parent) + 1 : 0;
    for (size_t i = 0; i < cmds.n && n < MAX_CANDIDATES; i++) {
        const char *name = cmds.v[i].name;
        if (!is_child(name, parent) || (cmds.v[i].cmd->flags & NK_CMD_HIDDEN)) {
            continue;
        }
        snprintf(words[n], sizeof(words[n]), "%.*s", (int)strcspn(name + skip, " "), name + skip);
        names[n] = words[n];
        n++;
    }
    const char *near = nk_suggest(word, names, n);
    if (near) {
        nk_hint(diag, "did you mean '%s%s%s'?", parent, *parent ? " " : "", near);
    } else {
        nk_hint(diag, "see 'netkit%s%s --help'", *parent ? " " : "", parent);
    }
}

/* `netkit relay help status`, `netkit config help` */
static bool is_help_word(const struct nk_cli_target *t, struct nk_cmds cmds, const char *word)
{
    const struct nk_cmd_entry *e = nk_cli_find(cmds, t->name);
    return strcmp(word, "help") == 0 && t->name[0] &&
           (nk_cli_has_children(cmds, t->name) || (e && e->cmd->max_args == 0));
}

/*
 * How many words at argv[0] are an option of the commands of a group (`netkit hss -n SVC
 * onion-address`): 1 or 2, or 0 when none of them has it, when they do not agree whether it takes a
 * value, or when the name is a command itself, whose option it may be.
 */
static int skip_group_option(const struct nk_cli_target *t, struct nk_cmds cmds, int argc,
                             char **argv)
{
    int skip = 0;
    for (size_t i = 0; i < cmds.n && t->name[0] && !nk_cli_find(cmds, t->name); i++) {
        const struct nk_opt *rows = nk_cli_opts(cmds.v[i].cmd);
        int n = rows && is_child(cmds.v[i].name, t->name) ? nk_args_skip(argc, argv, rows) : 0;
        if (n > 0 && skip > 0 && n != skip) {
            return 0;
        }
        skip = n > 0 ? n : skip;
    }
    return skip;
}

/* Words up to the first that belongs to no name; the others are kept for the command. */
static int take_words(struct nk_cli_target *t, struct nk_cmds cmds, int argc, char **argv)
{
    int i = 0;
    while (i < argc) {
        if (is_raw(cmds, t->name) && !t->help) {
            break;
        }
        int skip = nk_args_skip(argc - i, argv + i, nk_cli_globals);
        skip = skip > 0 ? skip : skip_group_option(t, cmds, argc - i, argv + i);
        if (skip > 0) {
            for (; skip > 0; skip--) {
                t->argv[t->argc++] = argv[i++];
            }
        } else if (argv[i][0] == '-') {
            break;
        } else if (!t->help && is_help_word(t, cmds, argv[i])) {
            t->help = true;
            i++;
        } else if (extend(t, cmds, argv[i])) {
            i++;
        } else {
            break;
        }
    }
    return i;
}

static int unknown(struct nk_cli_target *t, struct nk_cmds cmds, const char *word,
                   struct nk_diag *diag)
{
    int rc = nk_fail(diag, NK_ENOCMD, "there is no command '%s%s%.60s'", t->name,
                     t->name[0] ? " " : "", word);
    nk_cli_suggest(cmds, t->name, word, diag);
    return rc;
}

int nk_cli_resolve(struct nk_cli_target *out, struct nk_cmds cmds, int argc, char **argv,
                   struct nk_diag *diag)
{
    struct nk_cli_target t = {0};
    t.argv = calloc((size_t)argc + 1, sizeof(*t.argv));
    if (!t.argv) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    resolve_argv0(&t, cmds, argc > 0 ? argv[0] : NULL);
    int i = argc > 0 ? 1 : 0;
    i += take_words(&t, cmds, argc - i, argv + i);
    t.entry = nk_cli_find(cmds, t.name);
    t.raw = t.argc;
    if (i < argc && argv[i][0] != '-' && (t.help || nk_cli_has_children(cmds, t.name))) {
        int rc = unknown(&t, cmds, argv[i], diag);
        free(t.argv);
        return rc;
    }
    while (i < argc) {
        t.argv[t.argc++] = argv[i++];
    }
    *out = t;
    return 0;
}
