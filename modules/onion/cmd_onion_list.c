/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/cmd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/onion.h"
#include "hs/hs.h"
#include "onion/hsdir.h"
#include "tor/tor.h"

enum { OUTPUT_MAX = 4 << 20, HOSTNAME_MAX = 128 };

struct work {
    struct tor_cli *cli;
    struct tor_request detached, directories;
    struct nk_buf out;
    struct nk_json j;
    bool json, in_service; /* an object, and its array of ports, are open */
    size_t n;
};

/* --- one service ------------------------------------------------------------------------------ */

static void end_service(struct work *w)
{
    if (w->in_service && w->json) {
        nk_json_close(&w->j);
        nk_json_close(&w->j);
    } else if (w->in_service) {
        (void)nk_buf_puts(&w->out, "\n");
    }
    w->in_service = false;
}

/* address or dir may be NULL. */
static void begin_service(struct work *w, const char *kind, const char *address, const char *dir)
{
    end_service(w);
    w->n++;
    w->in_service = true;
    if (w->json) {
        nk_json_object(&w->j);
        nk_json_kv_str(&w->j, "kind", kind);
        nk_json_kv_str(&w->j, "address", address);
        nk_json_kv_str(&w->j, "hsdir", dir);
        nk_json_key(&w->j, "ports");
        nk_json_array(&w->j);
    } else {
        (void)nk_buf_printf(&w->out, "%-9s  %s%s%s", kind,
                            address ? address : "(address not known)", dir ? "  " : "",
                            dir ? dir : "");
    }
}

static void put_port(struct work *w, const char *port)
{
    if (w->json && w->in_service) {
        nk_json_str(&w->j, port);
    } else if (w->in_service) {
        (void)nk_buf_printf(&w->out, "  [%s]", port);
    }
}

/* --- what tor has ----------------------------------------------------------------------------- */

/* Labels, one to a line or only one. */
static void put_labels(struct work *w, const char *p, size_t n)
{
    while (n > 0) {
        const char *end = memchr(p, '\n', n);
        size_t len = end ? (size_t)(end - p) : n;
        char address[NK_ONION_SIZE];
        uint8_t pub[NK_ONION_KEY];
        if (nk_onion_parse(pub, p, len, NULL) == 0) {
            nk_onion_format(address, pub);
            begin_service(w, "detached", address, NULL);
        }
        p += len + (end != NULL);
        n -= len + (end != NULL);
    }
}

static void on_detached(void *owner, int err, const struct tor_reply *reply,
                        const struct nk_diag *why)
{
    struct work *w = owner;
    struct tor_word value;
    if (tor_cli_reply(w->cli, err, reply, why, "GETINFO onions/detached") &&
        tor_reply_find(reply, "onions/detached", &value)) {
        put_labels(w, value.value, value.value_len);
    }
}

static bool read_address(char out[NK_ONION_SIZE], const char *dir)
{
    char path[NK_PATH_MAX];
    uint8_t pub[NK_ONION_KEY];
    struct nk_buf text;
    nk_buf_init(&text, HOSTNAME_MAX);
    int rc = nk_path_join(path, sizeof(path), dir, HS_CTOR_HOSTNAME_FILE);
    rc = rc < 0 ? rc : nk_file_read(path, 0, &text, NULL);
    if (rc == 0) {
        size_t n = nk_buf_len(&text);
        rc = nk_onion_parse(pub, (const char *)nk_buf_ptr(&text),
                            n < NK_ONION_LABEL ? n : NK_ONION_LABEL, NULL);
    }
    nk_buf_clear(&text);
    if (rc == 0) {
        nk_onion_format(out, pub);
    }
    return rc == 0;
}

static int put_option(void *arg, const char *key, const char *value, struct nk_diag *diag)
{
    struct work *w = arg;
    char address[NK_ONION_SIZE];
    (void)diag;
    if (strcmp(key, "HiddenServiceDir") == 0) {
        begin_service(w, "directory", read_address(address, value) ? address : NULL, value);
    } else if (strcmp(key, "HiddenServicePort") == 0) {
        put_port(w, value);
    }
    return 0;
}

static int print(struct work *w)
{
    end_service(w);
    if (w->json) {
        nk_json_close(&w->j);
        return nk_cli_put_json(&w->j, &w->cli->ctx->diag);
    }
    if (nk_buf_len(&w->out) > 0) {
        tor_cli_print((const char *)nk_buf_ptr(&w->out), nk_buf_len(&w->out));
    }
    return 0;
}

static void on_directories(void *owner, int err, const struct tor_reply *reply,
                           const struct nk_diag *why)
{
    struct work *w = owner;
    if (tor_cli_reply(w->cli, err, reply, why, ONION_HSDIR_ASK)) {
        int rc = onion_hsdir_each(reply, put_option, w, &w->cli->ctx->diag);
        tor_cli_finish(w->cli, rc < 0 ? rc : print(w));
    }
}

static void on_ready(struct tor_cli *cli)
{
    struct work *w = cli->task->owner;
    struct nk_diag *diag = &cli->ctx->diag;
    w->cli = cli;
    int rc = tor_control_send(cli->control, &w->detached, "GETINFO onions/detached", NULL, 0, diag);
    if (rc == 0) {
        rc = tor_control_send(cli->control, &w->directories, ONION_HSDIR_ASK, NULL, 0, diag);
    }
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_conf *c = ctx->conf;
    struct work w = {.json = ctx->globals->json};
    const struct tor_cli_task task = {.ready = on_ready, .owner = &w};
    w.detached = (struct tor_request){.fn = on_detached, .owner = &w};
    w.directories = (struct tor_request){.fn = on_directories, .owner = &w};
    nk_buf_init(&w.out, OUTPUT_MAX);
    nk_json_init(&w.j, &w.out, false);
    if (w.json) {
        nk_json_array(&w.j);
    }
    int rc = tor_cli_run(ctx, c, &task);
    nk_buf_clear(&w.out);
    return rc;
}

extern const struct nk_cmd nk_cmd_onion_list;
const struct nk_cmd nk_cmd_onion_list = {
    .synopsis = "[--json]",
    .summary = "List tor's detached onion services and those in directories",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .flags = NK_CMD_EXEC | NK_CMD_NO_CONFIG,
    .run = run,
};
