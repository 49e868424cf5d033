/* SPDX-License-Identifier: MIT */
/* Help texts, all made from descriptors and option rows. */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/codec.h"
#include "base/packed.h"

#define WIDTH 80
#define LEFT 28 /* column of the explanations */

/* The first error of a row of appends. */
struct text {
    struct nk_buf *out;
    int rc;
};

static void put(struct text *t, const char *s)
{
    t->rc = t->rc < 0 ? t->rc : nk_buf_puts(t->out, s);
}

static void wrap(struct text *t, size_t col, size_t indent, const char *s)
{
    t->rc = t->rc < 0 ? t->rc : nk_help_wrap(t->out, col, indent, s);
}

static void spaces(struct text *t, size_t n)
{
    while (n-- > 0) {
        put(t, " ");
    }
}

/* Left column, explanation; the explanation starts on a line of its own when there is no room. */
static void entry(struct text *t, const char *left, const char *right)
{
    size_t n = strlen(left) + 2;
    put(t, "  ");
    put(t, left);
    if (n + 2 > LEFT) {
        put(t, "\n");
        n = 0;
    }
    spaces(t, LEFT - n);
    wrap(t, LEFT, LEFT, right);
}

int nk_help_wrap(struct nk_buf *out, size_t col, size_t indent, const char *text)
{
    struct text t = {out, 0};
    bool first = true;
    while (*text) {
        size_t n = strcspn(text, " \n");
        if (n > 0 && !first && col + 1 + n > WIDTH) {
            put(&t, "\n");
            spaces(&t, indent);
            col = indent;
            first = true;
        }
        if (n > 0) {
            put(&t, first ? "" : " ");
            col += n + !first;
            first = false;
            t.rc = t.rc < 0 ? t.rc : nk_buf_put(out, text, n);
        }
        text += n;
        text += *text != '\0';
    }
    put(&t, "\n");
    return t.rc;
}

const struct nk_opt *nk_cli_opts(const struct nk_cmd *cmd)
{
    return cmd->opts ? cmd->opts : cmd->section ? cmd->section->opts : NULL;
}

size_t nk_cli_conf_size(const struct nk_cmd *cmd)
{
    return cmd->opts ? cmd->conf_size : cmd->section ? cmd->section->conf_size : cmd->conf_size;
}

static const char *type_name(const struct nk_opt *o)
{
    switch (o->type) {
    case NK_OPT_FLAG:
        return "";
    case NK_OPT_BOOL:
        return "yes|no";
    case NK_OPT_INT:
        return "N";
    case NK_OPT_SIZE:
        return "SIZE";
    case NK_OPT_DURATION:
        return "TIME";
    case NK_OPT_PATH:
        return "FILE";
    case NK_OPT_LISTEN:
        return "LISTEN";
    case NK_OPT_CONNECT:
        return "CONNECT";
    default:
        return "TEXT";
    }
}

static void arg_name(char *out, size_t max, const struct nk_opt *o)
{
    if (o->arg || o->type != NK_OPT_ENUM) {
        snprintf(out, max, "%s", o->arg ? o->arg : type_name(o));
        return;
    }
    out[0] = '\0';
    for (size_t i = 0, n = 0; o->choices[i] && n < max; i++) {
        int w = snprintf(out + n, max - n, "%s%s", i ? "|" : "", o->choices[i]);
        n += w > 0 ? (size_t)w : 0;
    }
}

