/* SPDX-License-Identifier: MIT */
/* Completion scripts: tables of verbs, options and choices, and a small function per shell. */
#include <stdio.h>
#include <string.h>

#include "base/build_info.h"
#include "service/manpage.h"

const char *const service_shells[] = {"bash", "zsh", "fish", NULL};

enum shell { BASH, ZSH, FISH };

/* The first error of a row of appends. */
struct script {
    struct nk_buf *out;
    int rc;
};

static void put(struct script *s, const char *text)
{
    s->rc = s->rc < 0 ? s->rc : nk_buf_puts(s->out, text);
}

/* Inside single quotes of fish: backslash and quote are escaped. */
static void put_quoted(struct script *s, const char *text)
{
    for (; *text; text++) {
        char c[3] = {*text, 0, 0};
        if (*text == '\'' || *text == '\\') {
            c[0] = '\\';
            c[1] = *text;
        }
        put(s, c);
    }
}

static bool shown(const struct nk_cmd_entry *e)
{
    return !(e->cmd->flags & NK_CMD_HIDDEN);
}

/* The names that have something below them: "", "config", ... in the order of the table. */
static bool next_parent(size_t *i, char *out)
{
    char last[NK_CLI_MAX_NAME];
    snprintf(last, sizeof(last), "%s", out);
    for (; *i < nk_cmd_count; (*i)++) {
        const char *name = nk_cmd_table[*i].name;
        const char *space = strrchr(name, ' ');
        if (!space || !shown(&nk_cmd_table[*i])) {
            continue;
        }
        snprintf(out, NK_CLI_MAX_NAME, "%.*s", (int)(space - name), name);
        if (strcmp(out, last) != 0) {
            return true;
        }
    }
    return false;
}

/* "check init keys show" */
static void put_verbs(struct script *s, const char *parent)
{
    char last[NK_CLI_MAX_NAME] = "";
    size_t skip = *parent ? strlen(parent) + 1 : 0;
    for (size_t i = 0; i < nk_cmd_count; i++) {
        const char *name = nk_cmd_table[i].name;
        if (!shown(&nk_cmd_table[i]) ||
            (skip && (strncmp(name, parent, skip - 1) != 0 || name[skip - 1] != ' '))) {
            continue;
        }
        size_t n = strcspn(name + skip, " ");
        if (strncmp(last, name + skip, n) == 0 && last[n] == '\0') {
            continue;
        }
        put(s, *last ? " " : "");
        snprintf(last, sizeof(last), "%.*s", (int)n, name + skip);
        put(s, last);
    }
}

static void put_verb_table(struct script *s)
{
    char parent[NK_CLI_MAX_NAME] = "";
    put(s, "_netkit_verbs() {\n    case $1 in\n    '') echo '");
    put_verbs(s, "");
    put(s, "' ;;\n");
    for (size_t i = 0; next_parent(&i, parent); i++) {
        put(s, "    '");
        put(s, parent);
        put(s, "') echo '");
        put_verbs(s, parent);
        put(s, "' ;;\n");
    }
    put(s, "    esac\n}\n");
}

static void put_options(struct script *s, const struct nk_opt *rows)
{
    bool any = false;
    for (const struct nk_opt *o = nk_opt_first(rows); o; o = nk_opt_next(rows, o)) {
        if (nk_args_has_flag(o)) {
            put(s, any ? " --" : "--");
            put(s, o->name);
            any = true;
        }
    }
}

static void put_option_table(struct script *s)
{
    put(s, "_netkit_options() {\n    case $1 in\n");
    for (size_t i = 0; i < nk_cmd_count; i++) {
        const struct nk_opt *rows = nk_cli_opts(nk_cmd_table[i].cmd);
        if (!shown(&nk_cmd_table[i]) || !rows) {
            continue;
        }
        put(s, "    '");
        put(s, nk_cmd_table[i].name);
        put(s, "') echo '");
        put_options(s, rows);
        put(s, "' ;;\n");
    }
    put(s, "    esac\n    echo '");
    put_options(s, nk_cli_globals);
    put(s, "'\n}\n");
}

