/* SPDX-License-Identifier: MIT */
#include "ssh/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/registry.h"
#include "core/timer.h"
#include "core/work.h"
#include "ssh/kex_work.h"
#include "ssh/proto_transport.h"

enum { KEYS = SSH_SCAN_TYPES, NAMES_MAX = 256 /* of the algorithms of one type of key */ };

#define SOFTWARE "netkit_scan"

struct ssh_scan {
    struct ssh_scan_conf conf;
    const struct ssh_sig_type *type; /* being asked for */
    bool cert;
    struct nk_stream *stream;
    struct ssh_transport *transport;
    struct nk_timer timer;
    struct nk_work *kex;  /* a step of the key exchange that is under way */
    struct nk_defer next; /* the connection is over */
    uint64_t deadline;
    bool shown;   /* the key came */
    bool offered; /* the server has got so far that it does not have such a key */
    bool more;    /* rc is no reason to stop, and counts only when there is no key at all */
    int rc;
    struct nk_diag why;
    char ident[SSH_SCAN_IDENT];
    struct nk_buf keys[KEYS];
    size_t nkeys;
};

static void on_stream(void *owner, struct nk_stream *stream, unsigned events);

/* --- one connection --------------------------------------------------------------------------- */

static void hang_up(struct ssh_scan *s)
{
    nk_timer_stop(&s->timer);
    nk_work_cancel(s->kex);
    s->kex = NULL;
    nk_stream_close(s->stream);
    s->stream = NULL;
    ssh_transport_free(s->transport);
    s->transport = NULL;
}

/* The next connection begins outside of all calls from this one. */
static void over(struct ssh_scan *s, int rc, const struct nk_diag *why)
{
    if (!s->shown) {
        bool agreed = s->transport && ssh_transport_choice(s->transport)->kex;
        s->more = rc == NK_EPROTO && s->offered; /* it does not have such a key, perhaps */
        if (agreed || !s->more || s->rc == 0) {  /* what is wrong with a key that it has is told */
            s->rc = rc;
            s->why = *why;
        }
    }
    nk_app_defer(s->conf.app, &s->next);
}

static void arm(struct ssh_scan *s)
{
    uint64_t now = nk_now_ms(s->conf.app);
    uint64_t due = s->transport ? ssh_transport_due(s->transport) : SSH_NEVER;
    due = due < s->deadline ? due : s->deadline;
    nk_timer_start(&s->timer, due > now ? due - now : 0);
}

static void flush(struct ssh_scan *s)
{
    struct nk_buf *out = ssh_transport_out(s->transport);
    while (nk_buf_len(out) > 0) {
        ssize_t n = nk_stream_write(s->stream, nk_buf_ptr(out), nk_buf_len(out));
        if (n < 0) { /* a real error shows when reading */
            return;
        }
        nk_buf_consume(out, (size_t)n);
    }
}

static void step(struct ssh_scan *s, int rc, const struct nk_diag *why)
{
    flush(s);
    if (rc < 0) {
        over(s, rc, why);
    } else {
        arm(s);
    }
}

static void on_key(void *owner, const struct ssh_host_key *k)
{
    struct ssh_scan *s = owner;
    struct nk_diag diag = {0};
    int rc =
        s->nkeys < KEYS ? nk_buf_put(&s->keys[s->nkeys], k->key.blob.p, k->key.blob.n) : NK_ELIMIT;
    s->nkeys += rc == 0;
    s->shown = rc == 0;
    /* that was all; the answer is never 0, so that nothing else can follow */
    (void)ssh_transport_trust(s->transport, rc < 0 ? rc : NK_ECLOSED, NULL, nk_now_ms(s->conf.app),
                              &diag);
}

static void on_ready(void *owner)
{
    (void)owner; /* does not happen: no key is trusted */
}

static int on_payload(void *owner, const uint8_t *payload, size_t n, struct nk_diag *diag)
{
    (void)owner;
    (void)payload;
    (void)n;
    return nk_fail(diag, NK_EPROTO, "a message before the key was trusted");
}

static void on_trace(void *owner, enum ssh_trace what, const char *text)
{
    struct ssh_scan *s = owner;
    if (what == SSH_TRACE_IDENT) {
        snprintf(s->ident, sizeof(s->ident), "%s", text);
        s->offered = true;
    }
}

static void on_computed(void *owner, struct ssh_kex_task *take_task)
{
    struct ssh_scan *s = owner;
    struct nk_diag diag = {0};
    s->kex = NULL;
    if (s->next.pending) {
        ssh_kex_task_free(take_task);
        return;
    }
    int rc = ssh_transport_computed(s->transport, take_task, nk_now_ms(s->conf.app), &diag);
    step(s, rc, &diag);
}

static int on_compute(void *owner, struct ssh_kex_task *task)
{
    struct ssh_scan *s = owner;
    return ssh_kex_work_start(s->conf.app, task, on_computed, s, &s->kex);
}

static int start_transport(struct ssh_scan *s, struct nk_diag *diag)
{
    static const struct ssh_transport_ops ops = {.host_key = on_key,
                                                 .ready = on_ready,
                                                 .payload = on_payload,
                                                 .compute = on_compute,
                                                 .trace = on_trace};
    struct ssh_proposal p;
    char names[NAMES_MAX];
    const struct ssh_sig_type *t = s->type;
    size_t n = 0;
    do { /* all algorithms of the same type of key: of RSA, some servers have one only */
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", n ? "," : "",
                              s->cert ? t->cert_name : t->name);
        t++;
    } while (t->name && strcmp(t->key, s->type->key) == 0 && n < sizeof(names));
    ssh_proposal_init(&p);
    const struct ssh_transport_conf conf = {.proposal = &p,
                                            .software = SOFTWARE,
                                            .strict = SSH_STRICT_KEX_PREFER,
                                            .min_rsa = SSH_SCAN_RSA_MIN,
                                            .ops = &ops,
                                            .owner = s};
    int rc = ssh_proposal_set(&p, SSH_LIST_HOST_KEY, names, diag);
    return rc < 0 ? rc : ssh_transport_new(&s->transport, &conf, nk_now_ms(s->conf.app), diag);
}

