/* SPDX-License-Identifier: MIT */
#include "tor/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tor/act.h"

enum { ID_SIZE = TOR_ID_MAX + 1 };
#define PATH_MAX_BYTES ((size_t)1024)

struct tor_build {
    struct tor_build_conf conf;
    struct tor_request request;
    struct tor_subscription events;
    char id[ID_SIZE]; /* once tor has said it */
    char *path, *purpose, *old;
    char *tail;                /* what `old` is to be extended by, as tor was told */
    bool extends;              /* the request is EXTENDCIRCUIT */
    void (*gone)(void *owner); /* of tor_build_close; then there is no other end */
};

static void free_build(struct tor_build *b)
{
    tor_request_cancel(&b->request);
    tor_control_unsubscribe(&b->events);
    free(b->path);
    free(b->purpose);
    free(b->old);
    free(b->tail);
    free(b);
}

void tor_build_cancel(struct tor_build *b)
{
    if (b)
        free_build(b);
}

static void on_gone(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct tor_build *b = owner;
    void (*gone)(void *owner) = b->gone;
    owner = b->conf.owner;
    (void)err; /* refused: it has ended by itself */
    (void)reply;
    (void)why;
    free_build(b);
    gone(owner);
}

/* false: it cannot be told to tor. */
static bool close_circuit(struct tor_build *b)
{
    b->request = (struct tor_request){.fn = on_gone, .owner = b};
    return tor_control_sendf(b->conf.control, &b->request, NULL, "CLOSECIRCUIT %s", b->id) == 0;
}

bool tor_build_close(struct tor_build *b, void (*gone)(void *owner), void *owner)
{
    bool begun = b && !b->old && (b->id[0] || (b->extends && b->request.conn));
    if (begun) {
        b->gone = gone;
        b->conf.owner = owner;
        tor_control_unsubscribe(&b->events);
        begun = !b->id[0] || close_circuit(b);
    }
    if (!begun)
        tor_build_cancel(b);
    return begun;
}

static void finish(struct tor_build *b, int err, const struct tor_event *circuit,
                   const struct nk_diag *why)
{
    tor_build_fn *fn = b->conf.fn;
    void *owner = b->conf.owner;
    free_build(b);
    fn(owner, err, circuit, why);
}

/* Why tor gave it up (control-spec §4.1.1), and how far it got. */
static void failed(struct tor_build *b, const struct tor_event *e)
{
    char reason[64], remote[64], id[ID_SIZE];
    struct nk_diag diag;
    struct nk_buf path;
    nk_buf_init(&path, PATH_MAX_BYTES);
    const struct tor_value *v = tor_event_get(e, "path");
    (void)tor_value_copy(reason, sizeof reason, tor_event_get(e, "REASON"));
    bool far = tor_value_copy(remote, sizeof remote, tor_event_get(e, "REMOTE_REASON"));
    memcpy(id, b->id, sizeof id);
    bool any = v && tor_value_text(v, &path) == 0 && nk_buf_str(&path);
    nk_fail(&diag, -ECONNABORTED, "circuit %s was not built: %s%s%s; it got as far as %s", id,
            reason[0] ? reason : "no reason given", far ? ", the relay's reason: " : "", remote,
            any ? nk_buf_str(&path) : "no relay");
    nk_buf_clear(&path);
    finish(b, diag.code, NULL, &diag);
}

static void on_event(void *owner, const struct tor_reply *event)
{
    struct tor_build *b = owner;
    struct tor_event e;
    if (!b->id[0] || tor_event_parse(&e, event) < 0 ||
        !tor_value_is(tor_event_get(&e, "id"), b->id))
        return;
    const struct tor_value *status = tor_event_get(&e, "status");
    const struct tor_value *path = tor_event_get(&e, "path");
    /* of a circuit that is extended, tor may still tell that it was built before */
    bool whole = !b->tail || (path && tor_path_ends(path->text, path->len, b->tail));
    if (tor_value_is(status, "BUILT") && whole)
        finish(b, 0, &e, NULL);
    else if (tor_value_is(status, "FAILED") || tor_value_is(status, "CLOSED"))
        failed(b, &e);
}

/* "EXTENDED id" */
static int read_id(struct tor_build *b, const struct tor_reply *reply, struct nk_diag *diag)
{
    const struct tor_line *l = &reply->lines[reply->n - 1];
    struct tor_words words;
    struct tor_word w;
    tor_words_init(&words, l->text, l->len);
    if (!tor_words_next(&words, &w) || !tor_word_is(&w, "EXTENDED") ||
        !tor_words_next(&words, &w) || w.value_len >= sizeof b->id)
        return nk_fail(diag, NK_EPROTO, "tor does not say which circuit it makes");
    memcpy(b->id, w.value, w.value_len);
    b->id[w.value_len] = '\0';
    return 0;
}

