/* SPDX-License-Identifier: MIT */
#include "onion/live.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "onion/hsdir.h"
#include "onion/live_way.h"

#define ASK_VIEW "ONION_CLIENT_AUTH_VIEW"
#define ASK_CONF "GETCONF ClientOnionAuthDir DisableNetwork"
#define ASK_INFO "GETINFO onions/detached config-file status/circuit-established circuit-status"

#define INTRODUCED "HS_STATE=HSSI_ESTABLISHED" /* of a circuit to an introduction point */

static const char *const way_names[] = {
#define ONION_LIVE_NAME(constant, name) name,
    ONION_LIVE_WAYS(ONION_LIVE_NAME)
#undef ONION_LIVE_NAME
};

/* --- steps ------------------------------------------------------------------------------------ */

static void finish(struct onion_live *l, int err, const struct nk_diag *why)
{
    tor_request_cancel(&l->request);
    tor_control_unsubscribe(&l->descriptors);
    nk_timer_stop(&l->timeout);
    l->conf.on_done(l->conf.owner, err, why); /* may close us */
}

static void send(struct onion_live *l, tor_reply_fn *fn, const char *line)
{
    struct nk_diag diag;
    l->request = (struct tor_request){.fn = fn, .owner = l};
    int rc = tor_control_send(l->conf.control, &l->request, line, NULL, 0, &diag);
    if (rc < 0 && rc != NK_ECLOSED) { /* the loss of the connection is for our owner */
        finish(l, rc, &diag);
    }
}

/* tor did what it was told; else it is over. */
static bool is_done(struct onion_live *l, int err, const struct tor_reply *reply, const char *what)
{
    struct nk_diag diag;
    if (err == 0 && (err = tor_reply_error(reply, what, &diag)) < 0) {
        finish(l, err, &diag);
    }
    return err == 0;
}

/* --- confirmation ----------------------------------------------------------------------------- */

static bool is_waited_for(const struct onion_live *l, size_t i)
{
    const struct onion_live_target *t = &l->v[i];
    return l->conf.targets->v[i].service && t->address[0] != '\0' &&
           (t->expected || t->upload.started > 0) &&
           !onion_upload_reached(&t->upload, ONION_WAIT_FIRST);
}

/* The first that is not uploaded yet, or NULL. */
static const struct onion_live_target *missing(const struct onion_live *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (is_waited_for(l, i)) {
            return &l->v[i];
        }
    }
    return NULL;
}

static void give_up(struct onion_live *l, const char *why)
{
    struct nk_diag diag;
    const struct onion_live_target *t = missing(l);
    nk_fail(&diag, -ETIMEDOUT, "tor has what is in %s, but %s: clients do not see it yet",
            t ? l->conf.targets->v[t - l->v].path : "the directories", why);
    if (t && t->upload.failed > 0) {
        nk_hint(&diag,
                "%" PRIu64 " answered %s, as they do to a second change within one second; tor "
                "makes a new descriptor within two hours, or at the next change",
                t->upload.failed, t->upload.reason);
    } else {
        nk_hint(&diag, "tor uploads it as soon as it can; 'netkit onion watch' shows that");
    }
    finish(l, -ETIMEDOUT, &diag);
}

static void on_timeout(void *owner)
{
    struct onion_live *l = owner;
    give_up(l, l->circuits ? "no directory has taken the new descriptor in time"
                           : "it has no circuits to upload the descriptor (is it bootstrapped?)");
}

static void confirm(struct onion_live *l)
{
    if (l->conf.confirm_ms == 0 || !missing(l)) {
        finish(l, 0, NULL);
    } else if (l->offline) {
        give_up(l, "its network is off (DisableNetwork 1)");
    } else {
        nk_timer_start(&l->timeout, l->conf.confirm_ms);
    }
}

