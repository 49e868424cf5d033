/* SPDX-License-Identifier: MIT */
/* netkit tor doctor: what keeps us from a running tor, as lines for its torrc. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/json.h"
#include "core/app.h"
#include "core/signal.h"
#include "tor/cli.h"
#include "tor/launch.h"

#define TORRC_MAX ((size_t)1 << 20)
#define ANSWER_MS 10000u
enum { LINES_MAX = 8, LINE_SIZE = 96, NOTES_MAX = 8, NOTE_SIZE = 600, OUT_MAX = 16384 };

struct doctor_conf {
    struct tor_access access;
    char *torrc;
};

#define ROW(field) .offset = NK_FIELD(struct doctor_conf, field)
static const struct nk_opt opts[] = {
    {.name = "control",
     .type = NK_OPT_STRING,
     ROW(access.control),
     .arg = "ADDR",
     .help = "Where its control port should be; default: the usual places"},
    {.name = "cookie-file",
     .type = NK_OPT_PATH,
     ROW(access.cookie_file),
     .arg = "FILE",
     .help = "The authentication cookie, where it is not at the path that tor names"},
    {.name = "password-file",
     .type = NK_OPT_PATH,
     ROW(access.password_file),
     .arg = "FILE",
     .help = "The password of the control port is the line in this file"},
    {.name = "torrc-file",
     .type = NK_OPT_PATH,
     ROW(torrc),
     .arg = "FILE",
     .def = "/etc/tor/torrc",
     .flags = NK_OPT_MAY_MISS,
     .help = "Its configuration, if it can be read: what stands there is not asked for again"},
    NK_OPT_END};

struct doctor {
    struct nk_cmd_ctx *ctx;
    const struct doctor_conf *conf;
    struct nk_app *app;
    struct nk_buf torrc;
    struct tor_instance_wait *wait;
    struct tor_instance *control, *socks;
    char lines[LINES_MAX][LINE_SIZE]; /* missing */
    size_t nlines;
    char notes[NOTES_MAX][NOTE_SIZE];
    size_t nnotes;
    bool restart; /* torrc has what tor does not */
};

/* --- findings --------------------------------------------------------------------------------- */

static void note(struct doctor *d, const char *text, const char *more)
{
    if (d->nnotes < NOTES_MAX) {
        (void)snprintf(d->notes[d->nnotes++], NOTE_SIZE, "%s%s%s", text, more[0] ? ": " : "", more);
    }
}

