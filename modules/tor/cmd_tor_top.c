/* SPDX-License-Identifier: MIT */
/* netkit tor top: what a tor is doing, on the whole screen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/timer.h"
#include "tor/cli.h"
#include "tor/term.h"
#include "tor/top.h"

#define REDRAW_MS 100 /* at most ten pictures a second */
#define ONCE_ROWS 60
#define OUT_MAX ((size_t)4 << 20)

struct top_conf {
    struct tor_cli_conf cli;
    bool once;
};

static const struct nk_opt opts[] = {TOR_ROWS(struct top_conf, cli),
                                     {.name = "once",
                                      .type = NK_OPT_FLAG,
                                      .offset = NK_FIELD(struct top_conf, once),
                                      .help = "Print one picture as text, and end"},
                                     NK_OPT_END};

static const char *const events[] = {"BW",   "CIRC", "STREAM",  "GUARD",     "NOTICE",
                                     "WARN", "ERR",  "CIRC_BW", "STREAM_BW", "STATUS_CLIENT"};
#define EVENTS_N (sizeof(events) / sizeof(*events))

static const char slot_key = 't'; /* its address names our slot of the app */

struct task {
    struct nk_cmd_ctx *ctx;
    struct tor_cli *cli;
    struct tor_top *top;
    struct tor_screen screen;
    struct tor_term term;
    struct nk_buf out;
    struct nk_timer redraw;
    struct tor_request ask, past, newnym;
    struct tor_subscription subscriptions[EVENTS_N];
    bool once, colour;
};

static void finish(struct task *t, int rc, const char *what)
{
    tor_cli_finish(t->cli, rc < 0 ? nk_fail_sys(&t->ctx->diag, rc, "%s", what) : rc);
}

static void draw(void *owner)
{
    struct task *t = owner;
    tor_top_draw(t->top, &t->screen);
    nk_buf_reset(&t->out);
    int rc = tor_screen_draw(&t->screen, t->colour, &t->out);
    if (rc < 0) {
        finish(t, rc, "the screen");
        return;
    }
    tor_term_write(nk_buf_ptr(&t->out), nk_buf_len(&t->out));
}

static void draw_soon(struct task *t)
{
    if (!t->once && !t->redraw.armed) {
        nk_timer_start(&t->redraw, REDRAW_MS);
    }
}

static void on_size(void *owner)
{
    struct task *t = owner;
    unsigned rows, columns;
    tor_term_size(&rows, &columns);
    int rc = tor_screen_size(&t->screen, rows, columns);
    if (rc < 0) {
        finish(t, rc, "the screen");
        return;
    }
    draw(t);
}

static void on_event(void *owner, const struct tor_reply *event)
{
    struct task *t = owner;
    int rc = tor_top_event(t->top, event);
    if (rc < 0) {
        finish(t, rc, "the picture");
    } else if (!t->top->paused) {
        draw_soon(t);
    }
}

/* --once: the picture as it is printed. */
static void print(struct task *t)
{
    unsigned rows, columns;
    tor_term_size(&rows, &columns);
    int rc = tor_screen_size(&t->screen, ONCE_ROWS, columns);
    if (rc == 0) {
        t->top->hidden[TOR_PANEL_LOG] = true; /* nothing was logged in a moment */
        snprintf(t->top->notice, sizeof(t->top->notice), " ");
        tor_top_draw(t->top, &t->screen);
        rc = tor_screen_text(&t->screen, &t->out);
    }
    if (rc == 0) {
        fwrite(nk_buf_ptr(&t->out), 1, nk_buf_len(&t->out), stdout);
    }
    finish(t, rc, "the picture");
}

static void on_answer(void *owner, int err, const struct tor_reply *reply,
                      const struct nk_diag *why)
{
    struct task *t = owner;
    (void)why; /* the loss is told to the command, too */
    if (err < 0) {
        return;
    }
    int rc = tor_top_answer(t->top, reply);
    if (rc < 0) {
        finish(t, rc, "the picture");
    } else if (t->once) {
        print(t);
    } else {
        draw(t);
    }
}

static void on_past(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct task *t = owner;
    (void)why; /* as above; and without it the graph begins now */
    if (err == 0) {
        tor_top_past(t->top, reply);
    }
}

static void on_newnym(void *owner, int err, const struct tor_reply *reply,
                      const struct nk_diag *why)
{
    struct task *t = owner;
    struct nk_diag refused;
    const bool good = err == 0 && tor_reply_error(reply, "NEWNYM", &refused) == 0;
    snprintf(t->top->notice, sizeof(t->top->notice), "%.100s",
             good      ? "new identity: asked for; tor takes ten seconds between two"
             : err < 0 ? why->text
                       : refused.text);
    draw_soon(t);
}

