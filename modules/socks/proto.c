/* SPDX-License-Identifier: MIT */
#include "socks/proto.h"

#include <string.h>

#include "base/secret.h"

/* What a client of another protocol is told before the connection ends. */
static const uint8_t socks4_no[] = {0, 0x5b, 0, 0, 0, 0, 0, 0}; /* SOCKS 4: request rejected */
static const char http_no[] = "HTTP/1.0 501 This port speaks SOCKS5, not HTTP\r\n"
                              "Content-Length: 0\r\nConnection: close\r\n\r\n";

static void set_state(struct socks_proto *p, enum socks_state to)
{
    p->state = (uint8_t)to;
    p->have = 0;
}

static int fail(struct socks_proto *p)
{
    set_state(p, SOCKS_FAILED);
    return NK_EPROTO;
}

static enum socks_message awaited(const struct socks_proto *p)
{
    static const uint8_t kinds[] = {
        [SOCKS_AWAIT_CHOICE] = SOCKS_CHOICE,     [SOCKS_AWAIT_STATUS] = SOCKS_STATUS,
        [SOCKS_AWAIT_REPLY] = SOCKS_REPLY,       [SOCKS_AWAIT_GREETING] = SOCKS_GREETING,
        [SOCKS_AWAIT_LOGIN] = SOCKS_LOGIN,       [SOCKS_AWAIT_REQUEST] = SOCKS_REQUEST,
        [SOCKS_AWAIT_REQUEST4] = SOCKS_REQUEST4,
    };
    return (enum socks_message)kinds[p->state];
}

/* --- sending ---------------------------------------------------------------------------------- */

const uint8_t *socks_proto_out(const struct socks_proto *p, size_t *n)
{
    *n = (size_t)(p->out_end - p->out_at);
    return p->out + p->out_at;
}

void socks_proto_sent(struct socks_proto *p, size_t n)
{
    p->out_at = (uint16_t)(p->out_at + n);
}

/* Server: one message behind what has not gone yet. Two at most wait at a time, so it fits. */
static void queue(struct socks_proto *p, const void *bytes, size_t n)
{
    if (p->out_at == p->out_end) {
        p->out_at = p->out_end = 0;
    }
    memcpy(p->out + p->out_end, bytes, n);
    p->out_end = (uint16_t)(p->out_end + n);
    p->out_held = p->out_end;
}

static void queue_pair(struct socks_proto *p, uint8_t first, uint8_t second)
{
    const uint8_t both[2] = {first, second};
    queue(p, both, sizeof(both));
}

static void queue_reply(struct socks_proto *p, unsigned code)
{
    uint8_t reply[SOCKS_MESSAGE_MAX] = {0};
    size_t n = p->is4 ? SOCKS_REPLY4_LEN : socks_put_reply(reply, (uint8_t)code, NULL);
    if (p->is4) {
        reply[1] = code == SOCKS_REPLY_OK ? SOCKS_GRANTED4 : SOCKS_REJECTED4;
    }
    p->code = (uint8_t)code;
    queue(p, reply, n);
}

/* --- the client ------------------------------------------------------------------------------- */

void socks_proto_client(struct socks_proto *p, const struct socks_ask *ask)
{
    const struct socks_login *l = ask->login;
    memset(p, 0, sizeof(*p));
    p->state = SOCKS_AWAIT_CHOICE;
    p->command = ask->command;
    p->code = UINT8_MAX;
    p->none_offered = !l || !ask->login_only;
    size_t n = socks_put_greeting(p->out, p->none_offered, l != NULL);
    p->out_end = (uint16_t)n;
    p->login_at = (uint16_t)n;
    n += l ? socks_put_login(p->out + n, l) : 0;
    p->request_at = (uint16_t)n;
    n += socks_put_request(p->out + n, ask->command, &ask->addr);
    p->out_held = (uint16_t)n;
    p->pipeline = ask->pipeline;
    if (ask->pipeline && !l) {
        p->out_end = p->out_held;
    }
}

static int on_choice(struct socks_proto *p, struct nk_diag *diag)
{
    uint8_t method = p->in[1];
    bool has_login = p->request_at > p->login_at;
    if (method == SOCKS_METHOD_LOGIN && has_login) {
        p->out_end = p->pipeline ? p->out_held : p->request_at;
        set_state(p, SOCKS_AWAIT_STATUS);
        return 0;
    }
    if (method == SOCKS_METHOD_NONE && p->none_offered) {
        if (has_login) { /* never sent before the choice; now it never is */
            p->out_at = p->request_at;
        }
        p->out_end = p->out_held;
        set_state(p, SOCKS_AWAIT_REPLY);
        return 0;
    }
    fail(p);
    if (method == SOCKS_METHOD_REFUSED) {
        return nk_fail(diag, NK_EAUTH, "the SOCKS server %s",
                       has_login ? "takes no user name and password" : "wants a login");
    }
    return nk_fail(diag, NK_EPROTO, "the SOCKS server chose method %u, which was not offered",
                   method);
}