/* "Largest object (4096 to 64 MiB, default 1 MiB; may be repeated)" */
static void explain(char *out, size_t max, const struct nk_opt *o)
{
    char notes[256] = "", lo[32], hi[32];
    size_t n = 0;
    if (nk_opt_has_bounds(o) && o->max != 0 &&
        o->max < INT32_MAX) { /* larger ones only guard the arithmetic */
        if (o->type == NK_OPT_SIZE) {
            nk_format_size(lo, sizeof(lo), (uint64_t)o->min);
            nk_format_size(hi, sizeof(hi), (uint64_t)o->max);
        } else if (o->type == NK_OPT_DURATION) {
            nk_format_duration(lo, sizeof(lo), (uint64_t)o->min);
            nk_format_duration(hi, sizeof(hi), (uint64_t)o->max);
        } else {
            snprintf(lo, sizeof(lo), "%lld", (long long)o->min);
            snprintf(hi, sizeof(hi), "%lld", (long long)o->max);
        }
        n += (size_t)snprintf(notes, sizeof(notes), "%s to %s", lo, hi);
    }
    if (o->def && n < sizeof(notes)) {
        n += (size_t)snprintf(notes + n, sizeof(notes) - n, "%sdefault %s", n ? "; " : "", o->def);
    }
    if ((o->flags & NK_OPT_REQUIRED) && n < sizeof(notes)) {
        n += (size_t)snprintf(notes + n, sizeof(notes) - n, "%srequired", n ? "; " : "");
    }
    if ((o->flags & NK_OPT_REPEAT) && n < sizeof(notes)) {
        snprintf(notes + n, sizeof(notes) - n, "%smay be repeated", n ? "; " : "");
    }
    snprintf(out, max, "%s%s%s%s", o->help ? o->help : "", *notes ? " (" : "", notes,
             *notes ? ")" : "");
}

static void option_entry(struct text *t, const struct nk_opt *o)
{
    char left[192], arg[96], right[640], shorts[8] = "    ";
    arg_name(arg, sizeof(arg), o);
    if (o->short_name) {
        snprintf(shorts, sizeof(shorts), "-%c, ", o->short_name);
    }
    snprintf(left, sizeof(left), "%s--%s%s%s", shorts, o->name, *arg ? " " : "", arg);
    explain(right, sizeof(right), o);
    entry(t, left, right);
}

static void key_entry(struct text *t, const struct nk_opt *o)
{
    char left[192], arg[96], right[640], key[64];
    nk_opt_ini_name(key, sizeof(key), o);
    arg_name(arg, sizeof(arg), o);
    snprintf(left, sizeof(left), "%s = %s", key, o->type == NK_OPT_FLAG ? "yes|no" : arg);
    explain(right, sizeof(right), o);
    entry(t, left, right);
}

int nk_help_param(struct nk_buf *out, const struct nk_opt *o)
{
    struct text t = {out, 0};
    char left[192], arg[96], right[640], key[64];
    nk_opt_ini_name(key, sizeof(key), o);
    arg_name(arg, sizeof(arg), o);
    snprintf(left, sizeof(left), "  ,%s=%s", key, o->type == NK_OPT_FLAG ? "yes|no" : arg);
    explain(right, sizeof(right), o);
    entry(&t, left, right);
    return t.rc;
}

int nk_help_entry(struct nk_buf *out, const char *left, const char *right)
{
    struct text t = {out, 0};
    entry(&t, left, right);
    return t.rc;
}

static void options(struct text *t, const struct nk_opt *rows, bool full)
{
    bool any = false;
    for (const struct nk_opt *o = nk_opt_first(rows); o; o = nk_opt_next(rows, o)) {
        if (!nk_args_has_flag(o) || (!full && (o->flags & NK_OPT_HIDDEN))) {
            continue;
        }
        put(t, any ? "" : "\noptions:\n");
        any = true;
        option_entry(t, o);
    }
}

/* Rows of a section that are no flags of the command. */
static void section_keys(struct text *t, const struct nk_section *s, const struct nk_opt *flags)
{
    char line[160];
    bool any = false;
    for (const struct nk_opt *o = nk_opt_first(s->opts); o; o = nk_opt_next(s->opts, o)) {
        const struct nk_opt *flag = flags ? nk_opt_find(flags, o->name) : NULL;
        if ((o->flags & NK_OPT_CLI_ONLY) || (flag && nk_args_has_flag(flag))) {
            continue;
        }
        if (!any) {
            snprintf(line, sizeof(line), "\n%skeys of [%s%s] in netkit.ini:\n",
                     flags ? "further " : "", s->name, s->named ? " NAME" : "");
            put(t, line);
        }
        any = true;
        key_entry(t, o);
    }
}