static void on_descriptor(void *owner, const struct tor_reply *event)
{
    struct onion_live *l = owner;
    const struct tor_line *line = &event->lines[0];
    bool ours = false;
    for (size_t i = 0; i < l->n; i++) {
        struct onion_live_target *t = &l->v[i];
        ours = (t->address[0] != '\0' &&
                onion_upload_event(&t->upload, t->address, line->text, line->len)) ||
               ours;
    }
    if (!ours || !l->applied) {
        return;
    }
    if (l->conf.on_progress) {
        l->conf.on_progress(l->conf.owner);
    }
    if (!missing(l)) {
        finish(l, 0, NULL);
    }
}

static void applied(struct onion_live *l)
{
    struct nk_diag diag;
    for (size_t i = 0; l->conf.known && i < l->n; i++) {
        if (l->v[i].way == ONION_LIVE_UNKNOWN) {
            continue;
        }
        onion_client_keys_clear(&l->conf.known[i]);
        l->conf.known[i] = l->v[i].keys;
        l->v[i].keys = (struct onion_client_keys){0};
    }
    int rc = l->conf.on_applied(l->conf.owner, &diag);
    l->applied = true;
    if (rc < 0) {
        finish(l, rc, &diag);
    } else {
        confirm(l);
    }
}

/* --- detached services ------------------------------------------------------------------------ */

static void next_detached(struct onion_live *l);

static void on_replaced(void *owner, int err, const struct nk_diag *why)
{
    struct onion_live *l = owner;
    if (err < 0) {
        finish(l, err, why);
        return;
    }
    l->at++;
    next_detached(l);
}

static void on_there(void *owner, int err, const struct nk_diag *why)
{
    struct onion_live *l = owner;
    struct nk_diag diag;
    if (err == 0) {
        why = &diag;
        onion_upload_init(&l->v[l->at].upload);
        err = onion_replace_begin(&l->v[l->at].replace, ONION_WAIT_NONE, on_replaced, &diag);
    }
    if (err < 0) {
        finish(l, err, why);
    }
}

static void next_detached(struct onion_live *l)
{
    struct nk_diag diag;
    while (l->at < l->n && l->v[l->at].way != ONION_LIVE_DETACHED) {
        l->at++;
    }
    if (l->at == l->n) {
        applied(l);
        return;
    }
    struct onion_live_target *t = &l->v[l->at];
    int rc =
        onion_replace_open(&t->replace, l->conf.app, l->conf.control, &t->plan, on_there, l, &diag);
    if (rc < 0 && rc != NK_ECLOSED) {
        finish(l, rc, &diag);
    }
}

/* --- clients' keys ---------------------------------------------------------------------------- */

static void next_key(struct onion_live *l);

/* tor has every key of the directories that it was told of. */
static void on_checked(void *owner, int err, const struct tor_reply *reply,
                       const struct nk_diag *why)
{
    struct onion_live *l = owner;
    struct nk_diag diag;
    (void)why;
    if (err < 0) {
        return;
    }
    onion_client_keys_clear(&l->has);
    int rc = onion_client_keys_reply(&l->has, reply, &diag);
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        const struct onion_client_keys *keys = &l->v[i].keys;
        for (size_t k = 0; rc == 0 && k < keys->n; k++) {
            char address[NK_ONION_SIZE];
            nk_onion_format(address, keys->v[k].address);
            rc = onion_client_keys_has(&l->has, &keys->v[k])
                     ? 0
                     : nk_fail(&diag, NK_EFORMAT, "tor has not taken the key for %s in %s", address,
                               l->conf.targets->v[i].path);
        }
    }
    if (rc < 0) {
        finish(l, rc, &diag);
        return;
    }
    l->at = 0;
    next_detached(l);
}

static void on_key(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct onion_live *l = owner;
    struct nk_diag diag;
    (void)why;
    if (err == 0 && (err = tor_client_auth_error(reply, false, &diag)) < 0) {
        nk_fail_context(&diag, "%s", l->conf.targets->v[l->at].path);
        finish(l, err, &diag);
    } else if (err == 0) {
        next_key(l);
    }
}

