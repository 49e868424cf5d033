/* SPDX-License-Identifier: MIT */
/*
 * proto_sftp - an SFTP client of version 3 (draft-ietf-secsh-filexfer-02) without input and output:
 * the bytes of the channel go in, requests and replies come out.
 *
 * Requests are written to `out`, as many as there are slots, and each gets exactly one reply, in
 * any order, from inside ssh_sftp_feed; none after ssh_sftp_clear. A reply may start further
 * requests. Servers' extensions that are used: limits@openssh.com, posix-rename@openssh.com,
 * fsync@openssh.com (OpenSSH's PROTOCOL 4).
 *
 * A server is not believed: a packet has at most SSH_SFTP_PACKET_MAX bytes, which is known before
 * anything is kept of it; a reply must answer a request that waits, and be of a type that answers
 * it; data must not be more than were asked for; names are only passed on (ssh_sftp_name_ok).
 */
#ifndef SSH_PROTO_SFTP_H
#define SSH_PROTO_SFTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ssh/wire_sftp.h"

#define SSH_SFTP_PACKET_MAX ((size_t)256 * 1024)       /* as sftp-server of OpenSSH has it */
#define SSH_SFTP_DATA_MAX (SSH_SFTP_PACKET_MAX - 1024) /* of one READ or WRITE */
#define SSH_SFTP_OUT_MAX ((size_t)1024 * 1024)         /* requests that are not on their way yet */

enum {
    SSH_SFTP_SLOTS = 256,         /* requests without a reply */
    SSH_SFTP_HANDLE_MAX = 256,    /* section 6.2 */
    SSH_SFTP_DATA_DEFAULT = 32768 /* of one READ or WRITE where the server does not tell */
};

/* An open file or directory of the server. */
struct ssh_sftp_handle {
    uint16_t n;
    uint8_t bytes[SSH_SFTP_HANDLE_MAX];
};

/* What came for a request; borrowed until the callback returns. */
struct ssh_sftp_reply {
    int rc;                 /* 0, or what status means: -ENOENT, -EACCES, NK_EUNSUPPORTED, -EIO.. */
    uint32_t status;        /* SSH_FX_EOF: the file's or directory's end, and rc is NK_ECLOSED */
    struct ssh_str message; /* what the server says about it; not for a terminal as it is */
    struct ssh_str data;    /* READ: 1..asked bytes */
    uint64_t offset;        /* READ and WRITE: as asked */
    size_t asked;           /* READ and WRITE: bytes */
    struct ssh_sftp_handle handle; /* OPEN, OPENDIR */
    struct ssh_sftp_attrs attrs;   /* STAT, LSTAT, FSTAT */
    struct nk_cur names;           /* READDIR, REALPATH, READLINK: for ssh_sftp_next_name */
};

typedef void ssh_sftp_reply_fn(void *owner, const struct ssh_sftp_reply *r);

/* Whom a reply is for. */
struct ssh_sftp_for {
    ssh_sftp_reply_fn *fn;
    void *owner;
};

struct ssh_sftp_slot {
    struct ssh_sftp_for whom; /* fn is NULL: nobody waits */
    uint64_t offset;
    uint32_t asked;
    uint32_t id;
    uint16_t next_free;
    uint8_t type; /* SSH_FXP_* that answers, besides STATUS */
};

enum ssh_sftp_state { SSH_SFTP_NEW, SSH_SFTP_LIMITS, SSH_SFTP_READY, SSH_SFTP_OVER };

struct ssh_sftp {
    enum ssh_sftp_state state;
    struct nk_buf out; /* to be written to the channel, and consumed */
    struct nk_buf in;  /* a packet that is not whole yet */
    void (*ready)(void *owner);
    void *owner;
    bool posix_rename, fsync, limits; /* the server's extensions */
    size_t read_max, write_max;       /* bytes of data in a request, 1..SSH_SFTP_DATA_MAX */
    unsigned busy;                    /* requests without a reply */
    uint16_t free;                    /* first free slot */
    uint32_t generation;
    struct ssh_sftp_slot slot[SSH_SFTP_SLOTS];
};