/* One sentence instead of three spellings per option. */
static void spellings(struct text *t, const struct nk_cmd *cmd)
{
    const struct nk_section *s = cmd->section;
    const struct nk_opt *rows = nk_cli_opts(cmd);
    for (const struct nk_opt *o = nk_opt_first(rows); s && o; o = nk_opt_next(rows, o)) {
        const struct nk_opt *key = nk_opt_find(s->opts, o->name);
        if (!key || (key->flags & NK_OPT_CLI_ONLY) || !nk_args_has_flag(o)) {
            continue;
        }
        char ini[64], env[128], line[512];
        nk_opt_ini_name(ini, sizeof(ini), key);
        nk_conf_env_name(env, sizeof(env), s, key);
        if (s->named) {
            snprintf(
                line, sizeof(line),
                "'netkit run' reads the same from netkit.ini, from sections [%s NAME] (--%s as "
                "'%s = ...'), and from the environment (%s).",
                s->name, o->name, ini, env);
        } else {
            snprintf(
                line, sizeof(line),
                "The options can also stand in netkit.ini under [%s] (--%s as '%s = ...') and in "
                "the environment (%s). A flag wins over the environment, that over the file.",
                s->name, o->name, ini, env);
        }
        put(t, "\n  ");
        wrap(t, 2, 2, line);
        return;
    }
}

static void paragraphs(struct text *t, const char *text)
{
    while (text && *text) {
        const char *end = strstr(text, "\n\n");
        size_t n = end ? (size_t)(end - text) : strlen(text);
        char para[2048];
        snprintf(para, sizeof(para), "%.*s", (int)n, text);
        put(t, "\n  ");
        wrap(t, 2, 2, para);
        text += n;
        text += strspn(text, "\n");
    }
}

static void example_lines(struct text *t, const char *lines)
{
    put(t, lines ? "\nexamples:\n" : "");
    while (lines && *lines) {
        size_t n = strcspn(lines, "\n");
        put(t, "  ");
        t->rc = t->rc < 0 ? t->rc : nk_buf_put(t->out, lines, n);
        put(t, "\n");
        lines += n;
        lines += *lines != '\0';
    }
}

/* The verbs directly below a name, with their summaries. */
static void children(struct text *t, struct nk_cmds cmds, const char *name, const char *title)
{
    size_t n = strlen(name);
    bool any = false;
    for (size_t i = 0; i < cmds.n; i++) {
        const struct nk_cmd_entry *e = &cmds.v[i];
        if ((e->cmd->flags & NK_CMD_HIDDEN) || strncmp(e->name, name, n) != 0 ||
            e->name[n] != ' ') {
            continue;
        }
        put(t, any ? "" : title);
        any = true;
        entry(t, e->name + n + 1, e->cmd->summary);
    }
}

int nk_help_command(struct nk_buf *out, struct nk_cmds cmds, const struct nk_cmd_entry *e,
                    bool full)
{
    const struct nk_cmd *cmd = e->cmd;
    struct nk_cmd_text about;
    struct text t = {out, nk_cmd_text_get(&about, e)};
    char line[256];
    snprintf(line, sizeof(line), "netkit %s: %s\n\nusage:\n  netkit %s%s", e->name, cmd->summary,
             e->name, cmd->synopsis && *cmd->synopsis ? " " : "");
    put(&t, line);
    wrap(&t, strlen(e->name) + 10, 6, cmd->synopsis ? cmd->synopsis : "");
    paragraphs(&t, about.description);
    children(&t, cmds, e->name, "\nverbs:\n");
    options(&t, nk_cli_opts(cmd), full);
    spellings(&t, cmd);
    if (cmd->section) {
        const struct nk_opt *flags = nk_cli_opts(cmd);
        section_keys(&t, cmd->section, flags);
    }
    for (size_t i = 0; cmd->sections && cmd->sections[i]; i++) {
        section_keys(&t, cmd->sections[i], NULL);
    }
    example_lines(&t, about.examples);
    nk_cmd_text_clear(&about);
    put(&t, "\n  See also: netkit help options, netkit help exit-codes\n");
    return t.rc;
}

