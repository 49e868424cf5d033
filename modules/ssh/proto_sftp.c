/* SPDX-License-Identifier: MIT */
#include "ssh/proto_sftp.h"

#include <inttypes.h>
#include <string.h>

enum {
    VERSION = 3,
    LENGTH_SIZE = 4,
    HEAD = LENGTH_SIZE + 1 + 4, /* length, type, id */
    TAIL_MAX = 4 + SSH_SFTP_ATTRS_MAX,
    STRINGS_MAX = 3,
    ID_SLOT_BITS = 8, /* of an id: the slot; above: its use */
    NO_SLOT = 0xffff
};
_Static_assert(1 << ID_SLOT_BITS == SSH_SFTP_SLOTS, "an id has the number of its slot");

/* A request besides its id: strings, then integers and attributes. */
struct request {
    enum ssh_fxp type, answer; /* answer: what comes for it besides STATUS */
    struct ssh_str string[STRINGS_MAX];
    uint8_t tail[TAIL_MAX];
    size_t tail_n;
    uint64_t offset;
    size_t asked;
};

static struct ssh_str text(const char *s)
{
    return (struct ssh_str){.p = (const uint8_t *)s, .n = strlen(s)};
}

static struct ssh_str handle_str(const struct ssh_sftp_handle *h)
{
    return (struct ssh_str){.p = h->bytes, .n = h->n};
}

/* Room for a packet of so many bytes, and a slot for its reply. */
static int admit(struct ssh_sftp *s, size_t size, uint8_t **room)
{
    if (s->state != SSH_SFTP_READY) {
        return NK_ECLOSED;
    }
    if (size > SSH_SFTP_PACKET_MAX) {
        return NK_ETOOBIG;
    }
    if (s->free == NO_SLOT) {
        return NK_EAGAIN;
    }
    int rc = nk_buf_reserve(&s->out, size, room);
    return rc == NK_ETOOBIG ? NK_EAGAIN : rc;
}

/* Take the free slot that admit saw. */
static uint32_t take_slot(struct ssh_sftp *s, const struct request *r, struct ssh_sftp_for whom)
{
    uint16_t index = s->free;
    struct ssh_sftp_slot *slot = &s->slot[index];
    s->free = slot->next_free;
    s->busy++;
    slot->whom = whom;
    slot->offset = r->offset;
    slot->asked = (uint32_t)r->asked;
    slot->type = (uint8_t)r->answer;
    slot->id = (s->generation++ << ID_SLOT_BITS) | index;
    return slot->id;
}

static uint8_t *put_head(uint8_t *p, size_t size, enum ssh_fxp type, uint32_t id)
{
    p = ssh_sftp_put32(p, (uint32_t)(size - LENGTH_SIZE));
    *p++ = (uint8_t)type;
    return ssh_sftp_put32(p, id);
}

static uint8_t *put_string(uint8_t *p, struct ssh_str s)
{
    p = ssh_sftp_put32(p, (uint32_t)s.n);
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    return p + s.n;
}

static int request(struct ssh_sftp *s, const struct request *r, struct ssh_sftp_for whom)
{
    size_t size = HEAD + r->tail_n;
    uint8_t *p;
    for (size_t i = 0; i < STRINGS_MAX && r->string[i].p; i++) {
        if (r->string[i].n > SSH_SFTP_PACKET_MAX) {
            return NK_ETOOBIG;
        }
        size += LENGTH_SIZE + r->string[i].n;
    }
    int rc = admit(s, size, &p);
    if (rc < 0) {
        return rc;
    }
    p = put_head(p, size, r->type, take_slot(s, r, whom));
    for (size_t i = 0; i < STRINGS_MAX && r->string[i].p; i++) {
        p = put_string(p, r->string[i]);
    }
    memcpy(p, r->tail, r->tail_n);
    nk_buf_commit(&s->out, size);
    return 0;
}

int ssh_sftp_path(struct ssh_sftp *s, enum ssh_fxp what, const char *path, struct ssh_sftp_for whom)
{
    struct request r = {.type = what, .answer = SSH_FXP_STATUS, .string = {text(path)}};
    switch ((int)what) {
    case SSH_FXP_STAT:
    case SSH_FXP_LSTAT:
        r.answer = SSH_FXP_ATTRS;
        break;
    case SSH_FXP_OPENDIR:
        r.answer = SSH_FXP_HANDLE;
        break;
    case SSH_FXP_REALPATH:
    case SSH_FXP_READLINK:
        r.answer = SSH_FXP_NAME;
        break;
    default:
        break;
    }
    return request(s, &r, whom);
}