/* ssh_sftp_init - a connection whose INIT is in out. ready(owner) is called from inside
 * ssh_sftp_feed when requests may be made. 0 or -ENOMEM. */
int ssh_sftp_init(struct ssh_sftp *s, void (*ready)(void *owner), void *owner);

/* ssh_sftp_clear - forget everything; no reply comes any more. Not from inside a reply. */
void ssh_sftp_clear(struct ssh_sftp *s);

/* ssh_sftp_feed - n bytes came. 0, or why the connection is over: NK_EPROTO, NK_EVERSION (a server
 * of version 2 and less), -ENOMEM; then everything but ssh_sftp_clear fails. */
int ssh_sftp_feed(struct ssh_sftp *s, const uint8_t *p, size_t n, struct nk_diag *diag);

/*
 * The requests. 0: whom gets one reply. NK_EAGAIN: every slot is taken or out is full, try again
 * after a reply or when out was written. NK_ECLOSED before `ready` and after an error; NK_ETOOBIG
 * for a path that no packet holds; NK_EUNSUPPORTED for what the server lacks; -ENOMEM. Paths are
 * the server's, relative ones begin in the user's home.
 */

/* ssh_sftp_path - STAT, LSTAT, OPENDIR, REMOVE, RMDIR, REALPATH or READLINK of a path. */
int ssh_sftp_path(struct ssh_sftp *s, enum ssh_fxp what, const char *path,
                  struct ssh_sftp_for whom);

/* ssh_sftp_of - CLOSE, READDIR or FSTAT of what is open, or with SSH_FXP_EXTENDED its fsync. */
int ssh_sftp_of(struct ssh_sftp *s, enum ssh_fxp what, const struct ssh_sftp_handle *h,
                struct ssh_sftp_for whom);

/* ssh_sftp_open - flags of enum ssh_sftp_open; attributes are for a file that is created. */
int ssh_sftp_open(struct ssh_sftp *s, const char *path, uint32_t flags,
                  const struct ssh_sftp_attrs *a, struct ssh_sftp_for whom);

/* ssh_sftp_set - SETSTAT or MKDIR. */
int ssh_sftp_set(struct ssh_sftp *s, enum ssh_fxp what, const char *path,
                 const struct ssh_sftp_attrs *a, struct ssh_sftp_for whom);

/* ssh_sftp_rename - what has the name `to` is replaced at once where the server has posix-rename;
 * elsewhere it usually refuses (status 4) when there is something. */
int ssh_sftp_rename(struct ssh_sftp *s, const char *from, const char *to, struct ssh_sftp_for whom);

/* ssh_sftp_read - n (1..read_max) bytes from offset on. */
int ssh_sftp_read(struct ssh_sftp *s, const struct ssh_sftp_handle *h, uint64_t offset, size_t n,
                  struct ssh_sftp_for whom);

/* ssh_sftp_write_begin - room for n (1..write_max) bytes that are to be written from offset on, at
 * *data. Nothing else may be done with s until ssh_sftp_write_end, which is not owed; it is given
 * how many of them (1..n) there are. */
int ssh_sftp_write_begin(struct ssh_sftp *s, const struct ssh_sftp_handle *h, size_t n,
                         uint8_t **data);
void ssh_sftp_write_end(struct ssh_sftp *s, const struct ssh_sftp_handle *h, uint64_t offset,
                        uint8_t *data, size_t n, struct ssh_sftp_for whom);

/* ssh_sftp_next_name - the next name of a reply and its attributes (a may be NULL); false at the
 * end. The names of a reply were checked to be whole, not to be harmless. */
bool ssh_sftp_next_name(struct nk_cur *names, struct ssh_str *name, struct ssh_sftp_attrs *a);

/* ssh_sftp_explain - the reply's error in words, as "CONTEXT: PATH: what the server says". Returns
 * its rc. */
int ssh_sftp_explain(const struct ssh_sftp_reply *r, struct nk_diag *diag, const char *context,
                     const char *path);

#endif
