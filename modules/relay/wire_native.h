/* SPDX-License-Identifier: MIT */
/*
 * wire_native - the frames of `netkit-relay/1`, both directions, pure (README.md "The native
 * wire").
 *
 *     off 0  u8   type
 *     off 1  u24  length of the payload
 *     off 4  u32  group, 0 = the connection itself
 *     off 8  u56  seq
 *     off 15 u8   flags
 *
 * All numbers are little endian. A publish and the delivery of it have the same layout, and nothing
 * in a delivery depends on the connection that it goes to: the relay writes seq and flags in place
 * and sends the same bytes to everybody.
 *
 * Reading is in two steps. relay_native_head() judges the first 16 bytes (type, direction, flags,
 * length, group) before a byte of the payload is looked at or memory is asked for; the
 * relay_native_get_*() functions judge one whole payload, must consume it exactly and leave their
 * output untouched when they refuse it (NK_EPROTO). Pointers in their outputs are borrowed from the
 * payload. Writing: relay_native_put_*() writes one whole frame and returns its length; the
 * constants RELAY_NATIVE_*_MAX say how much room that takes at most.
 */
#ifndef NK_RELAY_WIRE_NATIVE_H
#define NK_RELAY_WIRE_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RELAY_NATIVE_ALPN "netkit-relay/1"
#define RELAY_NATIVE_MAGIC "netkit-relay" /* 12 bytes, without the NUL */
#define RELAY_NATIVE_VERSION 1

/* The stamp of tlspyo's HELLO that says: this relay also speaks the native wire ("nkr1" as the
 * bytes of a little-endian i32; a stock relay counts its stamps from 1). */
#define RELAY_NATIVE_STAMP 0x31726b6e

/* clang-format off */
#define RELAY_NATIVE_HEAD 16u
#define RELAY_NATIVE_FRAGMENT 262144u      /* longest payload of a frame */
#define RELAY_NATIVE_MORE_MIN 16384u       /* shortest payload of a fragment with MORE */
#define RELAY_NATIVE_GUEST 1024u           /* the same before login */
#define RELAY_NATIVE_NAME 1024u            /* longest name of a group */
#define RELAY_NATIVE_TEXT 255u             /* longest name of a peer */
#define RELAY_NATIVE_REASON 512u           /* longest text of OPENED and GOAWAY */
#define RELAY_NATIVE_ECHO 64u              /* longest payload of PING and PONG */
#define RELAY_NATIVE_LIST 4096u            /* most ranges or results in one frame */
#define RELAY_NATIVE_SEQ_MAX ((UINT64_C(1) << 56) - 1)
#define RELAY_NATIVE_DEAD UINT32_MAX       /* NACK: into the dead letters at once */
#define RELAY_NATIVE_ID 16u                /* bytes of a session's id */
#define RELAY_NATIVE_CANDIDATES 8u         /* most passwords valid at one time */

/* X(name, code, flags from the client, flags from the relay, shortest, longest payload, rules)
 * GROUP: the group must not be 0 (without it: must be); SEQ: seq means something (without it: must
 * be 0); NOTZERO: and must not be 0. */