int ssh_sftp_of(struct ssh_sftp *s, enum ssh_fxp what, const struct ssh_sftp_handle *h,
                struct ssh_sftp_for whom)
{
    struct request r = {.type = what, .answer = SSH_FXP_STATUS, .string = {handle_str(h)}};
    if (what == SSH_FXP_READDIR) {
        r.answer = SSH_FXP_NAME;
    } else if (what == SSH_FXP_FSTAT) {
        r.answer = SSH_FXP_ATTRS;
    } else if (what == SSH_FXP_EXTENDED) {
        if (!s->fsync) {
            return NK_EUNSUPPORTED;
        }
        r.string[0] = text("fsync@openssh.com");
        r.string[1] = handle_str(h);
    }
    return request(s, &r, whom);
}

int ssh_sftp_open(struct ssh_sftp *s, const char *path, uint32_t flags,
                  const struct ssh_sftp_attrs *a, struct ssh_sftp_for whom)
{
    struct request r = {.type = SSH_FXP_OPEN, .answer = SSH_FXP_HANDLE, .string = {text(path)}};
    uint8_t *p = ssh_sftp_put32(r.tail, flags);
    r.tail_n = (size_t)(p - r.tail) + ssh_sftp_put_attrs(p, a);
    return request(s, &r, whom);
}

int ssh_sftp_set(struct ssh_sftp *s, enum ssh_fxp what, const char *path,
                 const struct ssh_sftp_attrs *a, struct ssh_sftp_for whom)
{
    struct request r = {.type = what, .answer = SSH_FXP_STATUS, .string = {text(path)}};
    r.tail_n = ssh_sftp_put_attrs(r.tail, a);
    return request(s, &r, whom);
}

int ssh_sftp_rename(struct ssh_sftp *s, const char *from, const char *to, struct ssh_sftp_for whom)
{
    struct request r = {
        .type = SSH_FXP_RENAME, .answer = SSH_FXP_STATUS, .string = {text(from), text(to)}};
    if (s->posix_rename) {
        r.type = SSH_FXP_EXTENDED;
        r.string[2] = r.string[1];
        r.string[1] = r.string[0];
        r.string[0] = text("posix-rename@openssh.com");
    }
    return request(s, &r, whom);
}

int ssh_sftp_read(struct ssh_sftp *s, const struct ssh_sftp_handle *h, uint64_t offset, size_t n,
                  struct ssh_sftp_for whom)
{
    struct request r = {.type = SSH_FXP_READ,
                        .answer = SSH_FXP_DATA,
                        .string = {handle_str(h)},
                        .offset = offset,
                        .asked = n};
    if (n == 0 || n > s->read_max) {
        return NK_ETOOBIG;
    }
    uint8_t *p = ssh_sftp_put32(ssh_sftp_put64(r.tail, offset), (uint32_t)n);
    r.tail_n = (size_t)(p - r.tail);
    return request(s, &r, whom);
}

/* A WRITE without its data. */
static size_t write_head(const struct ssh_sftp_handle *h)
{
    return HEAD + LENGTH_SIZE + (size_t)h->n + sizeof(uint64_t) + LENGTH_SIZE;
}

int ssh_sftp_write_begin(struct ssh_sftp *s, const struct ssh_sftp_handle *h, size_t n,
                         uint8_t **data)
{
    uint8_t *p;
    if (n == 0 || n > s->write_max) {
        return NK_ETOOBIG;
    }
    int rc = admit(s, write_head(h) + n, &p);
    if (rc == 0) {
        *data = p + write_head(h);
    }
    return rc;
}

void ssh_sftp_write_end(struct ssh_sftp *s, const struct ssh_sftp_handle *h, uint64_t offset,
                        uint8_t *data, size_t n, struct ssh_sftp_for whom)
{
    struct request r = {.answer = SSH_FXP_STATUS, .offset = offset, .asked = n};
    size_t size = write_head(h) + n;
    uint8_t *p = put_head(data - write_head(h), size, SSH_FXP_WRITE, take_slot(s, &r, whom));
    p = ssh_sftp_put64(put_string(p, handle_str(h)), offset);
    (void)ssh_sftp_put32(p, (uint32_t)n);
    nk_buf_commit(&s->out, size);
}

