/* SPDX-License-Identifier: MIT */
#include "ssh/agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/registry.h"
#include "core/stream.h"

enum {
    FRAME_MAX = 4 + SSH_AGENT_MAX,
    OUT_MAX = 8 * FRAME_MAX, /* requests that wait for the agent to read */
    CHUNK = 16 * 1024,
    ALG_MAX = 48 /* longest name of an algorithm, with its end */
};

enum kind { KIND_LIST, KIND_SIGN, KIND_BIND };

struct ssh_agent_request {
    struct ssh_agent_request *next;
    enum kind kind;
    char alg[ALG_MAX];
    ssh_agent_fn *fn; /* NULL: nobody waits */
    void *owner;
};

struct ssh_agent {
    struct nk_app *app;
    struct nk_stream *stream; /* NULL: it is over */
    bool connected;
    bool inside; /* a callback runs: whoever closes now is freed afterwards */
    bool closed;
    int rc; /* why it is over */
    struct nk_diag diag;
    struct nk_defer failing;
    struct nk_buf in, out;
    struct ssh_agent_request *first, **last; /* in the order of their answers */
};

const char *ssh_agent_path(const char *setting)
{
    if (!setting || strcmp(setting, "SSH_AUTH_SOCK") == 0) {
        setting = "$SSH_AUTH_SOCK";
    }
    if (strcmp(setting, "none") == 0) {
        return NULL;
    }
    const char *path = *setting == '$' ? getenv(setting + 1) : setting;
    return path && *path ? path : NULL;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void release(struct ssh_agent *a)
{
    while (a->first) {
        struct ssh_agent_request *r = a->first;
        a->first = r->next;
        free(r);
    }
    nk_buf_clear(&a->in);
    nk_buf_clear(&a->out);
    free(a);
}

static struct ssh_agent_request *pop(struct ssh_agent *a)
{
    struct ssh_agent_request *r = a->first;
    a->first = r->next;
    if (!a->first) {
        a->last = &a->first;
    }
    return r;
}

/* Hand out an answer; false: the agent was closed meanwhile, and is no more. */
static bool tell(struct ssh_agent *a, struct ssh_agent_request *r,
                 const struct ssh_agent_answer *answer)
{
    a->inside = true;
    if (r->fn) {
        r->fn(r->owner, answer);
    }
    a->inside = false;
    free(r);
    if (a->closed) {
        release(a);
        return false;
    }
    return true;
}

/* It is over: whoever waits is told. */
static void fail_all(struct ssh_agent *a)
{
    const struct ssh_agent_answer answer = {.rc = a->rc, .diag = &a->diag};
    while (a->first) {
        if (!tell(a, pop(a), &answer)) {
            return;
        }
    }
}

static void on_failing(void *owner)
{
    fail_all(owner);
}

/* The reason is in a->diag. */
static void over(struct ssh_agent *a, int rc)
{
    a->rc = rc;
    nk_stream_close(a->stream);
    a->stream = NULL;
    nk_app_defer(a->app, &a->failing);
}

static int read_list(struct ssh_str frame, struct ssh_agent_answer *answer,
                     struct ssh_agent_key **keys, struct nk_diag *diag)
{
    ssize_t n = ssh_agent_get_list(frame, NULL, 0, diag);
    if (n <= 0) {
        return (int)n;
    }
    *keys = calloc((size_t)n, sizeof(**keys));
    if (!*keys) {
        return nk_fail_sys(diag, -ENOMEM, "the agent's keys");
    }
    (void)ssh_agent_get_list(frame, *keys, (size_t)n, diag); /* as before */
    answer->keys = *keys;
    answer->nkeys = (size_t)n;
    return 0;
}

/* A whole frame, the answer to the first request; false: the agent is no more, or over. */
static bool on_frame(struct ssh_agent *a, struct ssh_str frame)
{
    struct nk_diag diag = {0};
    struct ssh_agent_answer answer = {0};
    struct ssh_agent_key *keys = NULL;
    if (!a->first) {
        over(a, nk_fail(&a->diag, NK_EPROTO, "the agent answers without being asked"));
        return false;
    }
    switch (a->first->kind) {
    case KIND_LIST:
        answer.rc = read_list(frame, &answer, &keys, &diag);
        break;
    case KIND_SIGN:
        answer.rc = ssh_agent_get_signature(frame, a->first->alg, &answer.signature, &diag);
        break;
    case KIND_BIND:
        answer.rc = ssh_agent_get_done(frame, &diag);
        break;
    }
    answer.diag = answer.rc < 0 ? &diag : NULL;
    bool lives = tell(a, pop(a), &answer);
    free(keys);
    return lives && a->stream;
}

/* --- the stream ------------------------------------------------------------------------------- */

static void flush(struct ssh_agent *a)
{
    if (!a->connected) {
        return;
    }
    while (nk_buf_len(&a->out) > 0) {
        ssize_t n = nk_stream_write(a->stream, nk_buf_ptr(&a->out), nk_buf_len(&a->out));
        if (n == NK_EAGAIN) {
            break;
        }
        if (n < 0) {
            over(a, nk_fail_sys(&a->diag, (int)n, "writing to the agent"));
            return;
        }
        nk_buf_consume(&a->out, (size_t)n);
    }
    nk_stream_interest(a->stream, NK_READABLE | (nk_buf_len(&a->out) > 0 ? NK_WRITABLE : 0u));
}

/* Whole frames of what has come; false: the agent is no more, or over. */
static bool take_frames(struct ssh_agent *a)
{
    for (;;) {
        ssize_t n = ssh_agent_frame(nk_buf_ptr(&a->in), nk_buf_len(&a->in));
        if (n < 0) {
            over(a, nk_fail(&a->diag, NK_EPROTO,
                            n == NK_ETOOBIG ? "the agent's answer is longer than %d bytes"
                                            : "the agent's answer is empty",
                            SSH_AGENT_MAX));
            return false;
        }
        if (n == 0 || nk_buf_len(&a->in) < (size_t)n) {
            return true;
        }
        if (!on_frame(a, (struct ssh_str){nk_buf_ptr(&a->in), (size_t)n})) {
            return false;
        }
        nk_buf_consume(&a->in, (size_t)n);
    }
}

static void on_readable(struct ssh_agent *a)
{
    uint8_t *to;
    size_t room = FRAME_MAX - nk_buf_len(&a->in);
    int rc = nk_buf_reserve(&a->in, room < CHUNK ? room : CHUNK, &to);
    ssize_t n = rc < 0 ? rc : nk_stream_read(a->stream, to, room < CHUNK ? room : CHUNK);
    if (n == NK_EAGAIN) {
        return;
    }
    if (n <= 0) {
        over(a, nk_fail_sys(&a->diag, n == 0 ? NK_ECLOSED : (int)n, "the agent"));
        return;
    }
    nk_buf_commit(&a->in, (size_t)n);
    (void)take_frames(a);
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct ssh_agent *a = owner;
    if (events & NK_CLOSED) {
        int rc = nk_stream_error(s, &a->diag);
        over(a, a->diag.text[0] ? nk_fail_context(&a->diag, "the agent")
                                : nk_fail_sys(&a->diag, rc, "the agent"));
        return;
    }
    a->connected = true;
    if (events & (NK_CONNECTED | NK_WRITABLE)) {
        flush(a);
    }
    if (events & NK_READABLE && a->stream) {
        on_readable(a);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

int ssh_agent_over(struct nk_app *app, struct nk_stream *take_stream, struct ssh_agent **out)
{
    struct ssh_agent *a = calloc(1, sizeof(*a));
    if (!a) {
        nk_stream_close(take_stream);
        return -ENOMEM;
    }
    a->app = app;
    a->stream = take_stream;
    a->last = &a->first;
    a->failing = (struct nk_defer){.fn = on_failing, .owner = a};
    nk_buf_init(&a->in, FRAME_MAX);
    nk_buf_init(&a->out, OUT_MAX);
    nk_stream_own(take_stream, on_event, a);
    *out = a;
    return 0;
}

/* The endpoint string of a socket's path; what is special there is escaped. */
static int endpoint_of(const char *path, char out[NK_EP_MAX_TEXT])
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
    size_t at = (size_t)snprintf(out, NK_EP_MAX_TEXT, "unix:");
    for (; *path; path++) {
        if (at + sizeof("%00") > NK_EP_MAX_TEXT) {
            return -ENAMETOOLONG;
        }
        at += (size_t)snprintf(out + at, NK_EP_MAX_TEXT - at,
                               strchr(plain, *path) ? "%c" : "%%%02x", (unsigned char)*path);
    }
    return 0;
}

static void on_nothing(void *owner, struct nk_stream *s, unsigned events)
{
    (void)owner, (void)s, (void)events; /* it has another owner before anything comes */
}

int ssh_agent_open(struct nk_app *app, const char *path, struct ssh_agent **out,
                   struct nk_diag *diag)
{
    char text[NK_EP_MAX_TEXT];
    struct nk_endpoint *ep;
    struct nk_stream *s;
    int rc = endpoint_of(path, text);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "the agent's socket");
    }
    rc = nk_endpoint_parse(text, NK_EP_CONNECT, &ep, diag);
    if (rc < 0) {
        return rc;
    }
    rc = nk_dial(app, ep, on_nothing, NULL, &s, diag);
    nk_endpoint_free(ep);
    if (rc < 0) {
        return rc;
    }
    rc = ssh_agent_over(app, s, out);
    return rc < 0 ? nk_fail_sys(diag, rc, "the agent") : 0;
}

