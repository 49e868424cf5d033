/* SPDX-License-Identifier: MIT */
/* Channels: their numbers, how they open and close, and which message is whose. */
#include "ssh/proto_channels_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define MODULE "ssh"

enum { FIRST_SLOTS = 8, RTT_KEPT_MS = 60 * 1000, ALIVE_COUNT = 3 };

/* --- sending ---------------------------------------------------------------------------------- */

uint8_t *ssh_channels_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (24 - 8 * i));
    }
    return p + 4;
}

uint8_t *ssh_channels_string(uint8_t *p, const void *s, size_t n)
{
    p = ssh_channels_u32(p, (uint32_t)n);
    if (n > 0) {
        memcpy(p, s, n);
    }
    return p + n;
}

int ssh_channels_begin(struct ssh_channels *c, size_t max, uint8_t **p)
{
    if (c->ended) {
        return NK_ECLOSED;
    }
    if (c->broken < 0) {
        return c->broken;
    }
    int rc = ssh_sink_begin(c->sink, max, p);
    if (rc < 0 && rc != NK_ETOOBIG) {
        c->broken = rc;
    }
    return rc;
}

int ssh_channels_send(struct ssh_channels *c, uint8_t number, const uint32_t *v, size_t n)
{
    uint8_t *p, *at;
    int rc = ssh_channels_begin(c, 1 + 4 * n, &p);
    if (rc < 0) {
        return rc;
    }
    p[0] = number;
    at = p + 1;
    for (size_t i = 0; i < n; i++) {
        at = ssh_channels_u32(at, v[i]);
    }
    ssh_sink_end(c->sink, p, 1 + 4 * n);
    return 0;
}

int ssh_channels_wrong(struct nk_diag *diag, uint8_t number, const char *why)
{
    return nk_fail(diag, NK_EPROTO, "the server's message %s %s", ssh_message_name(number), why);
}

/* --- making ----------------------------------------------------------------------------------- */

int ssh_channels_new(const struct ssh_channels_conf *conf, struct ssh_sink *sink,
                     struct ssh_channels **out)
{
    struct ssh_channels *c = calloc(1, sizeof(*c));
    if (!c) {
        return -ENOMEM;
    }
    c->conf = *conf;
    c->conf.window_start = conf->window_start ? conf->window_start : SSH_WINDOW_START;
    c->conf.window_max = conf->window_max ? conf->window_max : SSH_WINDOW_MAX;
    c->conf.windows_total = conf->windows_total ? conf->windows_total : SSH_WINDOWS_TOTAL;
    c->conf.keepalive_count = conf->keepalive_count ? conf->keepalive_count : ALIVE_COUNT;
    c->sink = sink;
    *out = c;
    return 0;
}

/* The channel is gone; its number may be used again. */
static void drop(struct ssh_channel *ch, bool tell)
{
    struct ssh_channels *c = ch->set;
    struct ssh_slot *s = &c->slots[ch->id];
    ssh_ring_leave(ch);
    ssh_lent_leave(ch);
    ssh_replies_drop(&ch->replies, tell);
    c->windows -= ch->in_size;
    c->live -= ch->released ? 0 : 1;
    s->ch = NULL;
    s->next_free = c->first_free;
    c->first_free = ch->id;
    free(ch);
}

void ssh_channels_free(struct ssh_channels *c)
{
    if (!c) {
        return;
    }
    for (uint32_t i = 0; i < c->n_slots; i++) {
        if (c->slots[i].ch) {
            drop(c->slots[i].ch, false);
        }
    }
    ssh_replies_drop(&c->replies, false);
    free(c->slots);
    free(c);
}

/* The owner's last callback. */
static void finish(struct ssh_channel *ch, uint32_t reason, const struct nk_diag *why)
{
    enum ssh_channel_state was = ch->state;
    ch->state = SSH_CH_GOING;
    if (!ch->released) {
        ssh_replies_drop(&ch->replies, true);
    }
    const struct ssh_channel_ops *ops = ch->ops;
    if (!ch->released && was == SSH_CH_OPENING && ops && ops->on_failed) {
        ops->on_failed(ch->owner, ch, reason, why);
    } else if (!ch->released && was != SSH_CH_OPENING && ops && ops->on_closed) {
        ops->on_closed(ch->owner, ch, why);
    }
    drop(ch, false);
}