static int on_status(struct socks_proto *p, struct nk_diag *diag)
{
    if (p->in[1] != 0) {
        fail(p);
        return nk_fail(diag, NK_EAUTH, "the SOCKS server refused user name or password");
    }
    p->out_end = p->out_held;
    set_state(p, SOCKS_AWAIT_REPLY);
    return 0;
}

static int on_reply(struct socks_proto *p, struct nk_diag *diag)
{
    uint8_t code;
    int rc = socks_parse_reply(p->in, p->have, &code, &p->addr);
    if (rc < 0 && p->in[1] == SOCKS_REPLY_OK) {
        fail(p);
        return nk_fail(diag, NK_EPROTO, "the SOCKS server's reply is malformed");
    }
    code = p->in[1]; /* a refusal counts whatever address it names */
    p->code = code;
    set_state(p, code == SOCKS_REPLY_OK ? SOCKS_OPEN : SOCKS_FAILED);
    if (code == SOCKS_REPLY_OK) {
        return 0;
    }
    nk_fail(diag, socks_reply_error(code), "%s (SOCKS reply %02X)", socks_reply_text(code), code);
    if (code == SOCKS_REPLY_HS_AUTH_MISSING) {
        nk_hint(diag, "'netkit hsc generate-key' makes a key, whose public half its owner lets in; "
                      "one that you were given: 'netkit hsc import' or 'onion auth add'");
    } else if (code == SOCKS_REPLY_HS_AUTH_WRONG) {
        nk_hint(diag, "its owner does not let this key in (any more); 'netkit onion auth list' "
                      "shows it");
    }
    return socks_reply_error(code);
}

/* --- the server ------------------------------------------------------------------------------- */

void socks_proto_server(struct socks_proto *p, bool takes4, const struct nk_secret *need)
{
    memset(p, 0, sizeof(*p));
    p->takes4 = takes4 && !need;
    p->need = need;
    p->state = SOCKS_AWAIT_GREETING;
    p->code = UINT8_MAX;
}

/* A first byte that is not 5: say in words what the client seems to be. */
static int foreign(struct socks_proto *p, uint8_t first, struct nk_diag *diag)
{
    fail(p);
    if (first == 4) {
        queue(p, socks4_no, sizeof(socks4_no));
        nk_fail(diag, NK_EPROTO, "the client speaks SOCKS 4, which cannot carry every name");
        nk_hint(diag, "set it to SOCKS 5 with names resolved by the proxy (socks5h://)");
    } else if (first >= 'A' && first <= 'Z') {
        queue(p, http_no, sizeof(http_no) - 1);
        nk_fail(diag, NK_EPROTO, "the client speaks HTTP, and this is a SOCKS5 port");
        nk_hint(diag, "set it as SOCKS proxy (socks5h://), not as HTTP proxy");
    } else if (first == 0x16) {
        nk_fail(diag, NK_EPROTO, "the client speaks TLS, and this is a SOCKS5 port");
    } else {
        nk_fail(diag, NK_EPROTO, "the client does not speak SOCKS 5 (first byte %02x)", first);
    }
    return NK_EPROTO;
}

static int on_greeting(struct socks_proto *p, struct nk_diag *diag)
{
    bool none = false, login = false;
    if (socks_parse_greeting(p->in, p->have, &none, &login) < 0 || (!none && !login) ||
        (p->need && !login)) {
        fail(p);
        queue_pair(p, SOCKS_VERSION, SOCKS_METHOD_REFUSED);
        return nk_fail(diag, NK_EPROTO, "the client offers no method of login that is %s here",
                       p->need ? "good" : "known");
    }
    /* who can give a name wants to be kept apart by it */
    queue_pair(p, SOCKS_VERSION, login ? SOCKS_METHOD_LOGIN : SOCKS_METHOD_NONE);
    set_state(p, login ? SOCKS_AWAIT_LOGIN : SOCKS_AWAIT_REQUEST);
    return 0;
}

static void keep_login(struct socks_proto *p, const struct socks_login *l)
{
    p->logged_in = true;
    p->user_len = l->user_len;
    p->password_len = l->password_len;
    memcpy(p->user, l->user, l->user_len);
    memcpy(p->password, l->password, l->password_len);
}

/* Is the login the one that is needed, if one is? */
static bool is_needed(const struct socks_proto *p)
{
    uint8_t both[2 * SOCKS_TEXT_MAX + 1];
    size_t n = (size_t)p->user_len + 1 + p->password_len;
    memcpy(both, p->user, p->user_len);
    both[p->user_len] = ':';
    memcpy(both + p->user_len + 1, p->password, p->password_len);
    bool right = !p->need || nk_secret_eq(p->need, both, n);
    nk_wipe(both, sizeof(both));
    return right;
}