static void on_extended(void *owner, int err, const struct tor_reply *reply,
                        const struct nk_diag *why)
{
    struct tor_build *b = owner;
    struct nk_diag diag;
    if (err == 0 && (err = tor_reply_error(reply, "EXTENDCIRCUIT", &diag)) < 0) {
        tor_act_explain(reply, &diag);
        why = &diag;
    }
    if (err == 0 && (err = read_id(b, reply, &diag)) < 0)
        why = &diag;
    if (b->gone && (err < 0 || !close_circuit(b)))
        on_gone(b, err, NULL, NULL);
    else if (!b->gone && err < 0)
        finish(b, err, NULL, why);
}

static int extend(struct tor_build *b, const char *path, struct nk_diag *diag)
{
    b->tail = b->old && path ? strdup(path) : NULL;
    if (b->old && path && !b->tail)
        return nk_fail_sys(diag, -ENOMEM, "the path");
    b->extends = true;
    b->request = (struct tor_request){.fn = on_extended, .owner = b};
    return tor_control_sendf(b->conf.control, &b->request, diag, "EXTENDCIRCUIT %s%s%s%s%s",
                             b->old ? b->old : "0", path ? " " : "", path ? path : "",
                             b->purpose ? " purpose=" : "", b->purpose ? b->purpose : "");
}

static void on_relays(void *owner, int err, const struct tor_reply *reply,
                      const struct nk_diag *why)
{
    struct tor_build *b = owner;
    struct nk_diag diag;
    struct nk_buf path;
    struct tor_word ns;
    nk_buf_init(&path, PATH_MAX_BYTES);
    if (err == 0) {
        why = &diag;
        err = tor_reply_error(reply, "GETINFO ns/all", &diag);
        if (err == 0 && !tor_reply_find(reply, "ns/all", &ns))
            err = nk_fail(&diag, NK_EPROTO, "tor does not list relays");
        if (err == 0)
            err = tor_path_choose(&path, b->path, !b->old, ns.value, ns.value_len, &diag);
        if (err == 0 && !nk_buf_str(&path))
            err = nk_fail_sys(&diag, -ENOMEM, "the path");
        err = err < 0 ? err : extend(b, nk_buf_str(&path), &diag);
    }
    nk_buf_clear(&path);
    if (err < 0)
        finish(b, err, NULL, why);
}

static int begin(struct tor_build *b, struct nk_diag *diag)
{
    int rc = b->path ? tor_path_check(b->path, diag) : 0;
    rc = rc < 0 || !b->old ? rc : tor_id_check(b->old, false, "circuit", diag);
    rc = rc < 0 || !b->purpose ? rc : tor_word_check(b->purpose, "purpose", diag);
    if (rc < 0)
        return rc;
    b->events = (struct tor_subscription){.event = "CIRC", .fn = on_event, .owner = b};
    rc = tor_control_subscribe(b->conf.control, &b->events);
    if (rc == 0 && b->path && strpbrk(b->path, "*")) {
        b->request = (struct tor_request){.fn = on_relays, .owner = b};
        return tor_control_send(b->conf.control, &b->request, "GETINFO ns/all", NULL, 0, diag);
    }
    if (rc < 0 || !b->path)
        return rc < 0 ? rc : extend(b, NULL, diag);
    struct nk_buf path;
    nk_buf_init(&path, PATH_MAX_BYTES);
    rc = tor_path_choose(&path, b->path, !b->old, "", 0, diag);
    const char *text = rc == 0 ? nk_buf_str(&path) : NULL;
    rc = rc == 0 && !text ? -ENOMEM : rc;
    rc = rc < 0 ? rc : extend(b, text, diag);
    nk_buf_clear(&path);
    return rc;
}

static bool copy(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return !text || *out;
}

int tor_build_start(struct tor_build **out, const struct tor_build_conf *conf, struct nk_diag *diag)
{
    bool any = conf->path && !conf->id && strcmp(conf->path, "auto") == 0;
    const char *path = any ? NULL : conf->path;
    struct tor_build *b = calloc(1, sizeof *b);
    if (!b)
        return nk_fail_sys(diag, -ENOMEM, "a circuit");
    b->conf = *conf;
    bool fine = copy(&b->path, path) && copy(&b->purpose, conf->purpose) && copy(&b->old, conf->id);
    int rc = fine ? begin(b, diag) : nk_fail_sys(diag, -ENOMEM, "a circuit");
    if (rc < 0) {
        free_build(b);
        return rc;
    }
    *out = b;
    return 0;
}
