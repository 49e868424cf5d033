/* SPDX-License-Identifier: MIT */
#include "tor/shell.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/secret.h"
#include "core/app.h"
#include "core/stream.h"
#include "tor/wire.h"

#define HISTORY_MAX (TOR_EDIT_HISTORY_MOST * (size_t)(TOR_EDIT_LINE_MAX + 1))
#define READ_AT_ONCE 16384
#define PROMPT "tor> "

static const char slot_key = 's'; /* its address names our slot of the app */

static void next_input(struct tor_shell *sh);

/* --- output: above the prompt, if there is one ---------------------------------------------- */

static void flush_screen(struct tor_shell *sh)
{
    tor_term_write(nk_buf_ptr(&sh->screen), nk_buf_len(&sh->screen));
    nk_buf_reset(&sh->screen);
}

static void before_output(struct tor_shell *sh)
{
    if (sh->asking) {
        tor_edit_hide(sh->edit, &sh->screen);
        flush_screen(sh);
    }
}

static void after_output(struct tor_shell *sh)
{
    struct nk_diag why;
    int rc = nk_cli_flush(&why);
    if (rc < 0) {
        sh->ctx->diag = why;
        tor_cli_finish(sh->cli, rc);
    } else if (sh->asking) {
        tor_edit_show(sh->edit, &sh->screen);
        flush_screen(sh);
    }
}

static void say(struct tor_shell *sh, const char *text)
{
    before_output(sh);
    tor_cli_print(text, strlen(text));
    after_output(sh);
}

static void complain(struct tor_shell *sh, const char *text)
{
    before_output(sh);
    printf("%s\n", text);
    after_output(sh);
}

static void print_line(const struct tor_line *l)
{
    printf("%03d%c", l->code, l->kind);
    tor_cli_print(l->text, l->len);
    printf("\n");
    if (l->data) {
        tor_cli_print(l->data, l->data_len);
        printf(".\n");
    }
}

/* What `/info` shows: the text behind "key=" and data, nothing of the protocol. */
static void print_value(const struct tor_line *l, size_t n)
{
    struct tor_word w;
    if (l->code >= TOR_FAILED || !tor_line_pair(l, &w)) {
        if (l->code >= TOR_FAILED || n == 1) {
            print_line(l);
        }
        return;
    }
    tor_cli_print(w.value, w.value_len);
    if (w.value_len == 0 || w.value[w.value_len - 1] != '\n') {
        printf("\n");
    }
}

/* --- asking tor ------------------------------------------------------------------------------ */

static void done(struct tor_shell *sh)
{
    sh->waiting = false;
    sh->values = false;
    next_input(sh);
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct tor_shell *sh = owner;
    before_output(sh);
    for (size_t i = 0; err == 0 && i < reply->n; i++) {
        sh->failed = sh->failed || reply->lines[i].code >= TOR_FAILED;
        if (sh->values) {
            print_value(&reply->lines[i], reply->n);
        } else {
            print_line(&reply->lines[i]);
        }
    }
    if (err < 0) {
        sh->failed = true;
        fflush(stdout);
        fprintf(stderr, "%s\n", why->text);
    }
    after_output(sh);
    done(sh);
}

/* Sends it; what cannot be sent is told, and input goes on. */
static void ask(struct tor_shell *sh, const char *line, const void *data, size_t len)
{
    struct nk_diag why;
    sh->request = (struct tor_request){.fn = on_reply, .owner = sh};
    if (tor_control_send(sh->cli->control, &sh->request, line, data, len, &why) < 0) {
        sh->failed = true;
        sh->values = false;
        before_output(sh);
        fprintf(stderr, "%s%s%s\n", why.text, why.hint[0] ? "; " : "", why.hint);
        after_output(sh);
        return;
    }
    sh->waiting = true;
}

static void on_event(void *owner, const struct tor_reply *event)
{
    struct tor_shell *sh = owner;
    before_output(sh);
    for (size_t i = 0; i < event->n; i++) {
        print_line(&event->lines[i]);
    }
    after_output(sh);
}