/* ---- replies -------------------------------------------------------------------------------- */

/* Section 7; what is not named there is a failure. */
static int status_code(uint32_t status)
{
    static const int codes[] = {
        [SSH_FX_OK] = 0,
        [SSH_FX_EOF] = NK_ECLOSED,
        [SSH_FX_NO_SUCH_FILE] = -ENOENT,
        [SSH_FX_PERMISSION_DENIED] = -EACCES,
        [SSH_FX_FAILURE] = -EIO,
        [SSH_FX_BAD_MESSAGE] = NK_EPROTO,
        [SSH_FX_NO_CONNECTION] = NK_ECLOSED,
        [SSH_FX_CONNECTION_LOST] = NK_ECLOSED,
        [SSH_FX_OP_UNSUPPORTED] = NK_EUNSUPPORTED,
    };
    return status < sizeof(codes) / sizeof(codes[0]) ? codes[status] : -EIO;
}

bool ssh_sftp_next_name(struct nk_cur *names, struct ssh_str *name, struct ssh_sftp_attrs *a)
{
    if (names->failed || nk_cur_left(names) == 0) {
        return false;
    }
    *name = ssh_cur_string(names);
    (void)ssh_cur_string(names); /* a line as of ls -l, of any form */
    struct ssh_sftp_attrs attrs = ssh_cur_attrs(names);
    if (a) {
        *a = attrs;
    }
    return !names->failed;
}

/* As many names as were announced, to the end of the packet. */
static struct nk_cur read_names(struct nk_cur *c)
{
    uint32_t count = nk_cur_be32(c);
    struct nk_cur names = *c;
    struct ssh_str name;
    while (!c->failed && nk_cur_left(c) > 0 && count > 0) {
        (void)ssh_sftp_next_name(c, &name, NULL);
        count--;
    }
    if (count > 0) {
        nk_cur_fail(c);
    }
    return names;
}

static void read_limits(struct ssh_sftp *s, struct nk_cur *c)
{
    uint64_t packet = nk_cur_be64(c), read_max = nk_cur_be64(c), write_max = nk_cur_be64(c);
    (void)nk_cur_be64(c); /* open handles: a few are enough */
    (void)packet;         /* is not less than what a WRITE of write_max bytes takes */
    if (c->failed) {
        return;
    }
    /* 0: the server has no limit of its own, or does not know it */
    s->read_max = read_max == 0 ? s->read_max : (size_t)read_max;
    s->write_max = write_max == 0 ? s->write_max : (size_t)write_max;
    if (read_max > SSH_SFTP_DATA_MAX) {
        s->read_max = SSH_SFTP_DATA_MAX;
    }
    if (write_max > SSH_SFTP_DATA_MAX) {
        s->write_max = SSH_SFTP_DATA_MAX;
    }
}

/* What is in the reply, of a type that the request waits for; fails with c. */
static void read_reply(struct nk_cur *c, enum ssh_fxp type, const struct ssh_sftp_slot *slot,
                       struct ssh_sftp_reply *r)
{
    struct ssh_str s;
    switch ((int)type) {
    case SSH_FXP_STATUS:
        r->status = nk_cur_be32(c);
        r->rc = status_code(r->status);
        if (!c->failed && nk_cur_left(c) > 0) { /* older servers send the number alone */
            r->message = ssh_cur_string(c);
        }
        if (!c->failed && nk_cur_left(c) > 0) {
            (void)ssh_cur_string(c); /* language */
        }
        if (r->status == SSH_FX_OK && slot->type != SSH_FXP_STATUS) {
            nk_cur_fail(c); /* all is well, but what was asked for is not there */
        }
        break;
    case SSH_FXP_HANDLE:
        s = ssh_cur_string(c);
        if (s.n > SSH_SFTP_HANDLE_MAX) {
            nk_cur_fail(c);
        } else if (s.p) {
            r->handle.n = (uint16_t)s.n;
            memcpy(r->handle.bytes, s.p, s.n);
        }
        break;
    case SSH_FXP_DATA:
        r->data = ssh_cur_string(c);
        if (r->data.n == 0 || r->data.n > slot->asked) {
            nk_cur_fail(c);
        }
        break;
    case SSH_FXP_NAME:
        r->names = read_names(c);
        break;
    default:
        r->attrs = ssh_cur_attrs(c);
        break;
    }
}