static int give_key(struct onion_live *l, const struct onion_client_key *key, struct nk_diag *diag)
{
    const char *dir = l->conf.targets->v[l->at].path;
    struct hs_where where = {.kind = HS_STORE_CTOR};
    struct tor_client_key k = {.key = NULL};
    struct hs_client secret;
    (void)snprintf(where.dir, sizeof(where.dir), "%s", dir);
    int rc = tor_client_key_in(&where, key->address, &secret, diag);
    if (rc == -ENOENT) {
        return nk_fail(diag, rc, "a key went from %s just now", dir);
    }
    if (rc == 0) {
        memcpy(k.address, key->address, sizeof(k.address));
        k.key = &secret;
        l->request = (struct tor_request){.fn = on_key, .owner = l};
        rc = tor_client_auth_add(l->conf.control, &l->request, &k, diag);
        hs_client_wipe(&secret);
    }
    return rc == NK_ECLOSED ? 0 : rc;
}

/* What has to be done for one of them; 0: nothing, 1: it is being done, or the error. */
static int tell_key(struct onion_live *l, struct onion_live_target *t, struct nk_diag *diag)
{
    const struct onion_client_keys *known = l->conf.known ? &l->conf.known[l->at] : NULL;
    size_t k = l->key++;
    char address[NK_ONION_SIZE], line[NK_ONION_SIZE + 32];
    if (k < t->keys.n) {
        if (onion_client_keys_has(&l->has, &t->keys.v[k])) {
            return 0;
        }
        t->added++;
        int rc = give_key(l, &t->keys.v[k], diag);
        return rc < 0 ? rc : 1;
    }
    k -= t->keys.n;
    if (onion_client_keys_find(&t->keys, known->v[k].address) ||
        !onion_client_keys_has(&l->has, &known->v[k])) {
        return 0;
    }
    t->removed++;
    nk_onion_format(address, known->v[k].address);
    (void)snprintf(line, sizeof(line), "ONION_CLIENT_AUTH_REMOVE %.*s", NK_ONION_LABEL, address);
    send(l, on_key, line);
    return 1;
}

/* Those of directories that tor does not read; in the end what tor has is looked at once more. */
static void next_key(struct onion_live *l)
{
    struct nk_diag diag;
    int rc = 0;
    while (rc == 0 && l->at < l->n) {
        struct onion_live_target *t = &l->v[l->at];
        size_t gone = l->conf.known ? l->conf.known[l->at].n : 0;
        if (t->way == ONION_LIVE_KEYS && l->key < t->keys.n + gone) {
            rc = tell_key(l, t, &diag);
        } else {
            l->at++;
            l->key = 0;
        }
    }
    if (rc < 0) {
        finish(l, rc, &diag);
    } else if (rc == 0) {
        send(l, on_checked, ASK_VIEW);
    }
}

/* tor has answered after the reload: it lives, and has read what it reads. */
static void on_view(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct onion_live *l = owner;
    struct nk_diag diag;
    (void)why;
    if (err < 0) {
        return;
    }
    int rc = onion_client_keys_reply(&l->has, reply, &diag);
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        if (!l->conf.targets->v[i].service && l->v[i].way != ONION_LIVE_UNKNOWN) {
            rc = onion_client_keys_dir(&l->v[i].keys, l->conf.targets->v[i].path, &diag);
        }
    }
    if (rc < 0) {
        finish(l, rc, &diag);
        return;
    }
    l->at = l->key = 0;
    next_key(l);
}

/* --- tor's own directories -------------------------------------------------------------------- */

static void on_told(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct onion_live *l = owner;
    (void)why;
    if (is_done(l, err, reply, l->tell == ONION_LIVE_RELOAD ? "SIGNAL RELOAD" : "SETCONF")) {
        nk_audit(nk_app_log(l->conf.app), "hs", NK_LOG_INFO, "reload", NULL,
                 "tor at %s was told to read its directories (%s)",
                 tor_control_place(l->conf.control), way_names[l->tell]);
        send(l, on_view, ASK_VIEW);
    }
}