static void on_subscribed(void *owner, int err, const struct nk_diag *why)
{
    struct tor_shell *sh = owner;
    if (err < 0) {
        sh->failed = true;
        complain(sh, why->text);
    }
}

static void drop_events(struct tor_shell *sh)
{
    while (sh->events_n > 0) {
        struct tor_shell_event *e = sh->events[--sh->events_n];
        tor_control_unsubscribe(&e->s);
        free(e);
    }
}

static int add_event(struct tor_shell *sh, const char *name, size_t n)
{
    struct tor_shell_event *e = NULL;
    if (sh->events_n == TOR_SHELL_EVENTS_MOST || n >= sizeof(e->name)) {
        return NK_ELIMIT;
    }
    e = calloc(1, sizeof(*e));
    if (!e) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        e->name[i] = (char)toupper((unsigned char)name[i]);
    }
    for (size_t i = 0; i < sh->events_n; i++) {
        if (strcmp(sh->events[i]->name, e->name) == 0) {
            free(e);
            return 0;
        }
    }
    e->s = (struct tor_subscription){
        .event = e->name, .fn = on_event, .on_ready = on_subscribed, .owner = sh};
    int rc = tor_control_subscribe(sh->cli->control, &e->s);
    if (rc < 0) {
        free(e);
        return rc;
    }
    sh->events[sh->events_n++] = e;
    return 0;
}

/* "/events A B", "/events off"; SETEVENTS is the same, so that both have one list. */
static void set_events(struct tor_shell *sh, const char *names, bool raw)
{
    if (!*names && !raw) {
        before_output(sh);
        for (size_t i = 0; i < sh->events_n; i++) {
            printf("%s\n", sh->events[i]->name);
        }
        after_output(sh);
        return;
    }
    drop_events(sh);
    if (strcasecmp(names, "off") == 0) {
        return;
    }
    while (*names) {
        const size_t n = strcspn(names, " ");
        int rc = add_event(sh, names, n);
        if (rc < 0) {
            sh->failed = true;
            complain(sh, nk_strerror(rc));
            return;
        }
        names += n;
        names += strspn(names, " ");
    }
}

/* --- lines ----------------------------------------------------------------------------------- */

static bool is_word(const char *line, const char *word, const char **rest)
{
    const size_t n = strlen(word);
    if (strncasecmp(line, word, n) != 0 || (line[n] && line[n] != ' ')) {
        return false;
    }
    *rest = line + n + strspn(line + n, " ");
    return true;
}

static void help(struct tor_shell *sh, const char *command)
{
    struct nk_buf out;
    nk_buf_init(&out, 16384);
    if (tor_shell_help(&out, *command ? command : NULL) == 0) {
        say(sh, nk_buf_str(&out));
    }
    nk_buf_clear(&out);
}

/* A line of a data block; a dot ends it, two at the beginning are one. */
static void take_data(struct tor_shell *sh, const char *line)
{
    int skip = tor_wire_undot(line, strlen(line));
    if (skip < 0) {
        ask(sh, nk_buf_str(&sh->command),
            nk_buf_len(&sh->data) ? nk_buf_ptr(&sh->data) : (const void *)"",
            nk_buf_len(&sh->data));
        nk_buf_reset(&sh->command);
        nk_buf_reset(&sh->data);
    } else if (nk_buf_puts(&sh->data, line + skip) < 0 || nk_buf_u8(&sh->data, '\n') < 0) {
        say(sh, "the data block is too large\n");
        nk_buf_reset(&sh->command);
        nk_buf_reset(&sh->data);
        sh->failed = true;
    }
}