static int refuse(struct nk_diag *diag, const char *what, unsigned type)
{
    return nk_fail(diag, NK_EPROTO, "the SFTP server %s (packet type %u)", what, type);
}

/* A slot that waits for this id, or NULL. */
static struct ssh_sftp_slot *waiting(struct ssh_sftp *s, uint32_t id)
{
    struct ssh_sftp_slot *slot = &s->slot[id & (SSH_SFTP_SLOTS - 1)];
    return slot->whom.fn && slot->id == id ? slot : NULL;
}

static int take_reply(struct ssh_sftp *s, enum ssh_fxp type, struct nk_cur *c, struct nk_diag *diag)
{
    struct ssh_sftp_slot *slot = waiting(s, nk_cur_be32(c));
    struct ssh_sftp_reply r = {0};
    if (c->failed || !slot) {
        return refuse(diag, "answered what was not asked", type);
    }
    if (type != SSH_FXP_STATUS && type != (enum ssh_fxp)slot->type) {
        return refuse(diag, "gave an answer of the wrong kind", type);
    }
    if (type == SSH_FXP_EXTENDED_REPLY) {
        read_limits(s, c);
        nk_cur_bytes(c, nk_cur_left(c)); /* later versions may add something */
    } else {
        r.offset = slot->offset;
        r.asked = slot->asked;
        read_reply(c, type, slot, &r);
    }
    if (!nk_cur_done(c)) {
        return refuse(diag, "sent a malformed reply", type);
    }
    struct ssh_sftp_for whom = slot->whom;
    slot->whom.fn = NULL;
    slot->next_free = s->free;
    s->free = (uint16_t)(slot - s->slot);
    s->busy--;
    whom.fn(whom.owner, &r);
    return 0;
}

static void limits_came(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_sftp *s = owner;
    (void)r; /* a server that refuses has the limits of the specification */
    s->state = SSH_SFTP_READY;
    s->ready(s->owner);
}

/* Extensions are pairs of a name and what the server says about it: a version, for these. */
static void read_extensions(struct ssh_sftp *s, struct nk_cur *c)
{
    while (!c->failed && nk_cur_left(c) > 0) {
        struct ssh_str name = ssh_cur_string(c), data = ssh_cur_string(c);
        bool one = ssh_str_is(data, "1");
        s->posix_rename |= one && ssh_str_is(name, "posix-rename@openssh.com");
        s->fsync |= one && ssh_str_is(name, "fsync@openssh.com");
        s->limits |= one && ssh_str_is(name, "limits@openssh.com");
    }
}

static int take_version(struct ssh_sftp *s, enum ssh_fxp type, struct nk_cur *c,
                        struct nk_diag *diag)
{
    uint32_t version = nk_cur_be32(c);
    if (type != SSH_FXP_VERSION || c->failed || version > VERSION) {
        return refuse(diag, "did not begin with its version", type);
    }
    if (version < VERSION) {
        return nk_fail(diag, NK_EVERSION, "the SFTP server has version %" PRIu32 ", 3 is needed",
                       version);
    }
    read_extensions(s, c);
    if (!nk_cur_done(c)) {
        return refuse(diag, "sent malformed extensions", type);
    }
    s->state = SSH_SFTP_READY;
    if (s->limits) {
        const struct request r = {.type = SSH_FXP_EXTENDED,
                                  .answer = SSH_FXP_EXTENDED_REPLY,
                                  .string = {text("limits@openssh.com")}};
        int rc = request(s, &r, (struct ssh_sftp_for){.fn = limits_came, .owner = s});
        s->state = SSH_SFTP_LIMITS;
        return rc;
    }
    s->ready(s->owner);
    return 0;
}

static int take_packet(struct ssh_sftp *s, const uint8_t *p, size_t n, struct nk_diag *diag)
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    enum ssh_fxp type = nk_cur_u8(&c);
    return s->state == SSH_SFTP_NEW ? take_version(s, type, &c, diag)
                                    : take_reply(s, type, &c, diag);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

/* The packet that begins at p, of which n bytes are there: its size with the length, 0 when that is
 * not known yet. */