void ssh_agent_close(struct ssh_agent *a)
{
    if (!a || a->closed) {
        return;
    }
    nk_app_defer_cancel(a->app, &a->failing);
    nk_stream_close(a->stream);
    a->stream = NULL;
    if (a->inside) {
        a->closed = true;
    } else {
        release(a);
    }
}

/* --- requests --------------------------------------------------------------------------------- */

/* A request whose frame is not written yet; the agent must not be over. */
static int ask(const struct ssh_agent *a, enum kind kind, const char *alg, ssh_agent_fn *fn,
               void *owner, struct ssh_agent_request **out)
{
    if (!a->stream) {
        return a->rc < 0 ? a->rc : NK_ECLOSED;
    }
    struct ssh_agent_request *r = calloc(1, sizeof(*r));
    if (!r) {
        return -ENOMEM;
    }
    snprintf(r->alg, sizeof(r->alg), "%s", alg);
    r->kind = kind;
    r->fn = fn;
    r->owner = owner;
    *out = r;
    return 0;
}

/* rc: of putting the frame. */
static int send_request(struct ssh_agent *a, int rc, struct ssh_agent_request *r,
                        struct ssh_agent_request **out)
{
    if (rc < 0) {
        free(r);
        return rc;
    }
    *a->last = r;
    a->last = &r->next;
    *out = r;
    flush(a);
    return 0;
}