static void take_line(struct tor_shell *sh, const char *line)
{
    const char *rest;
    if (nk_buf_len(&sh->command) > 0) {
        take_data(sh, line);
        return;
    }
    line += strspn(line, " ");
    if (!*line) {
        return;
    }
    if (is_word(line, "/quit", &rest) || is_word(line, "/exit", &rest) ||
        is_word(line, "quit", &rest)) {
        sh->ended = true;
    } else if (is_word(line, "/help", &rest)) {
        help(sh, rest);
    } else if (is_word(line, "/events", &rest)) {
        set_events(sh, rest, false);
    } else if (is_word(line, "setevents", &rest)) {
        set_events(sh, rest, true);
    } else if (is_word(line, "/info", &rest)) {
        struct nk_buf command;
        nk_buf_init(&command, TOR_COMMAND_MAX);
        sh->values = true;
        if (nk_buf_printf(&command, "GETINFO %s", rest) == 0) {
            ask(sh, nk_buf_str(&command), NULL, 0);
        }
        nk_buf_clear(&command);
    } else if (*line == '/') {
        sh->failed = true;
        say(sh, "there is no such word; /help lists them\n");
    } else if (*line == '+') {
        if (nk_buf_puts(&sh->command, line + 1) == 0 && sh->terminal) {
            say(sh, "the data; a dot alone ends it\n");
        }
    } else {
        ask(sh, line, NULL, 0);
    }
}

/* --- input ----------------------------------------------------------------------------------- */

static void finish(struct tor_shell *sh)
{
    tor_cli_finish(sh->cli, sh->failed && !sh->terminal ? NK_EXIT_FAILED : 0);
}

static void start_line(struct tor_shell *sh)
{
    sh->asking = true;
    tor_edit_start(sh->edit, &sh->screen);
    flush_screen(sh);
}

/* Keys until a line is complete. Returns false when more are needed. */
static bool take_keys(struct tor_shell *sh)
{
    size_t used;
    if (nk_buf_len(&sh->ahead) == 0) {
        return false;
    }
    enum tor_edit_result r =
        tor_edit_feed(sh->edit, nk_buf_ptr(&sh->ahead), nk_buf_len(&sh->ahead), &used, &sh->screen);
    nk_buf_consume(&sh->ahead, used);
    flush_screen(sh);
    if (r == TOR_EDIT_MORE) {
        return false;
    }
    if (r == TOR_EDIT_STOP) {
        tor_term_stop(&sh->term);
        return true;
    }
    sh->asking = false;
    if (r == TOR_EDIT_END) {
        sh->ended = true;
    } else if (r == TOR_EDIT_CANCEL) {
        nk_buf_reset(&sh->command);
        nk_buf_reset(&sh->data);
    } else {
        const char *line = tor_edit_text(sh->edit);
        if (nk_buf_len(&sh->command) == 0 && !tor_shell_is_secret(line)) {
            (void)tor_edit_remember(sh->edit, line); /* without memory it is not remembered */
        }
        take_line(sh, line);
    }
    return true;
}

/* The next line of a pipe. Returns false when it is not complete yet. */
static bool take_piped(struct tor_shell *sh)
{
    char *p = (char *)nk_buf_ptr(&sh->ahead);
    const size_t len = nk_buf_len(&sh->ahead);
    const char *eol = len ? memchr(p, '\n', len) : NULL;
    if (len == 0 || (!eol && !sh->ended)) {
        return false;
    }
    const size_t n = eol ? (size_t)(eol - p) : len;
    const size_t used = eol ? n + 1 : n;
    char *line = memchr(p, 0, n) ? NULL : malloc(n + 1);
    if (line) {
        memcpy(line, p, n);
        line[n - (n > 0 && p[n - 1] == '\r')] = 0;
        line[n] = 0;
    }
    nk_buf_consume(&sh->ahead, used);
    if (!line) {
        sh->failed = true;
        say(sh, "a line cannot be read\n");
        return true;
    }
    const bool ended = sh->ended;
    take_line(sh, line);
    if (sh->ended && !ended) { /* told to quit: what follows is not looked at */
        nk_buf_reset(&sh->ahead);
    }
    nk_free_wiped(line, n);
    return true;
}

static void next_input(struct tor_shell *sh)
{
    bool more = true;
    while (!sh->waiting && more) {
        if (sh->terminal && !sh->ended && !sh->asking) {
            start_line(sh);
        }
        more = sh->terminal ? !sh->ended && take_keys(sh) : take_piped(sh);
    }
    if (!sh->waiting && sh->ended) {
        finish(sh);
    } else if (sh->in) {
        nk_stream_interest(sh->in, sh->waiting || sh->ended ? 0 : NK_READABLE);
    }
}