#define RELAY_NATIVE_TYPES(X)                                                                      \
    X(HELLO,      0x01, 0x00, NO,   45,  45 + RELAY_NATIVE_TEXT,          0)                       \
    X(CHALLENGE,  0x02, NO,   0x01, 66,  66 + RELAY_NATIVE_TEXT,          0)                       \
    X(AUTH,       0x03, 0x00, 0x00, 1,   RELAY_NATIVE_GUEST,              SEQ)                     \
    X(WELCOME,    0x04, NO,   0x00, 41,  41 + RELAY_NATIVE_TEXT,          0)                       \
    X(OPEN,       0x05, 0x01, NO,   18,  17 + RELAY_NATIVE_NAME,          SEQ)                     \
    X(OPENED,     0x06, NO,   0x00, 28,  28 + RELAY_NATIVE_REASON,        ANYGROUP | SEQ)          \
    X(CLOSE,      0x07, 0x00, NO,   0,   0,                               GROUP)                   \
    X(BROADCAST,  0x10, 0x0f, 0x1f, 0,   RELAY_NATIVE_FRAGMENT,           GROUP | SEQ | NOTZERO)   \
    X(ITEM,       0x11, 0x0f, 0x2f, 0,   RELAY_NATIVE_FRAGMENT,           GROUP | SEQ | NOTZERO)   \
    X(CREDIT,     0x12, 0x00, NO,   8,   8,                               GROUP | SEQ)             \
    X(DRAIN,      0x13, 0x00, NO,   0,   0,                               GROUP | SEQ)             \
    X(DRAINED,    0x14, NO,   0x00, 0,   0,                               GROUP | SEQ)             \
    X(ACK,        0x15, 0x01, NO,   0,   RELAY_NATIVE_LIST * 12,          GROUP | SEQ)             \
    X(NACK,       0x16, 0x01, NO,   4,   4 + RELAY_NATIVE_LIST * 12,      GROUP | SEQ)             \
    X(EXTEND,     0x17, 0x01, NO,   4,   4 + RELAY_NATIVE_LIST * 12,      GROUP | SEQ)             \
    X(RECEIPT,    0x18, NO,   0x00, 0,   RELAY_NATIVE_LIST * 12,          GROUP | SEQ | NOTZERO)   \
    X(WINDOW,     0x19, NO,   0x00, 8,   8,                               GROUP)                   \
    X(DELIVERIES, 0x1a, NO,   0x00, 4,   4,                               GROUP | SEQ | NOTZERO)   \
    X(SETTLED,    0x1b, NO,   0x00, 4,   4,                               GROUP | SEQ)             \
    X(PURGE,      0x1c, 0x00, NO,   0,   0,                               GROUP | SEQ)             \
    X(PING,       0x1e, 0x00, 0x00, 0,   RELAY_NATIVE_ECHO,               0)                       \
    X(PONG,       0x1f, 0x00, 0x00, 0,   RELAY_NATIVE_ECHO,               0)                       \
    X(GOAWAY,     0x20, 0x00, 0x00, 4,   4 + RELAY_NATIVE_REASON,         0)
/* clang-format on */

enum relay_native_type {
#define RELAY_NATIVE_ENUM(name, code, c, r, min, max, rules) RELAY_N_##name = (code),
    RELAY_NATIVE_TYPES(RELAY_NATIVE_ENUM)
#undef RELAY_NATIVE_ENUM
};

/* Flags of objects. An object longer than RELAY_NATIVE_FRAGMENT is cut: all frames but the last say
 * MORE, and those after the first carry no other flag. Between the fragments of one object may
 * stand any frames except objects of the same group from the same side: within a group, objects
 * come one after the other. */
enum relay_native_flags {
    RELAY_N_MORE = 0x01,        /* another fragment of the same (group, seq) follows */
    RELAY_N_META = 0x02,        /* the object begins with metadata; first fragment only */
    RELAY_N_CONTENT = 0x0c,     /* enum relay_content << RELAY_N_CONTENT_SHIFT; the same */
    RELAY_N_RETAINED = 0x10,    /* delivery of a broadcast: it was kept, not live */
    RELAY_N_REDELIVERED = 0x20, /* delivery of an item: DELIVERIES says how often */
    /* of other frames */
    RELAY_N_MEMBER = 0x01,    /* OPEN: a member: broadcasts come, CREDIT and DRAIN are allowed */
    RELAY_N_LOGGED_IN = 0x01, /* CHALLENGE: no AUTH */
    RELAY_N_WANT = 0x01       /* ACK, NACK, EXTEND: answer with SETTLED */
};
#define RELAY_N_CONTENT_SHIFT 2

enum relay_content {
    RELAY_CONTENT_BYTES,
    RELAY_CONTENT_TEXT,
    RELAY_CONTENT_JSON,
    RELAY_CONTENT_PICKLE
};

/* Ways to log in, as a mask in CHALLENGE and as a number in AUTH. */
enum relay_native_method {
    RELAY_METHOD_PEER = 1,    /* nothing to prove: the uid of a unix peer, or no password is set */
    RELAY_METHOD_CERT = 2,    /* the client certificate of the TLS connection */
    RELAY_METHOD_KEY = 4,     /* an Ed25519 key */
    RELAY_METHOD_PASSWORD = 8 /* CPace */
};