void ssh_channels_end(struct ssh_channels *c, const struct nk_diag *why)
{
    if (c->ended) {
        return;
    }
    c->ended = true;
    for (uint32_t i = 0; i < c->n_slots; i++) {
        if (c->slots[i].ch) {
            finish(c->slots[i].ch, 0, why);
        }
    }
    ssh_replies_drop(&c->replies, true);
}

void ssh_channels_restrict(struct ssh_channels *c)
{
    c->sessions_only = true;
}

size_t ssh_channels_count(const struct ssh_channels *c)
{
    return c->live;
}

/* --- time ------------------------------------------------------------------------------------- */

void ssh_channels_now(struct ssh_channels *c, uint64_t now_ms)
{
    c->heard_ms = c->now_ms == 0 ? now_ms : c->heard_ms;
    c->now_ms = now_ms;
}

void ssh_channels_clock(struct ssh_channels *c)
{
    c->now_ms = c->conf.clock ? c->conf.clock(c->conf.owner) : c->now_ms;
}

void ssh_channels_heard(struct ssh_channels *c)
{
    c->heard_ms = c->now_ms;
    c->silent = 0;
}

void ssh_channels_sample(struct ssh_channels *c, uint64_t sent_ms)
{
    uint64_t ms = c->now_ms - sent_ms + 1; /* the clock's steps */
    if (c->rtt_ms == 0 || ms <= c->rtt_ms || c->now_ms - c->rtt_at_ms > RTT_KEPT_MS) {
        c->rtt_ms = ms;
        c->rtt_at_ms = c->now_ms;
    }
}

uint64_t ssh_channels_rtt_ms(const struct ssh_channels *c)
{
    return c->rtt_ms;
}

int ssh_channels_tick(struct ssh_channels *c, uint64_t *next_ms, struct nk_diag *diag)
{
    uint64_t last = c->heard_ms > c->asked_ms ? c->heard_ms : c->asked_ms;
    uint64_t due = last + c->conf.keepalive_ms;
    *next_ms = UINT64_MAX;
    if (c->conf.keepalive_ms == 0 || c->ended) {
        return 0;
    }
    if (c->now_ms >= due) {
        if (++c->silent > c->conf.keepalive_count) {
            return nk_fail(diag, -ETIMEDOUT, "the server gave no sign of life for %llu s",
                           (unsigned long long)(c->now_ms - c->heard_ms) / 1000);
        }
        int rc = ssh_channels_probe(c);
        if (rc < 0) {
            return nk_fail_sys(diag, rc, "cannot ask the server for a sign of life");
        }
        c->asked_ms = c->now_ms;
        due = c->now_ms + c->conf.keepalive_ms;
    }
    *next_ms = due - c->now_ms;
    return 0;
}

/* --- numbers ---------------------------------------------------------------------------------- */

static int grow_slots(struct ssh_channels *c)
{
    uint32_t n = c->n_slots ? c->n_slots * 2 : FIRST_SLOTS;
    if (c->n_slots >= SSH_CHANNELS_MAX) {
        return NK_ELIMIT;
    }
    struct ssh_slot *s = realloc(c->slots, n * sizeof(*s));
    if (!s) {
        return -ENOMEM;
    }
    for (uint32_t i = c->n_slots; i < n; i++) {
        s[i] = (struct ssh_slot){.next_free = i + 1};
    }
    c->slots = s;
    c->first_free = c->n_slots;
    c->n_slots = n;
    return 0;
}

static int make(struct ssh_channels *c, enum ssh_channel_state state, struct ssh_channel **out)
{
    int rc = c->first_free == c->n_slots ? grow_slots(c) : 0;
    struct ssh_channel *ch = rc == 0 ? calloc(1, sizeof(*ch)) : NULL;
    if (!ch) {
        return rc < 0 ? rc : -ENOMEM;
    }
    ch->set = c;
    ch->state = state;
    ch->id = c->first_free;
    c->first_free = c->slots[ch->id].next_free;
    c->slots[ch->id].ch = ch;
    c->live++;
    ssh_window_start(ch);
    *out = ch;
    return 0;
}