static void tell(struct onion_live *l)
{
    struct nk_diag diag;
    const char *same = l->tell == ONION_LIVE_SETCONF ? nk_buf_str(&l->same) : "";
    if (!same) {
        finish(l, nk_fail(&diag, -ENOMEM, "out of memory"), &diag);
    } else if (l->tell == ONION_LIVE_UNKNOWN) {
        send(l, on_view, ASK_VIEW);
    } else {
        send(l, on_told, l->tell == ONION_LIVE_RELOAD ? "SIGNAL RELOAD" : same);
    }
}

/* --- what tor has ----------------------------------------------------------------------------- */

/* A service that is up has a circuit to an introduction point; one that is not will be uploaded
 * when it has. */
static bool is_up(const struct onion_live_target *t, const struct tor_word *circuits)
{
    const char *p = circuits->value;
    size_t left = circuits->value_len;
    while (left > 0) {
        const char *end = memchr(p, '\n', left);
        size_t n = end ? (size_t)(end - p) : left;
        if (memmem(p, n, INTRODUCED, strlen(INTRODUCED)) &&
            memmem(p, n, t->address, NK_ONION_LABEL)) {
            return true;
        }
        p += n + (end != NULL);
        left -= n + (end != NULL);
    }
    return false;
}

static void on_info(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct onion_live *l = owner;
    struct tor_word detached, file, circuits;
    struct nk_buf path;
    struct nk_diag diag;
    (void)why;
    if (!is_done(l, err, reply, "GETINFO")) {
        return;
    }
    nk_buf_init(&path, NK_PATH_MAX);
    bool has = tor_reply_find(reply, "onions/detached", &detached);
    l->circuits = tor_reply_find(reply, "status/circuit-established", &circuits) &&
                  circuits.value_len == 1 && circuits.value[0] == '1';
    int rc = tor_reply_find(reply, "config-file", &file)
                 ? nk_buf_put(&path, file.value, file.value_len)
                 : 0;
    rc = rc < 0 ? nk_fail_sys(&diag, rc, "the path of tor's torrc")
                : onion_live_choose(l, has ? detached.value : "", has ? detached.value_len : 0,
                                    nk_buf_len(&path) > 0 ? nk_buf_str(&path) : NULL, &diag);
    nk_buf_clear(&path);
    if (rc < 0) {
        finish(l, rc, &diag);
        return;
    }
    bool known = tor_reply_find(reply, "circuit-status", &circuits);
    for (size_t i = 0; known && i < l->n; i++) {
        struct onion_live_target *t = &l->v[i];
        t->expected = t->expected || (t->address[0] != '\0' && !is_up(t, &circuits));
    }
    tell(l);
}

static void on_conf(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct onion_live *l = owner;
    struct tor_word word;
    struct nk_buf dir;
    (void)why;
    if (!is_done(l, err, reply, "GETCONF")) {
        return;
    }
    l->offline = tor_reply_find(reply, "DisableNetwork", &word) && word.value &&
                 word.value_len == 1 && word.value[0] == '1';
    nk_buf_init(&dir, NK_PATH_MAX);
    if (tor_reply_find(reply, "ClientOnionAuthDir", &word) && word.value &&
        tor_wire_value(word.value, word.value_len, &dir, NULL) == 0 && nk_buf_str(&dir)) {
        l->client_dir = strdup(nk_buf_str(&dir));
    }
    nk_buf_clear(&dir);
    send(l, on_info, ASK_INFO);
}

static int take_option(void *arg, const char *key, const char *value, struct nk_diag *diag)
{
    struct onion_live *l = arg;
    int rc =
        strcmp(key, "HiddenServiceDir") == 0 ? nk_strlist_add(&l->dirs, value, strlen(value)) : 0;
    return rc < 0 ? nk_fail_sys(diag, rc, "the services of tor") : 0;
}