/* Results on the wire: i32, 0 = done. They never change their meaning. */
#define RELAY_NATIVE_STATUSES(X)                                                                   \
    X(OK, 0, 0)                /* done */                                                          \
    X(DUPLICATE, 1, 1)         /* taken before: (producer, seq) is known */                        \
    X(DENIED, -1, NK_EAUTH)    /* no right to do that, or the group is not accepted here */        \
    X(FULL, -2, NK_ELIMIT)     /* max_count, max_groups, or a queue that takes no more */          \
    X(TOO_BIG, -3, NK_ETOOBIG) /* longer than max_object */                                        \
    X(EXPIRED, -4, -ETIMEDOUT) /* its time to live was over already */                             \
    X(NO_SPACE, -5, -ENOSPC)   /* the disk is full */                                              \
    X(UNKNOWN, -6, -ENOENT)    /* no such lease */                                                 \
    X(NO_MEMORY, -7, -ENOMEM)                                                                      \
    X(UNSUPPORTED, -8, NK_EUNSUPPORTED) /* this relay's engine cannot do that */                   \
    X(INVALID, -9, -EINVAL)                                                                        \
    X(STORE, -10, -EIO) /* the store failed; nothing is known about the object */

enum relay_native_status {
#define RELAY_NATIVE_ENUM(name, code, error) RELAY_STATUS_##name = (code),
    RELAY_NATIVE_STATUSES(RELAY_NATIVE_ENUM)
#undef RELAY_NATIVE_ENUM
};

/* relay_native_status - the wire's number for a result of ours (0, 1 = duplicate, an error; errors
 * without a number of their own are STORE). relay_native_error - the other way (unknown:
 * NK_EPROTO).
 */
int32_t relay_native_status(int rc);
int relay_native_error(int32_t status);

/* Why a connection ends. */
enum relay_goaway {
    RELAY_GOAWAY_DONE = 0,     /* the peer has finished */
    RELAY_GOAWAY_DRAIN = 1,    /* the relay ends or moves: finish, come back elsewhere or later */
    RELAY_GOAWAY_AUTH = 2,     /* login refused; do not try the same again */
    RELAY_GOAWAY_PROTOCOL = 3, /* a frame that is not allowed; the text names it */
    RELAY_GOAWAY_LIMIT = 4,    /* more than a limit allows */
    RELAY_GOAWAY_SLOW = 5,     /* it read too little for too long */
    RELAY_GOAWAY_TIMEOUT = 6,  /* no sign of life, or no login in time */
    RELAY_GOAWAY_KICKED = 7,   /* by an administrator */
    RELAY_GOAWAY_INTERNAL = 8, /* the sender's fault */
    RELAY_GOAWAY_RESUMED = 9   /* another connection has taken over the session */
};

/* --- frames ----------------------------------------------------------------------------------- */

enum relay_native_from { RELAY_FROM_CLIENT, RELAY_FROM_RELAY };

struct relay_native_head {
    uint8_t type, flags;
    uint32_t len, group;
    uint64_t seq;
};

/*
 * relay_native_head - look at the n bytes at p, where a frame from `from` begins. A wrong byte is
 * refused as soon as it is there: type, then length (max_len bounds the payload beyond the type's
 * own limit), then group, seq and flags. Returns
 *   1  the head is complete and legal: *h;
 *   0  more bytes are needed;
 *   NK_EPROTO (type unknown or not from this side; group, seq or flags wrong), NK_ETOOBIG (length).
 * *why, when not NULL, gets a static text with an error.
 */
int relay_native_head(const void *p, size_t n, enum relay_native_from from, uint32_t max_len,
                      struct relay_native_head *h, const char **why);

/* relay_native_put_head - write 16 bytes. The fields must be in range. */
void relay_native_put_head(uint8_t *out, const struct relay_native_head *h);

/* relay_native_type_name - "HELLO" .., or "?" */
const char *relay_native_type_name(uint8_t type);

/* A text that is borrowed and has no NUL. */
struct relay_text {
    const char *p;
    size_t len;
};