static void put_choices(struct script *s, const struct nk_opt *o)
{
    if (o->type == NK_OPT_BOOL) {
        put(s, "yes no");
    }
    for (size_t i = 0; o->type == NK_OPT_ENUM && o->choices[i]; i++) {
        put(s, i ? " " : "");
        put(s, o->choices[i]);
    }
}

static void put_choice_rows(struct script *s, const char *name, const struct nk_opt *rows)
{
    for (const struct nk_opt *o = nk_opt_first(rows); o; o = nk_opt_next(rows, o)) {
        if (nk_args_has_flag(o) && (o->type == NK_OPT_ENUM || o->type == NK_OPT_BOOL)) {
            put(s, "    '");
            put(s, name);
            put(s, *name ? " --" : "'*' --");
            put(s, o->name);
            put(s, "') echo '");
            put_choices(s, o);
            put(s, "' ;;\n");
        }
    }
}

/* Called with "COMMAND --option". */
static void put_choice_table(struct script *s)
{
    put(s, "_netkit_choices() {\n    case $1 in\n");
    for (size_t i = 0; i < nk_cmd_count; i++) {
        if (shown(&nk_cmd_table[i])) {
            put_choice_rows(s, nk_cmd_table[i].name, nk_cli_opts(nk_cmd_table[i].cmd));
        }
    }
    put_choice_rows(s, "", nk_cli_globals);
    put(s, "    esac\n}\n");
}

/* First words that exist as nk- symlinks. */
static void put_links(struct script *s)
{
    char words[NK_CLI_MAX_NAME] = "";
    for (size_t i = 0; i < nk_cmd_count; i++) {
        const char *name = nk_cmd_table[i].name;
        size_t n = strcspn(name, " ");
        if (shown(&nk_cmd_table[i]) && !(strncmp(words, name, n) == 0 && words[n] == '\0')) {
            snprintf(words, sizeof(words), "%.*s", (int)n, name);
            put(s, " nk-");
            put(s, words);
        }
    }
}

static void put_bash(struct script *s)
{
    put_verb_table(s);
    put_option_table(s);
    put_choice_table(s);
    put(s, "_netkit() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local path= word choices i\n"
           "    path=${COMP_WORDS[0]##*/}\n"
           "    case $path in nk-*) path=${path#nk-} ;; *) path= ;; esac\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        word=${COMP_WORDS[i]}\n"
           "        case \" $(_netkit_verbs \"$path\") \" in\n"
           "        *\" $word \"*) path=${path:+$path }$word ;;\n"
           "        esac\n"
           "    done\n"
           "    choices=$(_netkit_choices \"$path $prev\")\n"
           "    if [ -z \"$choices\" ]; then\n"
           "        case $cur in\n"
           "        -*) choices=$(_netkit_options \"$path\") ;;\n"
           "        *) choices=$(_netkit_verbs \"$path\") ;;\n"
           "        esac\n"
           "    fi\n"
           "    COMPREPLY=($(compgen -W \"$choices\" -- \"$cur\"))\n"
           "}\n"
           "complete -o default -F _netkit netkit");
    put_links(s);
    put(s, "\n");
}