static struct ssh_channel *find(const struct ssh_channels *c, uint32_t id)
{
    return id < c->n_slots ? c->slots[id].ch : NULL;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Type, sender, window and packet size of RFC 4254 5.1, and what the type adds. */
static int send_open(struct ssh_channel *ch, const char *type, struct ssh_str data)
{
    size_t type_n = strlen(type), n = 1 + 4 + type_n + 3 * 4 + data.n;
    uint8_t *p, *at;
    int rc = ssh_channels_begin(ch->set, n, &p);
    if (rc < 0) {
        return rc;
    }
    p[0] = SSH_MSG_CHANNEL_OPEN;
    at = ssh_channels_string(p + 1, type, type_n);
    at = ssh_channels_u32(at, ch->id);
    at = ssh_channels_u32(at, ch->in_left);
    at = ssh_channels_u32(at, SSH_DATA_MAX);
    if (data.n > 0) {
        memcpy(at, data.p, data.n);
    }
    ssh_sink_end(ch->set->sink, p, n);
    return 0;
}

int ssh_channel_open(struct ssh_channels *c, const char *type, struct ssh_str data,
                     const struct ssh_channel_ops *ops, void *owner, struct ssh_channel **out,
                     struct nk_diag *diag)
{
    struct ssh_channel *ch;
    if (c->sessions_only && strcmp(type, "session") != 0) {
        return nk_fail(diag, NK_EVERIFY, "nothing is forwarded by a host whose key has changed");
    }
    int rc = c->ended ? NK_ECLOSED : make(c, SSH_CH_OPENING, &ch);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "cannot open a channel");
    }
    ssh_channel_own(ch, ops, owner);
    ssh_channels_clock(c);
    ch->since_ms = c->now_ms;
    rc = send_open(ch, type, data);
    if (rc < 0) {
        drop(ch, false);
        return nk_fail_sys(diag, rc, "cannot open a channel");
    }
    *out = ch;
    return 0;
}

void ssh_channel_own(struct ssh_channel *ch, const struct ssh_channel_ops *ops, void *owner)
{
    ch->ops = ops;
    ch->owner = owner;
}

static int refuse(struct ssh_channels *c, uint32_t peer, uint32_t reason, const char *text)
{
    size_t text_n = strlen(text), n = 1 + 2 * 4 + 4 + text_n + 4;
    uint8_t *p, *at;
    int rc = ssh_channels_begin(c, n, &p);
    if (rc < 0) {
        return rc;
    }
    p[0] = SSH_MSG_CHANNEL_OPEN_FAILURE;
    at = ssh_channels_u32(p + 1, peer);
    at = ssh_channels_u32(at, reason);
    at = ssh_channels_string(at, text, text_n);
    (void)ssh_channels_u32(at, 0); /* language */
    ssh_sink_end(c->sink, p, n);
    return 0;
}

int ssh_channel_refuse(struct ssh_channel *ch, enum ssh_refusal reason, const char *text)
{
    int rc = refuse(ch->set, ch->peer, reason, text);
    drop(ch, false);
    return rc;
}

int ssh_channel_accept(struct ssh_channel *ch, const struct ssh_channel_ops *ops, void *owner)
{
    const uint32_t v[] = {ch->peer, ch->id, ch->in_left, SSH_DATA_MAX};
    ssh_channel_own(ch, ops, owner);
    ch->state = SSH_CH_OPEN;
    ssh_channels_clock(ch->set);
    ch->since_ms = ch->set->now_ms;
    return ssh_channels_send(ch->set, SSH_MSG_CHANNEL_OPEN_CONFIRMATION, v, 4);
}

static int get_open(struct ssh_channels *c, struct nk_cur *cur, struct nk_diag *diag)
{
    struct ssh_str type = ssh_cur_string(cur);
    uint32_t peer = nk_cur_be32(cur), window = nk_cur_be32(cur), packet = nk_cur_be32(cur);
    struct ssh_str data = {.p = cur->p, .n = nk_cur_left(cur)};
    struct ssh_channel *ch;
    if (cur->failed || packet == 0) {
        return ssh_channels_wrong(diag, SSH_MSG_CHANNEL_OPEN, "is malformed");
    }
    const bool wanted = c->conf.on_incoming && !c->sessions_only;
    int rc = wanted ? make(c, SSH_CH_ASKED, &ch) : 0;
    if (!wanted || rc < 0) {
        rc = refuse(c, peer, rc < 0 ? SSH_REFUSED_RESOURCES : SSH_REFUSED_TYPE, "");
        return rc < 0 ? nk_fail_sys(diag, rc, "cannot refuse a channel") : 0;
    }
    ch->peer = peer;
    ch->out_window = window;
    ch->out_packet = packet;
    c->conf.on_incoming(c->conf.owner, ch, type, data);
    return 0;
}

