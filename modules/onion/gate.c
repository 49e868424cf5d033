/* SPDX-License-Identifier: MIT */
#include "onion/gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/app.h"
#include "core/control.h"

enum {
    PAUSE_MS = 500,        /* changes of the directory are taken when they have paused so long */
    JSON_MAX = 1024 * 1024 /* bytes of ONION_CLIENTS_MAX clients, with room */
};

const char *const onion_enabled_names[] = {"auto", "yes", "no", NULL};

/* --- who may find it -------------------------------------------------------------------------- */

/* The set as configuration and directory have it now. */
static int read_all(const struct onion_gate *g, struct onion_clients *out, struct nk_diag *diag)
{
    int rc = 0;
    if (g->conf->enabled == ONION_CLIENTS_NO) {
        return 0;
    }
    /* what was restricted stays so */
    out->restricted =
        g->conf->enabled == ONION_CLIENTS_YES || g->conf->dir || (g->open && g->clients.restricted);
    rc = onion_clients_join(out, g->fixed, diag);
    if (rc == 0 && g->dir[0]) {
        rc = onion_clients_read_dir(out, g->dir, nk_app_log(g->app), diag);
        rc = rc == -ENOENT && (g->open || !g->conf->dir) ? 0 : rc;
    }
    return rc;
}

static void add_watches(const struct onion_gate *g)
{
    char parent[NK_PATH_MAX];
    if (!g->dir[0] || !g->changes.watch) {
        return;
    }
    /* the directory may come, go or be replaced: its parent tells */
    int rc = hs_changes_add(&g->changes, g->dir);
    if (nk_file_dir(parent, sizeof(parent), g->dir) == 0) {
        (void)hs_changes_add(&g->changes, parent);
    }
    if (rc < 0 && rc != -ENOENT) {
        nk_warn(nk_app_log(g->app), "onion", "cannot watch %s: %s", g->dir, nk_strerror(rc));
    }
}

/* Take over a fresh set. Says whether somebody gets in, or out, who did not before. */
static bool take(struct onion_gate *g, struct onion_clients *fresh)
{
    bool same = onion_clients_same(&g->clients, fresh);
    if (same) { /* the key that stands for nobody stays the same, too */
        memcpy(fresh->nobody, g->clients.nobody, sizeof(fresh->nobody));
    }
    onion_clients_clear(&g->clients);
    g->clients = *fresh;
    return !same;
}

static int refresh(struct onion_gate *g, struct nk_diag *diag)
{
    struct onion_clients fresh = {0};
    add_watches(g);
    int rc = read_all(g, &fresh, diag);
    if (rc < 0) {
        onion_clients_clear(&fresh);
        return rc;
    }
    bool was = g->clients.restricted;
    if (take(g, &fresh) && g->open) {
        g->changed = true;
        nk_audit(nk_app_log(g->app), "onion", NK_LOG_INFO, "reload", NULL,
                 g->clients.restricted ? "%zu client(s) authorized" : "open to everybody",
                 g->clients.n);
    }
    if (was && g->clients.restricted && g->clients.n == 0 && g->changed) {
        nk_warn(nk_app_log(g->app), "onion", "no client is left: nobody gets in");
    }
    return 0;
}

static void on_change(void *owner)
{
    struct onion_gate *g = owner;
    struct nk_diag diag = {0};
    int rc = refresh(g, &diag);
    if (rc == NK_ELOCKED) { /* somebody changes it right now */
        hs_changes_soon(&g->changes, PAUSE_MS);
    } else if (rc < 0) {
        nk_fail_context(&diag, "authorised clients stay as they are");
        nk_log_diag(nk_app_log(g->app), "onion", NK_LOG_ERROR, &diag);
    }
    if (g->changed) {
        g->changed = false;
        g->fn(g->owner);
    }
}

/* --- its life --------------------------------------------------------------------------------- */

static int configure(struct onion_gate *g, const struct onion_gate_conf *conf,
                     const struct onion_clients *fixed, const char *folder, struct nk_diag *diag)
{
    int rc = 0;
    if (conf->enabled == ONION_CLIENTS_NO && (fixed->restricted || conf->dir)) {
        nk_fail(diag, NK_ECONFIG, "clients are authorized, and authorized_clients.enabled is no");
        nk_hint(diag, "take the clients away as well, if everybody shall find the service");
        return NK_ECONFIG;
    }
    g->conf = conf;
    g->fixed = fixed;
    g->dir[0] = '\0';
    if (conf->dir) {
        rc = snprintf(g->dir, sizeof(g->dir), "%s", conf->dir) < (int)sizeof(g->dir) ? 0
                                                                                     : NK_ETOOBIG;
    } else if (folder) {
        rc = nk_path_join(g->dir, sizeof(g->dir), folder, HS_AUTH_DIR);
    }
    return rc < 0 ? nk_fail(diag, NK_ETOOBIG, "the path of the clients is too long") : 0;
}