int ssh_agent_list(struct ssh_agent *a, ssh_agent_fn *fn, void *owner,
                   struct ssh_agent_request **out)
{
    struct ssh_agent_request *r;
    int rc = ask(a, KIND_LIST, "", fn, owner, &r);
    return rc < 0 ? rc : send_request(a, ssh_agent_put_list(&a->out), r, out);
}

int ssh_agent_sign(struct ssh_agent *a, struct ssh_str blob, const void *data, size_t n,
                   const char *alg, ssh_agent_fn *fn, void *owner, struct ssh_agent_request **out)
{
    struct ssh_agent_request *r;
    int rc = ask(a, KIND_SIGN, alg, fn, owner, &r);
    return rc < 0 ? rc : send_request(a, ssh_agent_put_sign(&a->out, blob, data, n, alg), r, out);
}

int ssh_agent_bind(struct ssh_agent *a, struct ssh_str host_key, struct ssh_str session_id,
                   struct ssh_str signature, bool forwarding, ssh_agent_fn *fn, void *owner,
                   struct ssh_agent_request **out)
{
    struct ssh_agent_request *r;
    int rc = ask(a, KIND_BIND, "", fn, owner, &r);
    return rc < 0 ? rc
                  : send_request(
                        a, ssh_agent_put_bind(&a->out, host_key, session_id, signature, forwarding),
                        r, out);
}

void ssh_agent_cancel(struct ssh_agent_request *r)
{
    if (r) {
        r->fn = NULL;
    }
}