static void read_all(struct ssh_scan *s)
{
    struct nk_diag diag = {0};
    uint8_t *p;
    size_t room;
    for (int rc = 0; rc == 0;) {
        rc = ssh_transport_space(s->transport, &p, &room, &diag);
        ssize_t n = rc < 0 ? rc : nk_stream_read(s->stream, p, room);
        if (n == NK_EAGAIN) {
            step(s, 0, &diag);
            return;
        }
        if (n == 0) {
            rc = ssh_transport_eof(s->transport, &diag);
        } else if (n < 0) {
            rc = nk_fail_sys(&diag, (int)n, "reading");
        } else {
            rc = ssh_transport_feed(s->transport, (size_t)n, nk_now_ms(s->conf.app), &diag);
        }
        if (rc < 0) {
            step(s, rc, &diag);
        }
    }
}

static void on_stream(void *owner, struct nk_stream *stream, unsigned events)
{
    struct ssh_scan *s = owner;
    struct nk_diag diag = {0};
    if (s->next.pending) {
        return;
    }
    if (events & NK_CLOSED) {
        over(s, nk_stream_error(stream, &diag), &diag);
        return;
    }
    if (events & NK_CONNECTED) {
        int rc = start_transport(s, &diag);
        if (rc < 0) {
            over(s, rc, &diag);
            return;
        }
        nk_stream_interest(stream, NK_READABLE | NK_WRITABLE);
        step(s, 0, &diag);
    }
    if (events & NK_WRITABLE) {
        flush(s);
    }
    if (events & NK_READABLE) {
        read_all(s);
    }
}

static void on_timer(void *owner)
{
    struct ssh_scan *s = owner;
    struct nk_diag diag = {0};
    uint64_t now = nk_now_ms(s->conf.app);
    if (s->next.pending) {
        return;
    }
    if (now >= s->deadline) {
        nk_fail(&diag, -ETIMEDOUT, "no host key came in time");
        over(s, -ETIMEDOUT, &diag);
    } else if (s->transport) {
        int rc = ssh_transport_tick(s->transport, now, &diag);
        step(s, rc, &diag);
    }
}

/* --- one after the other ---------------------------------------------------------------------- */

static bool next_type(struct ssh_scan *s)
{
    const struct ssh_sig_type *t = s->type ? s->type + 1 : ssh_sig_types;
    while (s->type && t->name && strcmp(t->key, s->type->key) == 0) {
        t++;
    }
    if (!t->name && s->conf.certificates && !s->cert) {
        s->cert = true;
        t = ssh_sig_types;
    }
    s->type = t;
    return t->name != NULL;
}

static int connect_next(struct ssh_scan *s, struct nk_diag *diag)
{
    s->shown = s->offered = false;
    s->deadline = nk_now_ms(s->conf.app) + s->conf.timeout_ms;
    int rc = nk_dial(s->conf.app, s->conf.endpoint, on_stream, s, &s->stream, diag);
    if (rc == 0) {
        arm(s);
    }
    return rc;
}

static void on_next(void *owner)
{
    struct ssh_scan *s = owner;
    hang_up(s);
    if ((s->rc < 0 && !s->more) || !next_type(s)) {
        s->conf.done(s->conf.owner, s);
        return;
    }
    int rc = connect_next(s, &s->why);
    if (rc < 0) {
        s->rc = rc;
        s->more = false;
        nk_app_defer(s->conf.app, &s->next);
    }
}

int ssh_scan_open(struct ssh_scan **out, const struct ssh_scan_conf *conf, struct nk_diag *diag)
{
    struct ssh_scan *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail_sys(diag, -ENOMEM, "the scan");
    }
    s->conf = *conf;
    s->next = (struct nk_defer){.fn = on_next, .owner = s};
    nk_timer_init(&s->timer, conf->app, on_timer, s);
    for (size_t i = 0; i < KEYS; i++) {
        nk_buf_init(&s->keys[i], SSH_BLOB_MAX);
    }
    (void)next_type(s);
    int rc = connect_next(s, diag);
    if (rc < 0) {
        ssh_scan_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void ssh_scan_close(struct ssh_scan *s)
{
    if (!s) {
        return;
    }
    hang_up(s);
    nk_app_defer_cancel(s->conf.app, &s->next);
    for (size_t i = 0; i < KEYS; i++) {
        nk_buf_clear(&s->keys[i]);
    }
    free(s);
}

struct ssh_str ssh_scan_key(const struct ssh_scan *s, size_t i)
{
    return i < s->nkeys ? (struct ssh_str){nk_buf_ptr(&s->keys[i]), nk_buf_len(&s->keys[i])}
                        : (struct ssh_str){0};
}

const char *ssh_scan_ident(const struct ssh_scan *s)
{
    return s->ident;
}

int ssh_scan_result(const struct ssh_scan *s, struct nk_diag *diag)
{
    if (s->rc == 0 || (s->more && s->nkeys > 0)) {
        return 0;
    }
    if (diag) {
        *diag = s->why;
    }
    return s->rc;
}
