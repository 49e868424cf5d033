/* SPDX-License-Identifier: MIT */
/* Data of channels: windows in both directions (RFC 4254 5.2), and whose turn it is to write. */
#include <string.h>

#include "base/err.h"
#include "ssh/proto_channels_impl.h"

enum {
    HEAD = 1 + 4 + 4,      /* of CHANNEL_DATA: number, channel, length */
    OVERHEAD = 64,         /* of a packet, in what it takes of the room */
    PIECE = 4096,          /* less than this is not worth a packet while there is no more room */
    CREDIT_PART = 8,       /* the server is told when this part of the window was consumed */
    BEHIND_PART = 2,       /* a consumer that always has this part lying gets a smaller window */
    GROW_STEP = 64 * 1024, /* windows grow in multiples */
    /* What a window holds in the shortest round trip that was seen, so many times. A window that
     * holds the server back is measured a round after it grew, and comes round once in that time
     * and whatever both ends and the queues between them take on top of it. While that is not more
     * than once again, it still doubles in each round. */
    REACH = 8
};

/* --- whose turn ------------------------------------------------------------------------------- */

void ssh_ring_leave(struct ssh_channel *ch)
{
    struct ssh_channels *c = ch->set;
    if (!ch->waiting) {
        return;
    }
    if (c->head == ch) {
        c->head = ch->next;
    } else {
        ch->prev->next = ch->next;
    }
    if (c->tail == ch) {
        c->tail = ch->prev;
    } else {
        ch->next->prev = ch->prev;
    }
    ch->prev = ch->next = NULL;
    ch->waiting = false;
}

/* first: a channel that has not written for a while, a keystroke perhaps, goes before bulk. */
static void ring_join(struct ssh_channel *ch, bool first)
{
    struct ssh_channels *c = ch->set;
    if (ch->waiting) {
        return;
    }
    ch->waiting = true;
    ch->prev = first ? NULL : c->tail;
    ch->next = first ? c->head : NULL;
    if (ch->prev) {
        ch->prev->next = ch;
    } else {
        c->head = ch;
    }
    if (ch->next) {
        ch->next->prev = ch;
    } else {
        c->tail = ch;
    }
}

static size_t room_of(const struct ssh_channels *c)
{
    return c->conf.room ? c->conf.room(c->conf.owner) : SIZE_MAX;
}

static void writable(struct ssh_channel *ch)
{
    if (!ch->released && ch->ops && ch->ops->on_writable) {
        ch->ops->on_writable(ch->owner, ch);
    }
}

int ssh_channels_writable(struct ssh_channels *c, struct nk_diag *diag)
{
    while (c->head && !c->broken && !c->ended && room_of(c) >= PIECE + OVERHEAD) {
        struct ssh_channel *ch = c->head;
        uint32_t id = ch->id;
        ssh_ring_leave(ch);
        ch->turn = true;
        writable(ch);
        if (c->slots[id].ch == ch) {
            ch->turn = false;
        }
    }
    return c->broken ? nk_fail_sys(diag, c->broken, "cannot send a channel's data") : 0;
}

bool ssh_channels_waiting(const struct ssh_channels *c)
{
    return c->head != NULL;
}

/* --- out -------------------------------------------------------------------------------------- */

/* A place in an iovec. */
struct place {
    const struct iovec *iov;
    int n;
    size_t at;
};

static size_t left_of(const struct iovec *iov, int n)
{
    size_t sum = 0;
    for (int i = 0; i < n; i++) {
        sum += iov[i].iov_len;
    }
    return sum;
}

static void take(struct place *from, uint8_t *to, size_t n)
{
    while (n > 0) {
        size_t some = from->iov->iov_len - from->at;
        some = some < n ? some : n;
        if (some > 0) {
            memcpy(to, (const uint8_t *)from->iov->iov_base + from->at, some);
        }
        to += some;
        n -= some;
        from->at += some;
        if (from->at == from->iov->iov_len) {
            from->iov++;
            from->at = 0;
        }
    }
}

