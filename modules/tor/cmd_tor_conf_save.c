/* SPDX-License-Identifier: MIT */
/* netkit tor conf save: have tor write its configuration file. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tor/conf_cli.h"
#include "tor/wire.h"

#define TORRC_MAX                                                                                  \
    ((size_t)128 << 10) /* larger ones are not compared: every line with every other */
#define PATH_MOST 4096

struct save_conf {
    struct tor_cli_conf cli;
    bool force;
};

static const struct nk_opt opts[] = {
    TOR_ROWS(struct save_conf, cli),
    {.name = "force",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct save_conf, force),
     .help = "Also where the file has %include lines, which are lost then"},
    NK_OPT_END};

struct task {
    struct tor_conf_cli c; /* first: what the callbacks get */
    char path[PATH_MOST];
};

static void on_saved(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    const struct task *t = (struct task *)c;
    struct nk_buf out;
    struct nk_json j;
    (void)reply;
    if (!c->ctx->globals->json) {
        printf("tor has written %s\n", t->path);
        tor_conf_cli_end(c, 0);
        return;
    }
    nk_buf_init(&out, PATH_MOST * 8);
    nk_json_init(&j, &out, true);
    nk_json_object(&j);
    nk_json_kv_u64(&j, "schema", 1);
    nk_json_kv_str(&j, "file", t->path);
    nk_json_close(&j);
    tor_conf_cli_end(c, nk_cli_put_json(&j, &c->ctx->diag));
}

/* The next line of [*p, end), without blanks at its end. */
static bool next_line(const char **p, const char *end, const char **line, size_t *n)
{
    if (*p >= end) {
        return false;
    }
    const char *eol = memchr(*p, '\n', (size_t)(end - *p));
    *line = *p;
    *n = (size_t)((eol ? eol : end) - *p);
    *p = eol ? eol + 1 : end;
    while (*n > 0 && strchr(" \t\r", (*line)[*n - 1])) {
        --*n;
    }
    return true;
}

static bool has_line(const char *p, size_t size, const char *line, size_t n)
{
    const char *end = p + size, *other;
    size_t len;
    while (next_line(&p, end, &other, &len)) {
        if (len == n && memcmp(line, other, n) == 0) {
            return true;
        }
    }
    return false;
}

/* The lines of a that are not in b. */
static void print_missing(char sign, const char *a, size_t a_len, const char *b, size_t b_len)
{
    const char *p = a, *end = a + a_len, *line;
    size_t n;
    while (next_line(&p, end, &line, &n)) {
        if (n > 0 && !has_line(b, b_len, line, n)) {
            printf("%c", sign);
            tor_cli_print(line, n);
            printf("\n");
        }
    }
}

/* What a save would change: lines that go, lines that come. */
static void show_changes(struct tor_conf_cli *c, const char *path, const struct tor_word *text)
{
    struct nk_buf file;
    nk_buf_init(&file, TORRC_MAX);
    int rc = text->value_len > TORRC_MAX
                 ? nk_fail_sys(&c->ctx->diag, NK_ETOOBIG, "the configuration")
                 : nk_file_read(path, 0, &file, &c->ctx->diag);
    if (rc == -ENOENT) { /* tor was started without one: it makes one */
        rc = 0;
    }
    if (rc == 0) {
        const char *now = nk_buf_len(&file) ? (const char *)nk_buf_ptr(&file) : "";
        printf("--- %s\n+++ what tor would write\n", path);
        print_missing('-', now, nk_buf_len(&file), text->value, text->value_len);
        print_missing('+', text->value, text->value_len, now, nk_buf_len(&file));
    } else {
        nk_hint(&c->ctx->diag, "tor would write what 'netkit tor conf get' shows");
    }
    nk_buf_clear(&file);
    tor_conf_cli_end(c, rc);
}

static void on_file(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    struct task *t = (struct task *)c;
    const struct save_conf *conf = c->ctx->conf;
    struct tor_word path, can, text;
    if (!tor_reply_find(reply, "config-file", &path) ||
        !tor_reply_find(reply, "config-text", &text) || path.value_len >= sizeof(t->path) ||
        memchr(path.value, 0, path.value_len)) {
        tor_conf_cli_end(
            c, nk_fail(&c->ctx->diag, NK_EPROTO, "tor does not tell its configuration file"));
        return;
    }
    memcpy(t->path, path.value, path.value_len);
    t->path[path.value_len] = 0;
    const bool blocked = tor_reply_find(reply, "config-can-saveconf", &can) && can.value_len == 1 &&
                         *can.value == '0';
    if (blocked && !conf->force) {
        int rc = nk_fail(&c->ctx->diag, NK_EAUTH,
                         "tor does not want to write %s, which has %%include lines", t->path);
        nk_hint(&c->ctx->diag, "--force writes everything into that one file");
        tor_conf_cli_end(c, rc);
    } else if (c->ctx->globals->dry_run) {
        show_changes(c, t->path, &text);
    } else {
        tor_conf_cli_ask(c, conf->force ? "SAVECONF FORCE" : "SAVECONF", NULL, 0, on_saved);
    }
}

static void on_ready(struct tor_conf_cli *c)
{
    tor_conf_cli_ask(c, "GETINFO config-file config-can-saveconf config-text", NULL, 0, on_file);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct task t = {.c = {.start = on_ready, .no_names = true}};
    return tor_conf_cli_run(&t.c, ctx);
}

extern const struct nk_cmd nk_cmd_tor_conf_save;
const struct nk_cmd nk_cmd_tor_conf_save = {
    .synopsis = "[--force]",
    .summary = "Have tor write its configuration file",
    .opts = opts,
    .conf_size = sizeof(struct save_conf),
    .flags = NK_CMD_EXEC,
    .run = run,
};