static void press(struct task *t, char key)
{
    struct nk_diag why;
    const int panel = tor_top_key(key);
    t->top->notice[0] = 0;
    if (key == 'q' || key == 'Q' || key == 3) { /* ^C */
        tor_cli_finish(t->cli, 0);
    } else if (key == 26) { /* ^Z */
        tor_term_stop(&t->term);
    } else if (key == 12) { /* ^L */
        on_size(t);
    } else if (key == 'p') {
        t->top->paused = !t->top->paused;
    } else if (key == 'n' && !t->newnym.conn) {
        t->newnym = (struct tor_request){.fn = on_newnym, .owner = t};
        if (tor_control_send(t->cli->control, &t->newnym, "SIGNAL NEWNYM", NULL, 0, &why) < 0) {
            snprintf(t->top->notice, sizeof(t->top->notice), "%.100s", why.text);
        }
    } else if (panel >= 0) {
        t->top->hidden[panel] = !t->top->hidden[panel];
    }
}

static void on_keys(void *owner, const char *p, size_t n)
{
    struct task *t = owner;
    if (n == 0) { /* the terminal has gone */
        tor_cli_finish(t->cli, 0);
        return;
    }
    if (p[0] == '\x1b') { /* keys such as arrows mean nothing here */
        return;
    }
    for (size_t i = 0; i < n; i++) {
        press(t, p[i]);
    }
    draw_soon(t);
}

static void release(void *value)
{
    struct task *t = value;
    nk_timer_stop(&t->redraw);
    tor_term_close(&t->term);
}

static int begin(struct task *t)
{
    nk_timer_init(&t->redraw, t->cli->app, draw, t);
    int rc = nk_app_slot_set(t->cli->app, &slot_key, t, release);
    if (rc < 0 || t->once) {
        return rc < 0 ? nk_fail_sys(&t->ctx->diag, rc, "the picture") : 0;
    }
    t->term = (struct tor_term){.full = true, .on_keys = on_keys, .on_size = on_size, .owner = t};
    rc = tor_term_open(&t->term, t->cli->app, &t->ctx->diag);
    if (rc == 0) {
        on_size(t);
    }
    return rc;
}

static void on_ready(struct tor_cli *cli)
{
    struct task *t = cli->task->owner;
    const bool first = !t->cli;
    t->cli = cli;
    snprintf(t->top->title, sizeof(t->top->title), "tor %.20s", tor_control_version(cli->control));
    snprintf(t->top->place, sizeof(t->top->place), "%.120s", tor_control_place(cli->control));
    int rc = first ? begin(t) : 0;
    for (size_t i = 0; first && !t->once && rc == 0 && i < EVENTS_N;
         i++) { /* kept over reconnects */
        t->subscriptions[i] =
            (struct tor_subscription){.event = events[i], .fn = on_event, .owner = t};
        rc = tor_control_subscribe(cli->control, &t->subscriptions[i]);
    }
    t->ask = (struct tor_request){.fn = on_answer, .owner = t};
    t->past = (struct tor_request){.fn = on_past, .owner = t};
    if (rc == 0 && first) {
        rc = tor_control_send(cli->control, &t->past, "GETINFO bw-event-cache", NULL, 0,
                              &t->ctx->diag);
    }
    rc = rc < 0 ? rc : tor_control_send(cli->control, &t->ask, TOR_TOP_ASK, NULL, 0, &t->ctx->diag);
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    }
}

static void on_lost(struct tor_cli *cli, const struct nk_diag *why)
{
    struct task *t = cli->task->owner;
    snprintf(t->top->phase, sizeof(t->top->phase), "NOT CONNECTED: %.90s", why->text);
    draw_soon(t);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct top_conf *conf = ctx->conf;
    struct task t = {
        .ctx = ctx, .once = conf->once, .colour = ctx->globals->color != 2 && !getenv("NO_COLOR")};
    if (!t.once && !tor_term_usable()) {
        int rc = nk_fail(&ctx->diag, NK_EUSAGE, "this needs a terminal");
        nk_hint(&ctx->diag, "--once prints one picture as text");
        return rc;
    }
    int rc = tor_top_new(&t.top);
    if (rc < 0) {
        return nk_fail_sys(&ctx->diag, rc, "the picture");
    }
    nk_buf_init(&t.out, OUT_MAX);
    const struct tor_cli_task task = {
        .ready = on_ready, .lost = t.once ? NULL : on_lost, .owner = &t, .reconnect = !t.once};
    rc = tor_cli_run(ctx, &conf->cli, &task);
    tor_screen_clear(&t.screen);
    nk_buf_clear(&t.out);
    tor_top_free(t.top);
    return rc;
}

extern const struct nk_cmd nk_cmd_tor_top;
const struct nk_cmd nk_cmd_tor_top = {
    .synopsis = "[--once]",
    .summary = "Watch what a tor is doing, on the whole screen",
    .opts = opts,
    .conf_size = sizeof(struct top_conf),
    .run = run,
};