static int send_piece(struct ssh_channel *ch, struct place *from, size_t n)
{
    uint8_t *p, *at;
    int rc = ssh_channels_begin(ch->set, HEAD + n, &p);
    if (rc < 0) {
        return rc;
    }
    p[0] = SSH_MSG_CHANNEL_DATA;
    at = ssh_channels_u32(p + 1, ch->peer);
    at = ssh_channels_u32(at, (uint32_t)n);
    take(from, at, n);
    ssh_sink_end(ch->set->sink, p, HEAD + n);
    ch->out_window -= (uint32_t)n;
    return 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How much of n bytes may go in the next packet. 0: the channel waits, and it is noted for what. */
static size_t piece_of(struct ssh_channel *ch, size_t n)
{
    size_t packet = least(ch->out_packet, SSH_DATA_MAX);
    size_t room = room_of(ch->set);
    if (ch->out_window == 0) {
        ch->needs_window = true;
        return 0;
    }
    n = least(n, least(packet, ch->out_window));
    if (room < OVERHEAD + least(n, PIECE)) {
        ring_join(ch, false);
        return 0;
    }
    return least(n, room - OVERHEAD);
}

ssize_t ssh_channel_writev(struct ssh_channel *ch, const struct iovec *iov, int n)
{
    struct place from = {.iov = iov, .n = n};
    size_t total = left_of(iov, n), done = 0, quantum = SIZE_MAX;
    if (ch->state != SSH_CH_OPEN || ch->eof_sent || ch->close_sent) {
        return ch->set->ended ? NK_ECLOSED : -EPIPE;
    }
    if (ch->waiting || ch->needs_window || (ch->set->head && !ch->turn)) {
        if (!ch->needs_window) {
            ring_join(ch, true);
        }
        return NK_EAGAIN;
    }
    quantum = ch->set->head ? SSH_DATA_MAX : quantum; /* others wait too */
    while (done < total) {
        size_t some = done < quantum ? piece_of(ch, total - done) : 0;
        if (some == 0) {
            break;
        }
        int rc = send_piece(ch, &from, some);
        if (rc < 0) {
            return done > 0 ? (ssize_t)done : rc;
        }
        done += some;
    }
    if (done < total && !ch->needs_window) {
        ring_join(ch, false);
    }
    return done > 0 || total == 0 ? (ssize_t)done : NK_EAGAIN;
}

int ssh_window_give(struct ssh_channel *ch, struct nk_cur *c, struct nk_diag *diag)
{
    uint32_t more = nk_cur_be32(c);
    if (!nk_cur_done(c) || more > UINT32_MAX - ch->out_window) {
        return ssh_channels_wrong(diag, SSH_MSG_CHANNEL_WINDOW_ADJUST,
                                  "makes a window larger than there can be");
    }
    ch->out_window += more;
    if (!ch->needs_window || more == 0) {
        return 0;
    }
    ch->needs_window = false;
    if (ch->set->head || room_of(ch->set) < PIECE + OVERHEAD) {
        if (!ch->released) {
            ring_join(ch, false);
        }
        return 0;
    }
    writable(ch);
    return 0;
}

/* --- in --------------------------------------------------------------------------------------- */

void ssh_window_start(struct ssh_channel *ch)
{
    struct ssh_channels *c = ch->set;
    uint64_t total = c->conf.windows_total;
    uint64_t share = (total > c->windows ? total - c->windows : 0) / CREDIT_PART;
    share = share > SSH_WINDOW_LEAST ? share : SSH_WINDOW_LEAST;
    ch->in_size = share < c->conf.window_start ? (uint32_t)share : c->conf.window_start;
    ch->in_left = ch->in_size;
    c->windows += ch->in_size;
}

static void resize(struct ssh_channel *ch, uint32_t size)
{
    ch->set->windows += size;
    ch->set->windows -= ch->in_size;
    ch->in_size = size;
}

/* What the path holds at the rate at which the channel's bytes are consumed, REACH times; 0 until
 * the rate was seen for a round trip. */
static uint64_t wanted(struct ssh_channel *ch)
{
    const struct ssh_channels *c = ch->set;
    uint64_t passed = c->now_ms - ch->since_ms, bytes = ch->since_bytes;
    if (c->rtt_ms == 0 || passed == 0 || passed < c->rtt_ms) {
        return 0;
    }
    ch->since_ms = c->now_ms;
    ch->since_bytes = 0;
    return (REACH * bytes * c->rtt_ms / passed + GROW_STEP - 1) / GROW_STEP * GROW_STEP;
}

static void grow(struct ssh_channel *ch, uint64_t size)
{
    const struct ssh_channels *c = ch->set;
    uint64_t spare = c->conf.windows_total > c->windows ? c->conf.windows_total - c->windows : 0;
    size = size < ch->in_size + spare ? size : ch->in_size + spare;
    size = size < c->conf.window_max ? size : c->conf.window_max;
    if (size > ch->in_size) {
        ch->in_credit += (uint32_t)size - ch->in_size;
        resize(ch, (uint32_t)size);
    }
}

/* A window gets smaller when what was consumed is not given back. */
static void shrink(struct ssh_channel *ch, uint64_t size)
{
    uint32_t start = ch->set->conf.window_start;
    uint32_t to = size < ch->in_size ? (uint32_t)size : ch->in_size, by;
    to = to < start ? start : to;
    by = ch->in_size > to ? ch->in_size - to : 0;
    by = by < ch->in_credit ? by : ch->in_credit;
    ch->in_credit -= by;
    resize(ch, ch->in_size - by);
}

/* Once in a round trip. A consumer that has a part of the window lying about all the time does not
 * wait for the server: what its rate asks for is enough. */
static void adapt(struct ssh_channel *ch)
{
    ssh_channels_clock(ch->set);
    uint64_t size = wanted(ch);
    if (size == 0) {
        return;
    }
    if (ch->in_least > ch->in_size / BEHIND_PART) {
        shrink(ch, size);
    } else {
        grow(ch, size);
    }
    ch->in_least = ch->in_held;
}

int ssh_channel_consumed(struct ssh_channel *ch, size_t n)
{
    uint32_t some = n < ch->in_held ? (uint32_t)n : ch->in_held;
    ch->in_held -= some;
    ch->in_least = ch->in_held < ch->in_least ? ch->in_held : ch->in_least;
    ch->in_credit += some;
    ch->since_bytes += some;
    if (ch->in_credit < ch->in_size / CREDIT_PART || ch->eof_got || ch->close_sent ||
        ch->state != SSH_CH_OPEN) {
        return 0;
    }
    adapt(ch);
    const uint32_t v[] = {ch->peer, ch->in_credit};
    ch->in_left += ch->in_credit;
    ch->in_credit = 0;
    return v[1] == 0 ? 0 : ssh_channels_send(ch->set, SSH_MSG_CHANNEL_WINDOW_ADJUST, v, 2);
}

uint32_t ssh_channel_window(const struct ssh_channel *ch)
{
    return ch->in_size;
}

/* --- what is lent ------------------------------------------------------------------------------
 */

static void lend(struct ssh_channel *ch)
{
    if (!ch->lent && ch->ops->on_keep) {
        ch->lent = true;
        ch->lent_next = ch->set->lent;
        ch->set->lent = ch;
    }
}

void ssh_lent_leave(struct ssh_channel *ch)
{
    struct ssh_channel **at = &ch->set->lent;
    if (!ch->lent) {
        return;
    }
    while (*at != ch) {
        at = &(*at)->lent_next;
    }
    *at = ch->lent_next;
    ch->lent = false;
}

void ssh_channels_keep(struct ssh_channels *c)
{
    struct ssh_channel *ch;
    while ((ch = c->lent) != NULL) {
        ssh_lent_leave(ch);
        if (!ch->released && ch->ops && ch->ops->on_keep) {
            ch->ops->on_keep(ch->owner, ch);
        }
    }
}

int ssh_channel_data(struct ssh_channel *ch, uint8_t number, struct nk_cur *c, struct nk_diag *diag)
{
    uint32_t kind = number == SSH_MSG_CHANNEL_EXTENDED_DATA ? nk_cur_be32(c) : 0;
    struct ssh_str data = ssh_cur_string(c);
    bool zero = number == SSH_MSG_CHANNEL_EXTENDED_DATA && kind == 0; /* is not data's kind */
    if (!nk_cur_done(c) || zero) {
        return ssh_channels_wrong(diag, number, "is malformed");
    }
    if (data.n > ch->in_left || data.n > SSH_DATA_MAX || ch->eof_got) {
        return ssh_channels_wrong(diag, number,
                                  ch->eof_got ? "comes after its end" : "goes beyond its window");
    }
    ch->in_left -= (uint32_t)data.n;
    ch->in_held += (uint32_t)data.n;
    if (ch->released || data.n == 0) {
        return 0;
    }
    if (ch->ops && ch->ops->on_data) {
        lend(ch);
        ch->ops->on_data(ch->owner, ch, kind, data.p, data.n);
        return 0;
    }
    int rc = ssh_channel_consumed(ch, data.n);
    return rc < 0 ? nk_fail_sys(diag, rc, "cannot open a window") : 0;
}