static int confirmed(struct ssh_channel *ch, struct nk_cur *cur, struct nk_diag *diag)
{
    ch->peer = nk_cur_be32(cur);
    ch->out_window = nk_cur_be32(cur);
    ch->out_packet = nk_cur_be32(cur);
    struct ssh_str data = {.p = cur->p, .n = nk_cur_left(cur)};
    if (cur->failed || ch->out_packet == 0 || ch->state != SSH_CH_OPENING) {
        return ssh_channels_wrong(diag, SSH_MSG_CHANNEL_OPEN_CONFIRMATION,
                                  "takes no data in its packets, or is out of place");
    }
    ch->state = SSH_CH_OPEN;
    ssh_channels_sample(ch->set, ch->since_ms);
    ch->since_ms = ch->set->now_ms;
    if (ch->released) {
        ch->close_sent = true;
        int rc = ssh_channels_send(ch->set, SSH_MSG_CHANNEL_CLOSE, &ch->peer, 1);
        return rc < 0 ? nk_fail_sys(diag, rc, "cannot close a channel") : 0;
    }
    if (ch->ops && ch->ops->on_open) {
        ch->ops->on_open(ch->owner, ch, data);
    }
    return 0;
}

static int code_of(uint32_t reason)
{
    return reason == SSH_REFUSED_PROHIBITED ? NK_EAUTH
           : reason == SSH_REFUSED_CONNECT  ? -ECONNREFUSED
           : reason == SSH_REFUSED_TYPE     ? NK_EUNSUPPORTED
                                            : NK_ELIMIT;
}

static int failed(struct ssh_channel *ch, struct nk_cur *cur, struct nk_diag *diag)
{
    static const char *const words[] = {"an unknown reason", "prohibited by its administrator",
                                        "it could not connect", "an unknown type of channel",
                                        "a shortage of resources"};
    struct nk_diag why;
    uint32_t reason = nk_cur_be32(cur);
    struct ssh_str text = {0};
    if (nk_cur_left(cur) > 0) { /* some leave out the rest */
        text = ssh_cur_string(cur);
        (void)(nk_cur_left(cur) > 0 ? ssh_cur_string(cur) : text); /* language */
    }
    if (!nk_cur_done(cur) || ch->state != SSH_CH_OPENING) {
        return ssh_channels_wrong(diag, SSH_MSG_CHANNEL_OPEN_FAILURE,
                                  "is malformed or out of place");
    }
    ssh_channels_sample(ch->set, ch->since_ms);
    int n = text.n < NK_DIAG_TEXT ? (int)text.n : NK_DIAG_TEXT;
    (void)nk_fail(&why, code_of(reason), "the server refuses the channel: %s%s%.*s",
                  words[reason < sizeof(words) / sizeof(words[0]) ? reason : 0], n ? ": " : "", n,
                  n ? (const char *)text.p : "");
    finish(ch, reason ? reason : UINT32_MAX, &why);
    return 0;
}

/* --- closing ---------------------------------------------------------------------------------- */

int ssh_channel_eof(struct ssh_channel *ch)
{
    if (ch->eof_sent || ch->close_sent || ch->state != SSH_CH_OPEN) {
        return ch->state == SSH_CH_OPEN ? 0 : NK_ECLOSED;
    }
    ch->eof_sent = true;
    return ssh_channels_send(ch->set, SSH_MSG_CHANNEL_EOF, &ch->peer, 1);
}

void ssh_channel_close(struct ssh_channel *ch)
{
    if (!ch || ch->released) {
        return;
    }
    if (ch->state == SSH_CH_ASKED) {
        (void)ssh_channel_refuse(ch, SSH_REFUSED_PROHIBITED, ""); /* its failure is remembered */
        return;
    }
    ch->released = true;
    ch->set->live--;
    ssh_ring_leave(ch);
    ssh_lent_leave(ch);
    for (struct ssh_reply *r = ch->replies.first; r; r = r->next) {
        r->fn = NULL;
    }
    if (ch->state == SSH_CH_OPEN && !ch->close_sent) { /* GOING: it is sent, or cannot be */
        ch->close_sent = true;
        (void)ssh_channels_send(ch->set, SSH_MSG_CHANNEL_CLOSE, &ch->peer, 1);
    }
}

static int get_eof(struct ssh_channel *ch, const struct nk_cur *cur, struct nk_diag *diag)
{
    if (!nk_cur_done(cur) || ch->eof_got) {
        return ssh_channels_wrong(diag, SSH_MSG_CHANNEL_EOF, "comes twice, or is malformed");
    }
    ch->eof_got = true;
    if (!ch->released && ch->ops && ch->ops->on_eof) {
        ch->ops->on_eof(ch->owner, ch);
    }
    return 0;
}

