/* SPDX-License-Identifier: MIT */
#include "base/cli.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/secret.h"

#define TEXT_MAX (1024 * 1024) /* longest help text */
#define STDOUT_BUFFER 65536

/* One run of the program. */
struct run {
    const struct nk_cli_hooks *hooks;
    struct nk_cmds cmds;
    const char *program;
    struct nk_cli_target target;
    struct nk_args args;
    struct nk_globals globals;
    struct nk_diag diag;
    struct nk_launcher *launcher;
    struct nk_log *log;
    struct nk_conf *conf;
    char state_dir[NK_PATH_MAX];
};

/* A descriptor that refuses what a closed one would have refused: reading for 0, writing for 1, 2.
 */
static int open_refusing(int fd)
{
    int got = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    if (got < 0) {
        int ends[2]; /* no /dev/null in an empty root */
        if (pipe(ends) < 0) {
            return -errno;
        }
        got = dup(ends[fd == 0 ? 1 : 0]);
        close(ends[0]);
        close(ends[1]);
    }
    if (got >= 0 && got != fd) {
        int rc = dup2(got, fd);
        close(got);
        return rc;
    }
    return got;
}

void nk_stdio_open(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            open_refusing(fd);
        }
    }
}

static bool is_absolute(const char *s)
{
    return s && *s == '/';
}

void nk_cli_state_dir(char *out, size_t max, const char *given)
{
    const char *env = getenv("NETKIT_STATE_DIR");
    const char *systemd = getenv("STATE_DIRECTORY");
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (given || (env && *env)) {
        snprintf(out, max, "%s", given ? given : env);
    } else if (is_absolute(systemd)) {
        snprintf(out, max, "%.*s", (int)strcspn(systemd, ":"), systemd); /* it may be a list */
    } else if (geteuid() == 0) {
        snprintf(out, max, "/var/lib/netkit");
    } else if (is_absolute(xdg)) {
        snprintf(out, max, "%s/netkit", xdg);
    } else if (is_absolute(home)) {
        snprintf(out, max, "%s/.local/state/netkit", home);
    } else {
        snprintf(out, max, "/var/lib/netkit");
    }
}

size_t nk_cli_sections(struct nk_cmds cmds, const struct nk_section **out)
{
    size_t n = 0;
    for (size_t i = 0; i < cmds.n; i++) {
        const struct nk_cmd *cmd = cmds.v[i].cmd;
        const struct nk_section *const *more = cmd->sections;
        for (const struct nk_section *s = cmd->section; s || (more && *more);
             s = more && *more ? *more++ : NULL) {
            bool known = s == NULL;
            for (size_t k = 0; k < n && !known; k++) {
                known = out[k] == s;
            }
            if (!known && n < NK_CLI_MAX_SECTIONS) {
                out[n++] = s;
            }
        }
    }
    out[n] = NULL;
    return n;
}

int nk_cli_load(struct nk_conf **out, struct nk_cmds cmds, const struct nk_globals *globals,
                const struct nk_section *flags_for, nk_conf_ep_check *check, struct nk_diag *diag)
{
    const struct nk_section *sections[NK_CLI_MAX_SECTIONS + 1];
    char path[NK_PATH_MAX];
    nk_cli_sections(cmds, sections);
    const char **overrides = calloc(globals->overrides.n + 1, sizeof(*overrides));
    if (!overrides) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < globals->overrides.n; i++) {
        overrides[i] = globals->overrides.v[i];
    }
    struct nk_conf_source src = {
        .path = nk_conf_find_file(path, sizeof(path), globals->config) ? path : NULL,
        .env = (const char *const *)environ,
        .overrides = overrides,
        .sections = sections,
        .flags_for = flags_for,
    };
    int rc = nk_conf_load(out, &src, check);
    free(overrides);
    if (rc == -ENOMEM) {
        return nk_fail(diag, rc, "out of memory");
    }
    return rc < 0 ? nk_fail(diag, rc, "%s", nk_strerror(rc)) : 0;
}

