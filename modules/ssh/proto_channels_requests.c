/* SPDX-License-Identifier: MIT */
/* Channel and global requests, and who gets which answer (RFC 4254 4 and 5.4). */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ssh/proto_channels_impl.h"

static void nobody(void *owner, int ok, struct ssh_str data)
{
    (void)owner;
    (void)ok;
    (void)data;
}

bool ssh_replies_answer(struct ssh_channels *c, struct ssh_replies *r, int ok, struct ssh_str data)
{
    struct ssh_reply *first = r->first;
    if (!first) {
        return false;
    }
    r->first = first->next;
    r->last = r->first ? r->last : NULL;
    r->n--;
    ssh_channels_sample(c, first->sent_ms);
    ssh_reply_fn *fn = first->fn;
    void *owner = first->owner;
    free(first);
    if (fn) {
        fn(owner, ok, data);
    }
    return true;
}

void ssh_replies_drop(struct ssh_replies *r, bool tell)
{
    while (r->first) {
        struct ssh_reply *first = r->first;
        ssh_reply_fn *fn = tell ? first->fn : NULL;
        void *owner = first->owner;
        r->first = first->next;
        r->last = r->first ? r->last : NULL;
        r->n--;
        free(first);
        if (fn) {
            fn(owner, NK_ECLOSED, (struct ssh_str){0});
        }
    }
}

/* Sends a request; to: NULL, or the channel's number on the other side. */
static int send(struct ssh_channels *c, const uint32_t *to, const char *type, bool want_reply,
                struct ssh_str data)
{
    size_t type_n = strlen(type), head = to ? 1 + 4 : 1, n = head + 4 + type_n + 1 + data.n;
    uint8_t *p, *at;
    int rc = ssh_channels_begin(c, n, &p);
    if (rc < 0) {
        return rc;
    }
    p[0] = to ? SSH_MSG_CHANNEL_REQUEST : SSH_MSG_GLOBAL_REQUEST;
    at = to ? ssh_channels_u32(p + 1, *to) : p + 1;
    at = ssh_channels_string(at, type, type_n);
    *at++ = want_reply;
    if (data.n > 0) {
        memcpy(at, data.p, data.n);
    }
    ssh_sink_end(c->sink, p, n);
    return 0;
}

static int ask(struct ssh_channels *c, struct ssh_replies *list, const uint32_t *to,
               const char *type, struct ssh_str data, ssh_reply_fn *fn, void *owner)
{
    if (list->n >= SSH_REQUESTS_MAX) {
        return NK_ELIMIT;
    }
    struct ssh_reply *r = fn ? malloc(sizeof(*r)) : NULL;
    int rc = fn && !r ? -ENOMEM : send(c, to, type, fn != NULL, data);
    if (rc < 0 || !r) {
        free(r);
        return rc;
    }
    ssh_channels_clock(c);
    *r = (struct ssh_reply){.fn = fn, .owner = owner, .sent_ms = c->now_ms};
    if (list->last) {
        list->last->next = r;
    } else {
        list->first = r;
    }
    list->last = r;
    list->n++;
    return 0;
}

int ssh_channel_request(struct ssh_channel *ch, const char *type, struct ssh_str data,
                        ssh_reply_fn *fn, void *owner)
{
    if (ch->state != SSH_CH_OPEN || ch->close_sent) {
        return -EPIPE;
    }
    return ask(ch->set, &ch->replies, &ch->peer, type, data, fn, owner);
}

int ssh_global_request(struct ssh_channels *c, const char *type, struct ssh_str data,
                       ssh_reply_fn *fn, void *owner)
{
    return c->sessions_only ? NK_EVERIFY : ask(c, &c->replies, NULL, type, data, fn, owner);
}

int ssh_channels_probe(struct ssh_channels *c)
{
    return ask(c, &c->replies, NULL, "keepalive@openssh.com", (struct ssh_str){0}, nobody, NULL);
}

void ssh_global_forget(struct ssh_channels *c, const void *owner)
{
    for (struct ssh_reply *r = c->replies.first; r; r = r->next) {
        r->fn = r->owner == owner ? NULL : r->fn;
    }
}

int ssh_channel_asked(struct ssh_channel *ch, struct nk_cur *c, struct nk_diag *diag)
{
    struct ssh_str type = ssh_cur_string(c);
    bool wants = ssh_cur_bool(c), known = false;
    struct ssh_str data = {.p = c->p, .n = nk_cur_left(c)};
    if (c->failed) {
        return ssh_channels_wrong(diag, SSH_MSG_CHANNEL_REQUEST, "is malformed");
    }
    if (!ch->released && ch->ops && ch->ops->on_request) {
        known = ch->ops->on_request(ch->owner, ch, type, data);
    }
    if (!wants || ch->close_sent) { /* nothing may follow our CLOSE */
        return 0;
    }
    int rc = ssh_channels_send(ch->set, known ? SSH_MSG_CHANNEL_SUCCESS : SSH_MSG_CHANNEL_FAILURE,
                               &ch->peer, 1);
    return rc < 0 ? nk_fail_sys(diag, rc, "cannot answer a request") : 0;
}

int ssh_global_asked(struct ssh_channels *c, struct nk_cur *cur, struct nk_diag *diag)
{
    struct ssh_str type = ssh_cur_string(cur);
    bool wants = ssh_cur_bool(cur), known = false;
    struct ssh_str data = {.p = cur->p, .n = nk_cur_left(cur)};
    if (cur->failed) {
        return ssh_channels_wrong(diag, SSH_MSG_GLOBAL_REQUEST, "is malformed");
    }
    if (c->conf.on_global) {
        known = c->conf.on_global(c->conf.owner, type, data);
    }
    if (!wants) {
        return 0;
    }
    int rc =
        ssh_channels_send(c, known ? SSH_MSG_REQUEST_SUCCESS : SSH_MSG_REQUEST_FAILURE, NULL, 0);
    return rc < 0 ? nk_fail_sys(diag, rc, "cannot answer a request") : 0;
}