static int get_close(struct ssh_channel *ch, const struct nk_cur *cur, struct nk_diag *diag)
{
    if (!nk_cur_done(cur)) {
        return ssh_channels_wrong(diag, SSH_MSG_CHANNEL_CLOSE, "is malformed");
    }
    int rc = ch->close_sent ? 0 : ssh_channels_send(ch->set, SSH_MSG_CHANNEL_CLOSE, &ch->peer, 1);
    ch->close_sent = true;
    finish(ch, 0, NULL);
    return rc < 0 ? nk_fail_sys(diag, rc, "cannot close a channel") : 0;
}

/* --- receiving -------------------------------------------------------------------------------- */

static int get_reply(struct ssh_channel *ch, uint8_t number, const struct nk_cur *cur,
                     struct nk_diag *diag)
{
    if (!nk_cur_done(cur) ||
        !ssh_replies_answer(ch->set, &ch->replies, number == SSH_MSG_CHANNEL_SUCCESS,
                            (struct ssh_str){0})) {
        return ssh_channels_wrong(diag, number, "answers nothing, or is malformed");
    }
    return 0;
}

/* What is about an open channel. */
static int get_for(struct ssh_channel *ch, uint8_t number, struct nk_cur *cur, struct nk_diag *diag)
{
    switch (number) {
    case SSH_MSG_CHANNEL_WINDOW_ADJUST:
        return ssh_window_give(ch, cur, diag);
    case SSH_MSG_CHANNEL_DATA:
    case SSH_MSG_CHANNEL_EXTENDED_DATA:
        return ssh_channel_data(ch, number, cur, diag);
    case SSH_MSG_CHANNEL_EOF:
        return get_eof(ch, cur, diag);
    case SSH_MSG_CHANNEL_CLOSE:
        return get_close(ch, cur, diag);
    case SSH_MSG_CHANNEL_REQUEST:
        return ssh_channel_asked(ch, cur, diag);
    default:
        return get_reply(ch, number, cur, diag);
    }
}

static int get_channel(struct ssh_channels *c, uint8_t number, struct nk_cur *cur,
                       struct nk_diag *diag)
{
    struct ssh_channel *ch = find(c, nk_cur_be32(cur));
    if (cur->failed || !ch) {
        return ssh_channels_wrong(diag, number, "is about a channel that is not there");
    }
    if (number == SSH_MSG_CHANNEL_OPEN_CONFIRMATION) {
        return confirmed(ch, cur, diag);
    }
    if (number == SSH_MSG_CHANNEL_OPEN_FAILURE) {
        return failed(ch, cur, diag);
    }
    if (ch->state != SSH_CH_OPEN) {
        return ssh_channels_wrong(diag, number, "is about a channel that is not open");
    }
    return get_for(ch, number, cur, diag);
}

int ssh_channels_receive(struct ssh_channels *c, const uint8_t *payload, size_t n,
                         struct nk_diag *diag)
{
    struct nk_cur cur;
    nk_cur_init(&cur, payload, n);
    uint8_t number = nk_cur_u8(&cur);
    ssh_channels_heard(c);
    if (c->ended || c->broken) {
        return nk_fail_sys(diag, c->broken ? c->broken : NK_ECLOSED, "the connection is over");
    }
    switch (number) {
    case SSH_MSG_GLOBAL_REQUEST:
        return ssh_global_asked(c, &cur, diag);
    case SSH_MSG_REQUEST_SUCCESS:
    case SSH_MSG_REQUEST_FAILURE:
        return ssh_replies_answer(c, &c->replies, number == SSH_MSG_REQUEST_SUCCESS,
                                  (struct ssh_str){cur.p, nk_cur_left(&cur)})
                   ? 0
                   : ssh_channels_wrong(diag, number, "answers nothing");
    case SSH_MSG_UNIMPLEMENTED: /* RFC 4253 11.4: it knows no global requests; of others, all do */
        (void)ssh_replies_answer(c, &c->replies, 0, (struct ssh_str){0});
        return 0;
    case SSH_MSG_CHANNEL_OPEN:
        return get_open(c, &cur, diag);
    default:
        if (number < SSH_MSG_CHANNEL_OPEN || number > SSH_MSG_CHANNEL_FAILURE) {
            return ssh_channels_wrong(diag, number, "does not belong to the connection protocol");
        }
        return get_channel(c, number, &cur, diag);
    }
}