static void on_keys(void *owner, const char *p, size_t n)
{
    struct tor_shell *sh = owner;
    if (n == 0) { /* the terminal has gone */
        sh->ended = true;
        tor_request_cancel(&sh->request);
        sh->waiting = false;
    } else if (sh->waiting && memchr(p, 3, n)) { /* ^C: the reply is not waited for */
        tor_request_cancel(&sh->request);
        nk_buf_reset(&sh->ahead);
        sh->waiting = false;
    } else if (nk_buf_put(&sh->ahead, p, n) < 0) {
        nk_buf_reset(&sh->ahead); /* as a terminal does: too much that is typed ahead is lost */
    }
    next_input(sh);
}

static void on_size(void *owner)
{
    struct tor_shell *sh = owner;
    unsigned rows, columns;
    tor_term_size(&rows, &columns);
    tor_edit_columns(sh->edit, columns);
    if (sh->asking) {
        tor_edit_show(sh->edit, &sh->screen);
        flush_screen(sh);
    }
}

static void on_pipe(void *owner, struct nk_stream *s, unsigned events)
{
    struct tor_shell *sh = owner;
    uint8_t bytes[READ_AT_ONCE];
    if (events & NK_CONNECTED) {
        nk_stream_interest(s, NK_READABLE);
    }
    if (!(events & (NK_READABLE | NK_CLOSED))) {
        return;
    }
    ssize_t n = nk_stream_read(s, bytes, sizeof(bytes));
    if (n == NK_EAGAIN) {
        return;
    }
    if (n > 0 && nk_buf_put(&sh->ahead, bytes, (size_t)n) < 0) {
        nk_fail(&sh->ctx->diag, NK_ETOOBIG, "a line is too long");
        tor_cli_finish(sh->cli, NK_ETOOBIG);
        return;
    }
    nk_wipe(bytes, sizeof(bytes));
    sh->ended = n <= 0;
    next_input(sh);
}

/* --- its life -------------------------------------------------------------------------------- */

static int history_path(const struct tor_shell *sh, char *dir, char *path)
{
    int rc = nk_path_join(dir, NK_PATH_MAX, sh->ctx->globals->state_dir, "tor");
    return rc < 0 ? rc : nk_path_join(path, NK_PATH_MAX, dir, "shell_history");
}

static void load_history(struct tor_shell *sh)
{
    char dir[NK_PATH_MAX], path[NK_PATH_MAX];
    struct nk_buf text;
    struct nk_diag why = {0};
    nk_buf_init(&text, HISTORY_MAX);
    int rc = history_path(sh, dir, path);
    rc = rc < 0 ? rc : nk_file_read(path, NK_FILE_SECRET, &text, &why);
    if (rc < 0 && rc != -ENOENT) {
        fprintf(stderr, "no history: %s\n", why.text);
    }
    char *p = (char *)nk_buf_ptr(&text), *end = p + nk_buf_len(&text);
    for (char *eol; p && p < end && (eol = memchr(p, '\n', (size_t)(end - p))); p = eol + 1) {
        *eol = 0;
        if (strlen(p) <= TOR_EDIT_LINE_MAX && tor_edit_remember(sh->edit, p) < 0) {
            break;
        }
    }
    nk_buf_clear(&text);
}

static void save_history(const struct tor_shell *sh)
{
    char dir[NK_PATH_MAX], path[NK_PATH_MAX];
    struct nk_buf text;
    struct nk_diag why = {0};
    const struct nk_strlist *lines = tor_edit_history(sh->edit);
    nk_buf_init(&text, HISTORY_MAX);
    int rc = history_path(sh, dir, path);
    for (size_t i = 0; i < lines->n && rc == 0; i++) {
        rc = nk_buf_printf(&text, "%s\n", lines->v[i]);
    }
    rc = rc < 0 ? rc : nk_mkdirs(dir, &why);
    rc = rc < 0 || lines->n == 0
             ? rc
             : nk_file_write(path, NK_FILE_OVERWRITE, nk_buf_ptr(&text), nk_buf_len(&text), &why);
    if (rc < 0) {
        fprintf(stderr, "the history is not kept: %s\n", why.text[0] ? why.text : nk_strerror(rc));
    }
    nk_buf_clear(&text);
}