#define RELAY_NATIVE_HELLO_MAX (RELAY_NATIVE_HEAD + 45 + RELAY_NATIVE_TEXT)
struct relay_native_hello {
    uint8_t version_min, version_max; /* 1 <= min <= max */
    uint32_t features; /* none defined yet: bits the other does not know are ignored */
    uint8_t session[RELAY_NATIVE_ID]; /* zero: a new one */
    uint64_t producer;                /* id of its objects' producer, 0 = none: no deduplication */
    struct relay_text name;           /* what the client calls itself; <= RELAY_NATIVE_TEXT */
};
/* relay_native_put_hello, relay_native_get_hello - the client's greeting. */
size_t relay_native_put_hello(uint8_t *out, const struct relay_native_hello *v);
/* and back: 0 or NK_EPROTO. */
int relay_native_get_hello(const void *p, size_t n, struct relay_native_hello *v);

#define RELAY_NATIVE_CHALLENGE_MAX (RELAY_NATIVE_HEAD + 66 + RELAY_NATIVE_TEXT)
struct relay_native_challenge {
    uint8_t version, methods; /* methods: a mask of enum relay_native_method */
    uint32_t features;
    uint8_t nonce[32], salt[16];
    uint32_t argon2_kib, argon2_passes;
    uint8_t candidates; /* passwords valid at present, <= RELAY_NATIVE_CANDIDATES */
    bool logged_in;     /* no AUTH; WELCOME follows */
    struct relay_text name;
};
/* relay_native_put_challenge, relay_native_get_challenge - the relay's answer. */
size_t relay_native_put_challenge(uint8_t *out, const struct relay_native_challenge *v);
/* and back: 0 or NK_EPROTO. */
int relay_native_get_challenge(const struct relay_native_head *h, const void *p,
                               struct relay_native_challenge *v);

/* AUTH: method and its bytes; n <= RELAY_NATIVE_GUEST - 1. */
#define RELAY_NATIVE_AUTH_MAX (RELAY_NATIVE_HEAD + RELAY_NATIVE_GUEST)
size_t relay_native_put_auth(uint8_t *out, uint64_t step, uint8_t method, const void *p, size_t n);

#define RELAY_NATIVE_WELCOME_MAX (RELAY_NATIVE_HEAD + 41 + RELAY_NATIVE_TEXT)
struct relay_native_welcome {
    uint8_t session[RELAY_NATIVE_ID];
    bool resumed;
    uint32_t heartbeat_ms; /* the relay PINGs after so much silence, and hangs up after two more */
    uint32_t grace_ms;     /* how long the session waits for its client after a connection ended */
    uint64_t max_object;
    uint32_t max_open_groups;
    struct relay_text identity;
};
/* relay_native_put_welcome, relay_native_get_welcome - after login. */
size_t relay_native_put_welcome(uint8_t *out, const struct relay_native_welcome *v);
/* and back: 0 or NK_EPROTO. */
int relay_native_get_welcome(const void *p, size_t n, struct relay_native_welcome *v);

#define RELAY_NATIVE_OPEN_MAX (RELAY_NATIVE_HEAD + 17 + RELAY_NATIVE_NAME)
struct relay_native_open {
    uint64_t request;
    bool member;             /* broadcasts and the retained one are wanted */
    bool known;              /* epoch and version are of the last broadcast seen: no replay of it */
    uint64_t epoch, version; /* 0 unless known */
    struct relay_text name;  /* 1 .. RELAY_NATIVE_NAME bytes, any */
};
/* relay_native_put_open, relay_native_get_open - name a group. */
size_t relay_native_put_open(uint8_t *out, const struct relay_native_open *v);
/* and back: 0 or NK_EPROTO. */
int relay_native_get_open(const struct relay_native_head *h, const void *p,
                          struct relay_native_open *v);

#define RELAY_NATIVE_OPENED_MAX (RELAY_NATIVE_HEAD + 28 + RELAY_NATIVE_REASON)
struct relay_native_opened {
    uint64_t request;
    uint32_t group; /* 0 when status is not 0 */
    int32_t status;
    uint64_t window;         /* as in WINDOW */
    uint64_t epoch, version; /* of the group's last broadcast */
    struct relay_text text;  /* of a failure, else empty */
};
/* relay_native_put_opened, relay_native_get_opened - the answer to OPEN. */
size_t relay_native_put_opened(uint8_t *out, const struct relay_native_opened *v);
/* and back: 0 or NK_EPROTO. */
int relay_native_get_opened(const struct relay_native_head *h, const void *p,
                            struct relay_native_opened *v);

/* CLOSE (seq 0), DRAIN (seq = so many items at most, 0 = all), DRAINED (seq = items delivered so
 * far in this session). */