static void on_services(void *owner, int err, const struct tor_reply *reply,
                        const struct nk_diag *why)
{
    struct onion_live *l = owner;
    struct nk_diag diag;
    (void)why;
    if (!is_done(l, err, reply, ONION_HSDIR_ASK)) {
        return;
    }
    int rc = onion_hsdir_each(reply, take_option, l, &diag);
    rc = rc < 0 ? rc : onion_hsdir_set(&l->same, reply, "", NULL, &diag);
    if (rc < 0) {
        finish(l, rc, &diag);
    } else {
        send(l, on_conf, ASK_CONF);
    }
}

/* --- its life --------------------------------------------------------------------------------- */

int onion_live_open(struct onion_live *l, const struct onion_live_conf *conf, struct nk_diag *diag)
{
    *l = (struct onion_live){.conf = *conf, .n = conf->targets->n};
    nk_buf_init(&l->same, TOR_COMMAND_MAX);
    nk_timer_init(&l->timeout, conf->app, on_timeout, l);
    l->v = calloc(l->n + 1, sizeof(*l->v));
    if (!l->v) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < l->n; i++) {
        l->v[i].plan.draft.dir = -1;
        onion_upload_init(&l->v[i].upload);
    }
    l->descriptors = (struct tor_subscription){.event = "HS_DESC", .fn = on_descriptor, .owner = l};
    tor_control_subscribe(conf->control, &l->descriptors);
    l->request = (struct tor_request){.fn = on_services, .owner = l};
    return tor_control_send(conf->control, &l->request, ONION_HSDIR_ASK, NULL, 0, diag);
}

void onion_live_stop(struct onion_live *l)
{
    if (!l->conf.app) {
        return;
    }
    tor_request_cancel(&l->request);
    tor_control_unsubscribe(&l->descriptors);
    nk_timer_stop(&l->timeout);
    for (size_t i = 0; l->v && i < l->n; i++) {
        onion_replace_close(&l->v[i].replace);
    }
    l->conf.app = NULL;
}

void onion_live_close(struct onion_live *l)
{
    onion_live_stop(l);
    for (size_t i = 0; l->v && i < l->n; i++) {
        onion_plan_clear(&l->v[i].plan);
        onion_client_keys_clear(&l->v[i].keys);
    }
    free(l->v);
    free(l->client_dir);
    nk_strlist_clear(&l->dirs);
    nk_buf_clear(&l->same);
    onion_client_keys_clear(&l->has);
    *l = (struct onion_live){0};
}

void onion_live_progress(const struct onion_live *l, unsigned *done, unsigned *total)
{
    *done = *total = 0;
    for (size_t i = 0; i < l->n; i++) {
        unsigned answered, all;
        onion_upload_progress(&l->v[i].upload, &answered, &all);
        *done += answered;
        *total += all;
    }
}

void onion_live_json(const struct onion_live *l, struct nk_json *j)
{
    nk_json_key(j, "tor");
    nk_json_array(j);
    for (size_t i = 0; i < l->n; i++) {
        const struct onion_live_target *t = &l->v[i];
        nk_json_object(j);
        nk_json_kv_str(j, "directory", l->conf.targets->v[i].path);
        nk_json_kv_str(j, "by", way_names[t->way]);
        if (l->conf.targets->v[i].service) {
            nk_json_kv_str(j, "address", t->address[0] != '\0' ? t->address : NULL);
            nk_json_kv_bool(j, "changed", t->expected || t->upload.started > 0);
            nk_json_kv_u64(j, "uploaded", t->upload.uploaded);
            nk_json_kv_u64(j, "failed", t->upload.failed);
        } else {
            nk_json_kv_u64(j, "added", t->added);
            nk_json_kv_u64(j, "removed", t->removed);
        }
        nk_json_close(j);
    }
    nk_json_close(j);
}