static int on_login(struct socks_proto *p, struct nk_diag *diag)
{
    struct socks_login l;
    if (socks_parse_login(p->in, p->have, &l) < 0) {
        fail(p);
        return nk_fail(diag, NK_EPROTO, "the client's login is malformed");
    }
    keep_login(p, &l);
    nk_wipe(p->in, sizeof(p->in));
    if (!is_needed(p)) {
        fail(p);
        queue_pair(p, SOCKS_LOGIN_VERSION, 1);
        return nk_fail(diag, NK_EAUTH, "the client's user name or password is wrong");
    }
    queue_pair(p, SOCKS_LOGIN_VERSION, 0);
    set_state(p, SOCKS_AWAIT_REQUEST);
    return 0;
}

static int refuse(struct socks_proto *p, unsigned code)
{
    fail(p);
    queue_reply(p, code);
    return NK_EPROTO;
}

static int on_request(struct socks_proto *p, struct nk_diag *diag)
{
    struct socks_login l = {0};
    int rc = p->is4 ? socks_parse_request4(p->in, p->have, &p->command, &p->addr, &l)
                    : socks_parse_request(p->in, p->have, &p->command, &p->addr);
    if (rc == 0 && l.user_len > 0) {
        l.password = l.user; /* of length 0 */
        keep_login(p, &l);
    }
    if (rc == NK_EUNSUPPORTED) {
        refuse(p, SOCKS_REPLY_ADDRESS);
        return nk_fail(diag, NK_EPROTO, "the client asks for an unknown type of address");
    }
    if (rc < 0) {
        refuse(p, SOCKS_REPLY_FAILURE);
        return nk_fail(diag, NK_EPROTO, "the client's request is malformed");
    }
    if (p->command != SOCKS_CONNECT) {
        refuse(p, SOCKS_REPLY_COMMAND);
        return nk_fail(diag, NK_EUNSUPPORTED, "the client asks for %s, which is not offered",
                       p->command == SOCKS_BIND  ? "BIND"
                       : p->command == SOCKS_UDP ? "UDP ASSOCIATE"
                                                 : "a command other than CONNECT");
    }
    set_state(p, SOCKS_AWAIT_ANSWER);
    return 0;
}

void socks_proto_answer(struct socks_proto *p, unsigned code)
{
    queue_reply(p, code);
    set_state(p, code == SOCKS_REPLY_OK ? SOCKS_OPEN : SOCKS_FAILED);
}

/* --- receiving -------------------------------------------------------------------------------- */

uint8_t *socks_proto_room(struct socks_proto *p, size_t *n)
{
    bool none = p->state >= SOCKS_AWAIT_ANSWER;
    *n = none ? 0 : socks_want(awaited(p), p->in, p->have) - p->have;
    return p->in + p->have;
}

static int take(struct socks_proto *p, struct nk_diag *diag)
{
    switch (p->state) {
    case SOCKS_AWAIT_CHOICE:
        return on_choice(p, diag);
    case SOCKS_AWAIT_STATUS:
        return on_status(p, diag);
    case SOCKS_AWAIT_REPLY:
        return on_reply(p, diag);
    case SOCKS_AWAIT_GREETING:
        return on_greeting(p, diag);
    case SOCKS_AWAIT_LOGIN:
        return on_login(p, diag);
    default:
        return on_request(p, diag);
    }
}

int socks_proto_got(struct socks_proto *p, size_t n, struct nk_diag *diag)
{
    if (p->state >= SOCKS_AWAIT_ANSWER || n == 0) {
        return 0;
    }
    p->have = (uint16_t)(p->have + n);
    if (p->state == SOCKS_AWAIT_GREETING && p->takes4 && p->in[0] == SOCKS_VERSION4) {
        p->is4 = true;
        p->state = SOCKS_AWAIT_REQUEST4;
    }
    if (!socks_head_ok(awaited(p), p->in[0])) {
        if (p->state == SOCKS_AWAIT_GREETING) {
            return foreign(p, p->in[0], diag);
        }
        bool server = p->state == SOCKS_AWAIT_LOGIN || p->state == SOCKS_AWAIT_REQUEST;
        fail(p);
        return nk_fail(diag, NK_EPROTO, "the SOCKS %s does not speak version 5",
                       server ? "client" : "server");
    }
    return p->have >= socks_want(awaited(p), p->in, p->have) ? take(p, diag) : 0;
}

void socks_proto_clear(struct socks_proto *p)
{
    nk_wipe(p, sizeof(*p));
}