size_t relay_native_put_plain(uint8_t *out, enum relay_native_type type, uint32_t group,
                              uint64_t seq);

/* CREDIT (seq = absolute items, v = absolute bytes or 0), WINDOW (seq 0, v = absolute bytes). */
#define RELAY_NATIVE_U64_MAX (RELAY_NATIVE_HEAD + 8)
size_t relay_native_put_u64(uint8_t *out, enum relay_native_type type, uint32_t group, uint64_t seq,
                            uint64_t v);
uint64_t relay_native_get_u64(const void *p);

/* DELIVERIES (v = how often it was delivered before), SETTLED (v = status). */
#define RELAY_NATIVE_U32_MAX (RELAY_NATIVE_HEAD + 4)
size_t relay_native_put_u32(uint8_t *out, enum relay_native_type type, uint32_t group, uint64_t seq,
                            uint32_t v);
uint32_t relay_native_get_u32(const void *p);

/* ACK, NACK, EXTEND. */
struct relay_native_range {
    uint64_t first; /* 1 .. */
    uint32_t count; /* 1 .. */
};
struct relay_native_ranges {
    uint32_t ms;      /* NACK: delay, or RELAY_NATIVE_DEAD; EXTEND: new time of the lease; ACK: 0 */
    uint32_t n;       /* at least 1: an empty list stands for the head's seq */
    const uint8_t *p; /* private */
    uint64_t seq;     /* private */
};
#define RELAY_NATIVE_RANGES_MAX(n) (RELAY_NATIVE_HEAD + 4 + 12 * (size_t)(n))
/* seq is the lease when n is 0, and otherwise free (SETTLED repeats it). n <= RELAY_NATIVE_LIST;
 * ms is not written for ACK. */
size_t relay_native_put_ranges(uint8_t *out, enum relay_native_type type, bool want, uint32_t group,
                               uint64_t seq, uint32_t ms, const struct relay_native_range *v,
                               uint32_t n);
int relay_native_get_ranges(const struct relay_native_head *h, const void *p,
                            struct relay_native_ranges *v);
struct relay_native_range relay_native_range(const struct relay_native_ranges *v, uint32_t i);

/* RECEIPT. */
struct relay_native_failure {
    uint64_t seq;
    int32_t status;
};
#define RELAY_NATIVE_RECEIPT_MAX(n) (RELAY_NATIVE_HEAD + 12 * (size_t)(n))
size_t relay_native_put_receipt(uint8_t *out, uint32_t group, uint64_t seq,
                                const struct relay_native_failure *v, uint32_t n);
/* relay_native_get_receipt - how many failures the payload lists, or NK_EPROTO.
 * relay_native_failure - number i of them. */
int relay_native_get_receipt(const struct relay_native_head *h, const void *p);
struct relay_native_failure relay_native_failure(const void *p, uint32_t i);

/* PING, PONG: n <= RELAY_NATIVE_ECHO bytes come back. */
#define RELAY_NATIVE_ECHO_MAX (RELAY_NATIVE_HEAD + RELAY_NATIVE_ECHO)
size_t relay_native_put_echo(uint8_t *out, enum relay_native_type type, const void *p, size_t n);

/* GOAWAY: text is cut to RELAY_NATIVE_REASON bytes. */
#define RELAY_NATIVE_GOAWAY_MAX (RELAY_NATIVE_HEAD + 4 + RELAY_NATIVE_REASON)
size_t relay_native_put_goaway(uint8_t *out, uint32_t code, const char *text);
void relay_native_get_goaway(const void *p, size_t n, uint32_t *code, struct relay_text *text);

/* --- runs ------------------------------------------------------------------------------------- */

/*
 * relay_run_scan - how many complete frames at p are a run: BROADCAST of one group from a client,
 * in one fragment, without metadata, with ascending seq, payloads of at most max_len bytes. At
 * least two, or 0. *len gets their bytes, *last the last one's seq.
 */
uint32_t relay_run_scan(const void *p, size_t n, uint32_t max_len, size_t *len, uint64_t *last);

/* relay_run_stamp - write version, version + 1 .. as the seq of each of the run's frames. Returns
 * the offset of the last frame. The n bytes must be a run of at least one frame. */
size_t relay_run_stamp(uint8_t *p, size_t n, uint64_t version);

#endif