/* The parsed global flags become struct nk_globals. */
static int read_globals(struct run *r)
{
    for (const struct nk_opt *row = nk_cli_globals; row->name; row++) {
        int rc = nk_opt_parse_default(row, &r->globals, &r->diag);
        if (rc < 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < r->args.nglobal; i++) {
        const struct nk_opt *row = r->args.global[i].row;
        if (strcmp(row->name, "verbose") == 0) {
            r->globals.verbose++;
        } else if (strcmp(row->name, "help") != 0 && strcmp(row->name, "version") != 0) {
            int rc = nk_opt_parse_value(row, r->args.global[i].text, &r->globals, &r->diag);
            if (rc < 0) {
                nk_fail_context(&r->diag, "--%s", row->name);
                r->diag.code = rc == -ENOMEM ? rc : NK_EUSAGE;
                return r->diag.code;
            }
        }
    }
    nk_cli_state_dir(r->state_dir, sizeof(r->state_dir), r->globals.state_dir);
    free(r->globals.state_dir);
    r->globals.state_dir = strdup(r->state_dir);
    return r->globals.state_dir ? 0 : nk_fail(&r->diag, -ENOMEM, "out of memory");
}

static const struct nk_opt list_rows[] = {
    {.name = "list", .type = NK_OPT_FLAG, .flags = NK_OPT_CLI_ONLY}, NK_OPT_END};

/* Of a command that parses its words itself: those before its name are ours, and its first one when
 * that is --help or --version, which every command answers. */
static int words_before_raw(const struct nk_cli_target *t)
{
    const char *first = t->raw < t->argc ? t->argv[t->raw] : "";
    return t->raw + (strcmp(first, "--help") == 0 || strcmp(first, "--version") == 0);
}

static int parse_words(struct run *r)
{
    const struct nk_cli_target *t = &r->target;
    const struct nk_opt *own = t->entry ? nk_cli_opts(t->entry->cmd) : list_rows;
    bool raw = t->entry && (t->entry->cmd->flags & NK_CMD_RAW);
    return nk_args_parse(&r->args, raw ? words_before_raw(t) : t->argc, t->argv, raw ? NULL : own,
                         nk_cli_globals, &r->diag);
}

static int print_text(struct run *r, int (*make)(struct run *r, struct nk_buf *out))
{
    struct nk_buf out;
    nk_buf_init(&out, TEXT_MAX);
    int rc = make(r, &out);
    nk_cli_print(&out);
    nk_buf_clear(&out);
    return rc < 0 ? nk_fail_sys(&r->diag, rc, "cannot make the text") : 0;
}

static int make_help(struct run *r, struct nk_buf *out)
{
    const struct nk_cli_target *t = &r->target;
    return t->entry     ? nk_help_command(out, r->cmds, t->entry, false)
           : t->name[0] ? nk_help_group(out, r->cmds, t->name)
                        : nk_help_overview(out, r->cmds);
}

static int make_version(struct run *r, struct nk_buf *out)
{
    return nk_help_version(out, r->globals.json);
}

static int make_list(struct run *r, struct nk_buf *out)
{
    int rc = 0;
    for (size_t i = 0; i < r->cmds.n && rc == 0; i++) {
        if (!(r->cmds.v[i].cmd->flags & NK_CMD_HIDDEN)) {
            rc = nk_buf_printf(out, "%s\n", r->cmds.v[i].name);
        }
    }
    return rc;
}

static int wrong_usage(struct run *r, const char *text)
{
    const char *name = r->target.name;
    int rc = nk_fail(&r->diag, NK_EUSAGE, "%s", text);
    nk_hint(&r->diag, "see 'netkit%s%s --help'", *name ? " " : "", name);
    return rc;
}

/* No command: the overview, a list, or a group that lacks its verb. */
static int run_without_command(struct run *r, bool nameless)
{
    if (r->args.nown > 0) {
        return print_text(r, make_list);
    }
    if (r->args.noperands > 0) {
        return wrong_usage(r, "a command's name stands before '--'");
    }
    if (r->target.name[0]) {
        return wrong_usage(r, "a verb is missing");
    }
    return nameless ? wrong_usage(r, "usage: netkit COMMAND [OPTION].. [ARGUMENT]..")
                    : print_text(r, make_help);
}

static int check_operands(struct run *r)
{
    const struct nk_cmd *cmd = r->target.entry->cmd;
    char text[256];
    if (r->args.noperands < cmd->min_args) {
        snprintf(text, sizeof(text), "too few arguments: netkit %s %.180s", r->target.entry->name,
                 cmd->synopsis ? cmd->synopsis : "");
        return wrong_usage(r, text);
    }
    if (cmd->max_args >= 0 && r->args.noperands > cmd->max_args) {
        snprintf(text, sizeof(text), "unexpected argument '%.100s'",
                 r->args.operands[cmd->max_args]);
        return wrong_usage(r, text);
    }
    return 0;
}

/* The name that ps, top and the kernel's messages show. */
static void set_process_name(const char *name)
{
    char comm[16];
    snprintf(comm, sizeof(comm), "nk-%.12s", name);
    for (char *p = comm; *p; p++) {
        *p = *p == ' ' ? '-' : *p;
    }
    prctl(PR_SET_NAME, comm);
}

static int load_conf(struct run *r)
{
    const struct nk_cmd *cmd = r->target.entry->cmd;
    const char *name = r->target.entry->name;
    int rc;
    if (cmd->flags & NK_CMD_NO_CONFIG) {
        const struct nk_conf_source none = {0};
        rc = nk_conf_load(&r->conf, &none, NULL);
    } else {
        rc = nk_cli_load(&r->conf, r->cmds, &r->globals, cmd->section, r->hooks->check_endpoint,
                         &r->diag);
    }
    if (r->conf) {
        nk_cli_report_problems(name, r->conf, r->globals.json);
        if (nk_conf_problem_at(r->conf, 0) && rc < 0) {
            r->diag.text[0] = '\0'; /* all was said */
        }
    }
    return rc;
}

static enum nk_level log_level(const struct nk_globals *g)
{
    return g->quiet          ? NK_LOG_ERROR
           : g->verbose == 0 ? NK_LOG_INFO
           : g->verbose == 1 ? NK_LOG_DEBUG
                             : NK_LOG_TRACE;
}

static void log_problems(struct nk_log *log, const struct nk_conf *c)
{
    const struct nk_conf_problem *p;
    for (size_t i = 0; (p = nk_conf_problem_at(c, i)) != NULL; i++) {
        if (p->warning) {
            nk_warn(log, "config", "%s", p->text);
        } else {
            nk_error(log, "config", "%s", p->text);
        }
    }
}

static int reload(const struct nk_cmd_ctx *ctx, const void **conf, struct nk_conf **take_ini,
                  struct nk_diag *diag)
{
    const struct run *r = ctx->reload_arg;
    const struct nk_cmd *cmd = ctx->self->cmd;
    struct nk_conf *fresh = NULL;
    int rc =
        nk_cli_load(&fresh, r->cmds, &r->globals, cmd->section, r->hooks->check_endpoint, diag);
    if (fresh) {
        log_problems(ctx->log, fresh);
    }
    if (rc == 0) {
        rc = nk_conf_merge(fresh, nk_cli_opts(cmd), nk_cli_conf_size(cmd), cmd->section,
                           r->args.own, r->args.nown, conf, diag);
    }
    if (rc < 0) {
        nk_conf_free(fresh);
        return rc;
    }
    *take_ini = fresh;
    return 0;
}

static int call_command(struct run *r)
{
    const struct nk_cmd *cmd = r->target.entry->cmd;
    bool raw = (cmd->flags & NK_CMD_RAW) != 0;
    struct nk_cmd_ctx ctx = {
        .self = r->target.entry,
        .program = r->program,
        .globals = &r->globals,
        .argc = raw ? r->target.argc - r->target.raw : r->args.noperands,
        .argv = raw ? r->target.argv + r->target.raw : r->args.operands,
        .dashes = raw ? -1 : r->args.dashes,
        .ini = r->conf,
        .log = r->log,
        .launcher = r->launcher,
        .check_endpoint = r->hooks->check_endpoint,
        .reload = reload,
        .reload_arg = r,
    };
    int rc = nk_conf_merge(r->conf, nk_cli_opts(cmd), nk_cli_conf_size(cmd), cmd->section,
                           r->args.own, r->args.nown, &ctx.conf, &r->diag);
    if (rc < 0) {
        return rc;
    }
    if (nk_conf_path(r->conf)) {
        /* services say it once, one-shot commands only when asked */
        NK_LOG_(r->log, "config", cmd->service ? NK_LOG_INFO : NK_LOG_DEBUG, NULL, NULL, "using %s",
                nk_conf_path(r->conf));
    }
    rc = cmd->run(&ctx);
    r->diag = ctx.diag;
    r->diag.code = rc;
    return rc;
}

static int run_command(struct run *r)
{
    const struct nk_cmd *cmd = r->target.entry->cmd;
    set_process_name(r->target.entry->name);
    int rc = cmd->flags & NK_CMD_RAW ? 0 : check_operands(r);
    bool wants_launcher = (cmd->flags & NK_CMD_EXEC) || getpid() == 1;
    if (rc == 0 && wants_launcher && r->hooks->launch) {
        rc = r->hooks->launch(&r->launcher, &r->diag);
    }
    /* after the launcher's birth: programs that it starts keep the limits and umask we were given
     */
    r->globals.umask = nk_process_harden();
    if (rc == 0) {
        rc = load_conf(r);
    }
    if (rc == 0) {
        r->log = nk_log_new(2, (enum nk_log_format)r->globals.log_format, log_level(&r->globals));
        rc = r->log ? call_command(r) : nk_fail(&r->diag, -ENOMEM, "out of memory");
    }
    if (r->launcher) {
        r->hooks->launch_end(r->launcher);
    }
    return rc;
}

/* Everything after the words are understood. */
static int run_words(struct run *r, bool nameless)
{
    int rc = parse_words(r);
    if (rc == -ENOMEM) {
        return rc;
    }
    struct nk_diag usage = r->diag;
    int bad_globals = read_globals(r);
    if (r->args.help || r->target.help) {
        return print_text(r, make_help);
    }
    if (r->args.version) {
        return print_text(r, make_version);
    }
    if (rc < 0) {
        r->diag = usage;
    }
    rc = rc < 0 ? rc : bad_globals;
    if (rc < 0) {
        if (!r->diag.hint[0]) {
            nk_hint(&r->diag, "see 'netkit%s%s --help'", r->target.name[0] ? " " : "",
                    r->target.name);
        }
        return rc;
    }
    return r->target.entry ? run_command(r) : run_without_command(r, nameless);
}

static void run_clear(struct run *r)
{
    nk_conf_free(r->conf);
    nk_log_free(r->log);
    nk_args_clear(&r->args);
    nk_opt_free_values(nk_cli_globals, &r->globals);
    free(r->target.argv);
}

/* The exit status for what run() or the words gave; reports what is not reported yet. */
static int finish(struct run *r, int rc)
{
    struct nk_diag diag = {0};
    int out = nk_cli_flush(&diag);
    if (rc < 0 && (r->diag.text[0] || rc != NK_ECONFIG || !r->conf)) {
        r->diag.code = rc;
        nk_cli_report(r->target.name, &r->diag, r->globals.json);
    }
    if (out == NK_EOUTPUT && rc >= 0) {
        nk_cli_report(r->target.name, &diag, r->globals.json);
    }
    int status = rc < 0 ? nk_exit_code(rc) : rc;
    if (status == 0 && out < 0) {
        status = out == -EPIPE ? NK_EXIT_SIGNAL + SIGPIPE : nk_exit_code(out);
    }
    return status;
}

/* One buffer for what most commands print: errors then show at the flush, with their errno (musl's
 * own buffer of 1 KiB loses it), and a terminal still gets whole lines at once. */
static void buffer_stdout(void)
{
    char *buf = malloc(STDOUT_BUFFER);
    if (buf) {
        setvbuf(stdout, buf, isatty(1) ? _IOLBF : _IOFBF, STDOUT_BUFFER);
    }
    /* cppcheck-suppress memleak ; stdout keeps it */
}

int nk_cli_main(int argc, char **argv, const struct nk_cli_hooks *hooks)
{
    struct run r = {.hooks = hooks, .cmds = {nk_cmd_table, nk_cmd_count}};
    nk_stdio_open();
    buffer_stdout();
    signal(SIGPIPE, SIG_IGN);
    int rc = nk_crypto_init();
    if (rc < 0) {
        nk_fail(&r.diag, rc, "the cryptographic library cannot start");
        return finish(&r, rc);
    }
    r.program = argc > 0 && argv[0] ? argv[0] : "";
    bool nameless = *r.program == '\0';
    rc = nk_cli_resolve(&r.target, r.cmds, argc, argv, &r.diag);
    if (rc == 0) {
        rc = run_words(&r, nameless && argc <= 1);
    } else {
        for (int i = 1; i < argc; i++) {
            r.globals.json |= strcmp(argv[i], "--json") == 0;
        }
    }
    int status = finish(&r, rc);
    run_clear(&r);
    return status;
}