static int packet_size(const uint8_t *p, size_t n, size_t *size, struct nk_diag *diag)
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    size_t length = nk_cur_be32(&c);
    *size = 0;
    if (c.failed) {
        return 0;
    }
    if (length < HEAD - LENGTH_SIZE || length > SSH_SFTP_PACKET_MAX) {
        return nk_fail(diag, NK_EPROTO,
                       "the SFTP server sent a packet of %zu bytes; %d to %zu are allowed", length,
                       HEAD - LENGTH_SIZE, SSH_SFTP_PACKET_MAX);
    }
    *size = LENGTH_SIZE + length;
    return 0;
}

/* Complete the packet that is in `in`, by *n bytes at *p at most. */
static int feed_rest(struct ssh_sftp *s, const uint8_t **p, size_t *n, struct nk_diag *diag)
{
    size_t size, have = nk_buf_len(&s->in);
    int rc = packet_size(nk_buf_ptr(&s->in), have, &size, diag);
    if (rc < 0) {
        return rc;
    }
    size_t take = (size > 0 ? size : (size_t)LENGTH_SIZE) - have;
    take = take < *n ? take : *n;
    rc = nk_buf_put(&s->in, *p, take);
    if (rc < 0) {
        return nk_fail(diag, rc, "SFTP: %s", nk_strerror(rc));
    }
    *p += take;
    *n -= take;
    rc = packet_size(nk_buf_ptr(&s->in), nk_buf_len(&s->in), &size, diag);
    if (rc == 0 && size > 0 && nk_buf_len(&s->in) == size) {
        rc = take_packet(s, nk_buf_ptr(&s->in) + LENGTH_SIZE, size - LENGTH_SIZE, diag);
        nk_buf_reset(&s->in);
    }
    return rc;
}

int ssh_sftp_feed(struct ssh_sftp *s, const uint8_t *p, size_t n, struct nk_diag *diag)
{
    int rc = s->state == SSH_SFTP_OVER ? NK_ECLOSED : 0;
    while (rc == 0 && n > 0) {
        size_t size = 0;
        if (nk_buf_len(&s->in) == 0) {
            rc = packet_size(p, n, &size, diag);
        }
        if (rc == 0 && size > 0 && size <= n) {
            rc = take_packet(s, p + LENGTH_SIZE, size - LENGTH_SIZE, diag); /* where it is */
            p += size;
            n -= size;
        } else if (rc == 0) {
            rc = feed_rest(s, &p, &n, diag);
        }
    }
    if (rc < 0) {
        s->state = SSH_SFTP_OVER;
    }
    return rc;
}

int ssh_sftp_init(struct ssh_sftp *s, void (*ready)(void *owner), void *owner)
{
    uint8_t hello[] = {0, 0, 0, 5, SSH_FXP_INIT, 0, 0, 0, VERSION};
    memset(s, 0, sizeof(*s));
    s->ready = ready;
    s->owner = owner;
    s->read_max = s->write_max = SSH_SFTP_DATA_DEFAULT;
    nk_buf_init(&s->out, SSH_SFTP_OUT_MAX);
    nk_buf_init(&s->in, LENGTH_SIZE + SSH_SFTP_PACKET_MAX);
    for (unsigned i = 0; i < SSH_SFTP_SLOTS; i++) {
        s->slot[i].next_free = i + 1 < SSH_SFTP_SLOTS ? (uint16_t)(i + 1) : NO_SLOT;
    }
    return nk_buf_put(&s->out, hello, sizeof(hello));
}

void ssh_sftp_clear(struct ssh_sftp *s)
{
    s->state = SSH_SFTP_OVER;
    nk_buf_clear(&s->out);
    nk_buf_clear(&s->in);
}

int ssh_sftp_explain(const struct ssh_sftp_reply *r, struct nk_diag *diag, const char *context,
                     const char *path)
{
    if (r->rc == 0) {
        return 0;
    }
    if (r->message.n == 0) {
        return nk_fail_sys(diag, r->rc, "%s: %s", context, path);
    }
    return nk_fail(diag, r->rc, "%s: %s: %.*s", context, path,
                   r->message.n < NK_DIAG_TEXT ? (int)r->message.n : NK_DIAG_TEXT,
                   (const char *)r->message.p);
}