/* Whether the torrc has a line with this option (and value, where one is given). */
static bool has_option(struct doctor *d, const char *option, const char *value)
{
    const char *text = nk_buf_str(&d->torrc);
    const size_t n = strlen(option);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += strspn(line, " \t\r\n");
        if (strncasecmp(line, option, n) == 0 && (line[n] == ' ' || line[n] == '\t')) {
            const char *v = line + n + strspn(line + n, " \t");
            if (!value || strncmp(v, value, strlen(value)) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* A line that is missing, unless it is there and only the running tor does not know it. */
static void need(struct doctor *d, const char *option, const char *value, bool any_value)
{
    if (has_option(d, option, any_value ? NULL : value)) {
        d->restart = true;
    } else if (d->nlines < LINES_MAX) {
        (void)snprintf(d->lines[d->nlines++], LINE_SIZE, "%s %s", option, value);
    }
}

/* "torrc: OPTION VALUE, and this user in group .." (tor_access_denied). */
static bool need_from_hint(struct doctor *d, const char *hint)
{
    char option[LINE_SIZE], value[LINE_SIZE];
    if (sscanf(hint, "torrc: %95[A-Za-z] %95[0-9a-z]", option, value) != 2) {
        return false;
    }
    need(d, option, value, false);
    return true;
}

static void judge_control(struct doctor *d, int err, const struct nk_diag *why)
{
    note(d, why->text, why->hint);
    if (err == -EACCES) {
        (void)need_from_hint(d,
                             why->hint); /* else only the group is missing, which the note says */
    } else if (err == NK_EAUTH) {
        need(d, "CookieAuthentication", "1", false);
        need(d, "CookieAuthFileGroupReadable", "1", false);
    } else if (!has_option(d, "ControlPort", NULL) && !has_option(d, "ControlSocket", NULL)) {
        need(d, "ControlPort", "9051", true);
        need(d, "CookieAuthentication", "1", false);
        need(d, "CookieAuthFileGroupReadable", "1", false);
    } else {
        d->restart = true;
    }
}

/* --- looking ---------------------------------------------------------------------------------- */

static void finish(struct doctor *d)
{
    nk_app_stop(d->app, 0);
}

static void on_socks(void *owner, int err, struct tor_instance *instance, const struct nk_diag *why)
{
    struct doctor *d = owner;
    (void)why;
    d->wait = NULL;
    d->socks = instance;
    if (err < 0 || tor_instance_socks(instance)[0] == '\0') {
        note(d, "no SOCKS port answers", "");
        need(d, "SocksPort", "9050", true);
    } else {
        note(d, "SOCKS", tor_instance_socks(instance));
    }
    finish(d);
}

static int ask(struct doctor *d, unsigned needs, tor_instance_fn *fn)
{
    const struct tor_instance_conf conf = {
        .kind = TOR_SYSTEM, .needs = needs, .access = d->conf->access, .timeout_ms = ANSWER_MS};
    return tor_instance_get(d->app, &conf, fn, d, &d->wait, &d->ctx->diag);
}

static void on_control(void *owner, int err, struct tor_instance *instance,
                       const struct nk_diag *why)
{
    struct doctor *d = owner;
    d->wait = NULL;
    d->control = instance;
    if (err < 0) {
        judge_control(d, err, why);
    } else {
        const struct tor_control *c = tor_instance_control(instance);
        note(d, "control port", tor_control_place(c));
        note(d, "authenticated by", tor_control_method(c));
        note(d, "tor", tor_control_version(c));
    }
    if (ask(d, TOR_NEEDS_SOCKS, on_socks) < 0) {
        finish(d);
    }
}

static void look_at_program(struct doctor *d)
{
    char path[NK_PATH_MAX];
    struct nk_diag why;
    if (tor_launch_find("tor", path, sizeof(path), &why) < 0) {
        note(d, why.text, why.hint);
    } else {
        note(d, "program", path);
    }
}

/* --- telling ---------------------------------------------------------------------------------- */

static void put_json(const struct doctor *d, struct nk_buf *out)
{
    struct nk_json j;
    nk_json_init(&j, out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_bool(&j, "control", d->control != NULL);
    nk_json_kv_str(&j, "socks", d->socks ? tor_instance_socks(d->socks) : NULL);
    nk_json_kv_bool(&j, "restart", d->restart);
    nk_json_key(&j, "missing");
    nk_json_array(&j);
    for (size_t i = 0; i < d->nlines; i++) {
        nk_json_str(&j, d->lines[i]);
    }
    nk_json_close(&j);
    nk_json_key(&j, "notes");
    nk_json_array(&j);
    for (size_t i = 0; i < d->nnotes; i++) {
        nk_json_str(&j, d->notes[i]);
    }
    nk_json_close(&j);
    nk_json_close(&j);
    (void)nk_buf_puts(out, "\n");
}

/* The lines alone on standard output: they can be appended to the file. */
static int tell(struct doctor *d)
{
    const struct nk_globals *g = d->ctx->globals;
    struct nk_buf out;
    nk_buf_init(&out, OUT_MAX);
    if (g->json) {
        put_json(d, &out);
    } else {
        for (size_t i = 0; i < d->nnotes && !g->quiet; i++) {
            fprintf(stderr, "%s\n", d->notes[i]);
        }
        if (d->restart && !g->quiet) {
            fprintf(stderr,
                    "%s has what is needed, and tor does not act on it: start tor, or let it "
                    "read that again\n",
                    d->conf->torrc);
        }
        if (d->nlines > 0 && !g->quiet) {
            fprintf(stderr, "missing in its torrc:\n");
        }
        for (size_t i = 0; i < d->nlines; i++) {
            (void)nk_buf_printf(&out, "%s\n", d->lines[i]);
        }
    }
    nk_cli_print(&out);
    nk_buf_clear(&out);
    int rc = nk_cli_flush(&d->ctx->diag);
    const bool well = d->nlines == 0 && !d->restart && d->control && d->socks;
    return rc < 0 ? rc : well ? 0 : NK_EXIT_FAILED;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct doctor d = {.ctx = ctx, .conf = ctx->conf};
    const struct nk_app_conf conf = {.log = ctx->log, .state_dir = ctx->globals->state_dir};
    int rc = nk_app_new(&d.app, &conf, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    nk_buf_init(&d.torrc, TORRC_MAX);
    if (nk_file_read(d.conf->torrc, 0, &d.torrc, &ctx->diag) < 0) {
        nk_buf_clear(&d.torrc); /* none that we may read: everything is asked for */
    }
    look_at_program(&d);
    rc = nk_signal_oneshot_guard(d.app);
    rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "signals") : ask(&d, TOR_NEEDS_CONTROL, on_control);
    if (rc == 0) {
        rc = nk_app_run(d.app);
        rc = rc == 0 ? tell(&d) : rc;
    }
    tor_instance_cancel(d.wait);
    tor_instance_release(d.control);
    tor_instance_release(d.socks);
    nk_app_free(d.app);
    nk_buf_clear(&d.torrc);
    return rc;
}

extern const struct nk_cmd nk_cmd_tor_doctor;
const struct nk_cmd nk_cmd_tor_doctor = {
    .synopsis = "[--control ADDR] [--torrc-file FILE]",
    .summary = "Tell what keeps netkit from a running tor",
    .opts = opts,
    .conf_size = sizeof(struct doctor_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