int onion_gate_open(struct onion_gate *g, struct nk_app *app, const struct onion_gate_conf *conf,
                    const struct onion_clients *fixed, const char *folder, void (*fn)(void *owner),
                    void *owner, struct nk_diag *diag)
{
    *g = (struct onion_gate){.app = app, .fn = fn, .owner = owner};
    int rc = configure(g, conf, fixed, folder, diag);
    rc = rc < 0 ? rc : hs_changes_open(&g->changes, app, PAUSE_MS, on_change, g, diag);
    rc = rc < 0 ? rc : refresh(g, diag);
    g->open = rc == 0;
    return rc;
}

int onion_gate_reload(struct onion_gate *g, const struct onion_gate_conf *conf,
                      const struct onion_clients *fixed, const char *folder, struct nk_diag *diag)
{
    const struct onion_gate_conf *old_conf = g->conf;
    const struct onion_clients *old_fixed = g->fixed;
    char old_dir[NK_PATH_MAX];
    memcpy(old_dir, g->dir, sizeof(old_dir));
    int rc = configure(g, conf, fixed, folder, diag);
    rc = rc < 0 ? rc : refresh(g, diag);
    if (rc < 0) {
        g->conf = old_conf;
        g->fixed = old_fixed;
        memcpy(g->dir, old_dir, sizeof(old_dir));
        return rc;
    }
    hs_changes_soon(&g->changes, 0);
    return 0;
}

void onion_gate_close(struct onion_gate *g)
{
    hs_changes_close(&g->changes);
    onion_clients_clear(&g->clients);
    g->open = false;
}

/* --- changes by command ----------------------------------------------------------------------- */

static int check_change(const struct onion_gate *g, struct nk_diag *diag)
{
    if (g->conf->enabled == ONION_CLIENTS_NO) {
        return nk_fail(diag, NK_EUSAGE,
                       "the configuration opens the service to everybody "
                       "(authorized_clients.enabled = no)");
    }
    return g->dir[0] ? 0
                     : nk_fail(diag, NK_EUSAGE,
                               "the service has no folder to keep clients in (--state-dir)");
}

int onion_gate_put(struct onion_gate *g, const char *name, const uint8_t *pub, struct nk_diag *diag)
{
    struct hs_auth a = {.base.fd = -1, .on.fd = -1, .off.fd = -1};
    int rc = check_change(g, diag);
    for (size_t i = 0; rc == 0 && !pub && i < g->fixed->n; i++) {
        if (strcmp(g->fixed->names[i], name) == 0) {
            rc = nk_fail(diag, NK_EUSAGE, "'%s' is a client by the configuration", name);
        }
    }
    rc = rc < 0 || !pub ? rc : nk_mkdirs(g->dir, diag);
    rc = rc < 0 ? rc : hs_auth_open_key_dir(&a, g->dir, HS_AUTH_CHANGE, diag);
    if (rc == -ENOENT) {
        nk_fail(diag, rc, "there is no client '%s'", name);
    }
    rc = rc < 0 ? rc : pub ? hs_auth_import(&a, name, pub, diag) : hs_auth_remove(&a, name, diag);
    hs_auth_close(&a);
    rc = rc < 0 ? rc : refresh(g, diag);
    if (rc == 0) {
        hs_changes_soon(&g->changes, 0); /* tells what has changed */
    }
    return rc;
}

int onion_gate_change(struct onion_gate *g, const char *name, const char *line,
                      struct nk_diag *diag)
{
    struct onion_clients one = {0};
    int rc = line ? onion_clients_load(&one, line, nk_app_log(g->app), diag) : 0;
    rc = rc < 0 ? rc : onion_gate_put(g, name, line ? one.keys[0] : NULL, diag);
    onion_clients_clear(&one);
    return rc;
}

int onion_gate_list(const struct onion_gate *g, bool json, struct nk_buf *out)
{
    struct nk_buf text;
    struct nk_json j;
    if (!json) {
        return onion_clients_print(&g->clients, out);
    }
    nk_buf_init(&text, JSON_MAX);
    nk_json_init(&j, &text, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    onion_clients_json(&g->clients, &j);
    nk_json_kv_str(&j, "directory", g->dir[0] ? g->dir : NULL);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    rc = rc < 0 ? rc : nk_buf_put(out, nk_buf_ptr(&text), nk_buf_len(&text));
    rc = rc < 0 ? rc : nk_buf_puts(out, "\n");
    nk_buf_clear(&text);
    return rc;
}

void onion_gate_verb(struct onion_gate *g, struct nk_control_call *call, size_t n,
                     char *const *words)
{
    struct nk_diag diag = {0};
    const char *verb = n > 1 ? words[1] : "";
    int rc;
    if (n == 3 && strcmp(verb, "list") == 0) {
        rc = onion_gate_list(g, strcmp(words[2], "json") == 0, nk_control_body(call));
        rc = rc < 0 ? nk_fail_sys(&diag, rc, "the list") : 0;
    } else if (n == 4 && strcmp(verb, "add") == 0) {
        rc = onion_gate_change(g, words[2], words[3], &diag);
    } else if (n == 3 && strcmp(verb, "remove") == 0) {
        rc = onion_gate_change(g, words[2], NULL, &diag);
    } else {
        rc = nk_fail(&diag, NK_EUSAGE, "clients list, add NAME LINE, or remove NAME");
    }
    nk_control_done(call, rc, &diag);
}