/* With the app's end, whatever ended it: the terminal is given back. */
static void release(void *value)
{
    struct tor_shell *sh = value;
    tor_request_cancel(&sh->request);
    if (sh->asking) {
        tor_term_write("\n", 1);
    }
    tor_term_close(&sh->term);
    nk_stream_close(sh->in);
    drop_events(sh);
    if (sh->edit) {
        save_history(sh);
    }
    tor_edit_free(sh->edit);
    tor_shell_words_clear(&sh->words);
    nk_buf_clear(&sh->screen);
    nk_buf_clear(&sh->ahead);
    nk_buf_clear(&sh->command);
    nk_buf_clear(&sh->data);
}

static int open_terminal(struct tor_shell *sh)
{
    const struct tor_edit_conf conf = {
        .prompt = PROMPT, .complete = tor_shell_complete, .owner = &sh->words};
    int rc = tor_edit_new(&sh->edit, &conf);
    if (rc < 0) {
        return nk_fail_sys(&sh->ctx->diag, rc, "the terminal");
    }
    load_history(sh);
    sh->term.on_keys = on_keys;
    sh->term.on_size = on_size;
    sh->term.owner = sh;
    rc = tor_term_open(&sh->term, sh->cli->app, &sh->ctx->diag);
    if (rc == 0) {
        on_size(sh);
    }
    return rc;
}

static void on_words(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct tor_shell *sh = owner;
    (void)why;
    if (err == 0) {
        (void)tor_shell_words_read(&sh->words, reply); /* without memory Tab knows less */
    }
    done(sh);
}

static void on_ready(struct tor_cli *cli)
{
    struct tor_shell *sh = cli->task->owner;
    int rc = 0;
    if (sh->cli) { /* again: everything is as it was */
        say(sh, "connected to tor again\n");
        return;
    }
    sh->cli = cli;
    rc = nk_app_slot_set(cli->app, &slot_key, sh, release);
    if (rc == 0 && sh->terminal) {
        printf("tor %s at %s; /help for help\n", tor_control_version(cli->control),
               tor_control_place(cli->control));
        fflush(stdout);
        rc = open_terminal(sh);
        sh->request = (struct tor_request){.fn = on_words, .owner = sh};
        sh->waiting = true;
        rc = rc < 0 ? rc
                    : tor_control_send(cli->control, &sh->request,
                                       "GETINFO config/names events/names info/names signal/names",
                                       NULL, 0, &sh->ctx->diag);
    } else if (rc == 0) {
        rc = nk_stream_from_inherited(cli->app, STDIN_FILENO, -1, "stdin", &sh->in, &sh->ctx->diag);
        if (rc == 0) {
            nk_stream_own(sh->in, on_pipe, sh);
        }
    }
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    }
}

static void on_lost(struct tor_cli *cli, const struct nk_diag *why)
{
    struct tor_shell *sh = cli->task->owner;
    before_output(sh);
    printf("%s; trying again\n", why->text);
    after_output(sh);
}

int tor_shell_run(struct nk_cmd_ctx *ctx, const struct tor_cli_conf *conf)
{
    struct tor_shell *sh = calloc(1, sizeof(*sh));
    if (!sh) {
        return nk_fail_sys(&ctx->diag, -ENOMEM, "the shell");
    }
    sh->ctx = ctx;
    sh->terminal = tor_term_usable() && !ctx->globals->no_input;
    nk_buf_init(&sh->screen, TOR_SHELL_AHEAD);
    nk_buf_init_secret(&sh->ahead, TOR_COMMAND_MAX + TOR_SHELL_AHEAD);
    nk_buf_init_secret(&sh->command, TOR_COMMAND_MAX);
    nk_buf_init_secret(&sh->data, TOR_COMMAND_MAX);
    const struct tor_cli_task task = {.ready = on_ready,
                                      .lost = sh->terminal ? on_lost : NULL,
                                      .owner = sh,
                                      .reconnect = sh->terminal};
    int rc = tor_cli_run(ctx, conf, &task);
    free(sh);
    return rc;
}