static void put_zsh(struct script *s)
{
    put_verb_table(s);
    put_option_table(s);
    put_choice_table(s);
    put(s, "_netkit() {\n"
           "    local cur=$words[CURRENT] prev=$words[CURRENT-1] path_ word choices i\n"
           "    path_=${words[1]##*/}\n"
           "    case $path_ in nk-*) path_=${path_#nk-} ;; *) path_= ;; esac\n"
           "    for ((i = 2; i < CURRENT; i++)); do\n"
           "        word=$words[i]\n"
           "        case \" $(_netkit_verbs \"$path_\") \" in\n"
           "        *\" $word \"*) path_=${path_:+$path_ }$word ;;\n"
           "        esac\n"
           "    done\n"
           "    choices=$(_netkit_choices \"$path_ $prev\")\n"
           "    if [ -z \"$choices\" ]; then\n"
           "        case $cur in\n"
           "        -*) choices=$(_netkit_options \"$path_\") ;;\n"
           "        *) choices=$(_netkit_verbs \"$path_\") ;;\n"
           "        esac\n"
           "    fi\n"
           "    if [ -n \"$choices\" ]; then compadd -- ${=choices}; else _files; fi\n"
           "}\n"
           "if [ \"$funcstack[1]\" = _netkit ]; then _netkit \"$@\"; else compdef _netkit netkit");
    put_links(s);
    put(s, "; fi\n");
}

/* complete -c netkit -n '__netkit_at "config"' ... */
static void put_fish_head(struct script *s, const char *name)
{
    put(s, "complete -c netkit -n '__netkit_at \"");
    put(s, name);
    put(s, "\"'");
}

static void put_fish_options(struct script *s, const char *name, const struct nk_opt *rows)
{
    for (const struct nk_opt *o = nk_opt_first(rows); o; o = nk_opt_next(rows, o)) {
        if (!nk_args_has_flag(o)) {
            continue;
        }
        if (name) {
            put_fish_head(s, name);
        } else {
            put(s, "complete -c netkit");
        }
        char shorts[8] = "";
        if (o->short_name) {
            snprintf(shorts, sizeof(shorts), " -s %c", o->short_name);
        }
        put(s, shorts);
        put(s, " -l ");
        put(s, o->name);
        if (o->type == NK_OPT_ENUM || o->type == NK_OPT_BOOL) {
            put(s, " -x -a '");
            put_choices(s, o);
            put(s, "'");
        } else {
            put(s, nk_opt_takes_value(o) ? " -r" : "");
        }
        put(s, " -d '");
        put_quoted(s, o->help ? o->help : "");
        put(s, "'\n");
    }
}

static void put_fish(struct script *s)
{
    put(s, "function __netkit_at\n"
           "    set -l words (commandline -opc | string match -v -- '-*')\n"
           "    set -l want netkit (string split -n ' ' -- $argv[1])\n"
           "    test (basename -- $words[1]) = netkit; and test \"$words[2..]\" = \"$want[2..]\"\n"
           "end\n");
    for (size_t i = 0; i < nk_cmd_count; i++) {
        const struct nk_cmd_entry *e = &nk_cmd_table[i];
        if (!shown(e)) {
            continue;
        }
        char parent[NK_CLI_MAX_NAME] = "";
        const char *space = strrchr(e->name, ' ');
        snprintf(parent, sizeof(parent), "%.*s", space ? (int)(space - e->name) : 0, e->name);
        put_fish_head(s, parent);
        put(s, " -f -a ");
        put(s, space ? space + 1 : e->name);
        put(s, " -d '");
        put_quoted(s, e->cmd->summary);
        put(s, "'\n");
        if (space && !nk_cli_find((struct nk_cmds){nk_cmd_table, nk_cmd_count}, parent) &&
            !strchr(parent, ' ')) {
            put_fish_head(s, "");
            put(s, " -f -a ");
            put(s, parent);
            put(s, "\n");
        }
        put_fish_options(s, e->name, nk_cli_opts(e->cmd));
    }
    put_fish_options(s, NULL, nk_cli_globals);
}

int service_completion(struct nk_buf *out, int shell)
{
    struct script s = {out, 0};
    if (shell == ZSH) {
        put(&s, "#compdef netkit");
        put_links(&s);
        put(&s, "\n");
    }
    put(&s, "# generated by netkit ");
    put(&s, nk_build_info.version);
    put(&s, "\n");
    if (shell == BASH) {
        put_bash(&s);
    } else if (shell == ZSH) {
        put_zsh(&s);
    } else {
        put_fish(&s);
    }
    return s.rc;
}