int nk_help_group(struct nk_buf *out, struct nk_cmds cmds, const char *name)
{
    struct text t = {out, 0};
    char line[256];
    snprintf(line, sizeof(line),
             "netkit %s: one of the verbs below\n\nusage:\n  netkit %s VERB ...\n", name, name);
    put(&t, line);
    children(&t, cmds, name, "\nverbs:\n");
    put(&t, "\n  See also: netkit help options, netkit help exit-codes\n");
    return t.rc;
}

/* One line per first word: the command's summary, or the verbs of a pure group. */
static void overview_entry(struct text *t, struct nk_cmds cmds, const char *word)
{
    char verbs[256] = "";
    size_t n = strlen(word), len = 0;
    const struct nk_cmd_entry *e = nk_cli_find(cmds, word);
    for (size_t i = 0; i < cmds.n && !e; i++) {
        const char *name = cmds.v[i].name;
        if (strncmp(name, word, n) == 0 && name[n] == ' ' && len < sizeof(verbs)) {
            int w =
                snprintf(verbs + len, sizeof(verbs) - len, "%s%s", len ? ", " : "", name + n + 1);
            len += w > 0 ? (size_t)w : 0;
        }
    }
    entry(t, word, e ? e->cmd->summary : verbs);
}

int nk_help_overview(struct nk_buf *out, struct nk_cmds cmds)
{
    struct text t = {out, 0};
    char last[NK_CLI_MAX_NAME] = "";
    put(&t, "netkit: private networking in one program\n\n"
            "usage:\n  netkit COMMAND [OPTION].. [ARGUMENT]..\n"
            "  nk-COMMAND ...            through the symlinks of 'netkit install'\n\n"
            "commands:\n");
    for (size_t i = 0; i < cmds.n; i++) {
        const struct nk_cmd_entry *e = &cmds.v[i];
        size_t n = strcspn(e->name, " ");
        if ((e->cmd->flags & NK_CMD_HIDDEN) ||
            (strncmp(e->name, last, n) == 0 && last[n] == '\0')) {
            continue;
        }
        snprintf(last, sizeof(last), "%.*s", (int)n, e->name);
        overview_entry(&t, cmds, last);
    }
    put(&t, "\n  netkit help COMMAND       what a command does, its options and examples\n"
            "  netkit help options       options of every command\n"
            "  netkit help endpoints     how LISTEN and CONNECT are written\n"
            "  netkit help exit-codes    what the exit status means\n");
    return t.rc;
}

int nk_help_globals(struct nk_buf *out)
{
    struct text t = {out, 0};
    put(&t, "options of every command, before or after its name:\n");
    for (const struct nk_opt *o = nk_cli_globals; o->name; o++) {
        option_entry(&t, o);
    }
    return t.rc;
}

int nk_help_exit_codes(struct nk_buf *out)
{
    static const struct {
        const char *code, *meaning;
    } rows[] = {
        {"0", "Success; a service that was asked to stop and finished its work"},
        {"1", "The operation failed, a check found problems, a health check says no"},
        {"2", "Wrong usage: unknown option, missing argument"},
        {"69", "The peer or service cannot be reached"},
        {"70", "Internal error"},
        {"73", "The output cannot be created"},
        {"74", "Reading or writing failed"},
        {"75", "Timeout, or in use by another instance: worth a retry"},
        {"76", "The peer broke the protocol"},
        {"77", "Authentication, verification or permission refused, unsafe file mode"},
        {"78", "Wrong configuration"},
        {"126", "The program to start is not executable"},
        {"127", "The program to start, or the netkit command, does not exist"},
        {"128+N", "Ended by signal N"},
    };
    struct text t = {out, 0};
    put(&t, "exit codes, the same for every command:\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char line[160];
        snprintf(line, sizeof(line), "  %-8s", rows[i].code);
        put(&t, line);
        wrap(&t, 10, 10, rows[i].meaning);
    }
    return t.rc;
}
