/* SPDX-License-Identifier: MIT */
/*
 * control - a unix socket through which a running program is asked and told things by `netkit`
 * commands of the same user: DIR/control.sock.
 *
 * A client connects, sends one line of words and reads until the end of the stream. Words are
 * separated by single spaces; in a word, bytes up to 0x20, '%' and 0x7f are written %XX (an empty
 * word is possible, %00 is not). The answer begins with a line "ok" or "error STATUS TEXT" (STATUS:
 * an exit status); what follows belongs to the request. Only root and the user that the program
 * runs as are answered.
 */
#ifndef NK_CORE_CONTROL_H
#define NK_CORE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct nk_app;
struct nk_cmd_ctx;
struct nk_stream;
struct nk_control;
struct nk_control_call;

#define NK_CONTROL_NAME "control.sock"
#define NK_CONTROL_REQUEST ((size_t)16 * 1024)       /* longest request line */
#define NK_CONTROL_ANSWER ((size_t)16 * 1024 * 1024) /* longest answer */
#define NK_CONTROL_WORDS 64                          /* most words of a request */

/* Answer one request (n >= 1 words, valid during the call) with nk_control_done, now or later. */
typedef void nk_control_fn(void *owner, struct nk_control_call *call, size_t n, char *const *words);

/* nk_control_open - listen on dir/control.sock (mode 0600). The caller holds dir's lock, so a
 * socket that is there already is a left-over and is replaced. 0, NK_ETOOBIG (dir is too long for
 * the address of a socket), -errno, -ENOMEM. */
int nk_control_open(struct nk_app *app, const char *dir, nk_control_fn *fn, void *owner,
                    struct nk_control **out, struct nk_diag *diag);

/* nk_control_close - close all connections and remove the socket. Calls that were not answered are
 * dead from then on. NULL is fine. */
void nk_control_close(struct nk_control *k);

/* nk_control_body - where the body of the answer is appended to; sent only with status 0. */
struct nk_buf *nk_control_body(struct nk_control_call *call);

/* nk_control_done - end the call: 0, or an error whose text is in diag (may be NULL). The client
 * may have gone; the call is dead afterwards. */
void nk_control_done(struct nk_control_call *call, int status, const struct nk_diag *diag);

/* nk_control_stay - before nk_control_done: after the answer the connection stays open until the
 * process ends (or nk_control_close of a process that goes on). */
void nk_control_stay(struct nk_control_call *call);

/* --- parts, for sockets with a protocol of their own ------------------------------------------ */

/* nk_control_bind - a listening socket at path, replacing what is there (see nk_control_open). */
int nk_control_bind(const char *path, int *out, struct nk_diag *diag);

/* nk_control_allowed - does the peer of s run as root or as this process's user? If not, that is
 * written to the log as acl.deny. */
bool nk_control_allowed(struct nk_app *app, struct nk_stream *s);

/* nk_control_connect - connect to the socket at path, without a loop. NK_ECLOSED when nobody
 * listens there, -errno. */
int nk_control_connect(const char *path, int *out);

/* --- the client's side, without a loop (control_ask.c) ---------------------------------------- */

struct nk_control_ask {
    const char *dir;          /* where the socket is */
    const char *who;          /* "'netkit run'": for messages */
    const char *const *words; /* the request */
    size_t n;
    uint64_t timeout_ms; /* 0: no limit */
};

/* nk_control_ask - send the request and read the answer's body into out. 0; a positive exit status
 * when the answer was an error, which diag then has in words; NK_ECLOSED when nobody listens,
 * -ETIMEDOUT, NK_ETOOBIG, -errno. */
int nk_control_ask(const struct nk_control_ask *ask, struct nk_buf *out, struct nk_diag *diag);

/* nk_control_show - all of a simple verb's run(): ask, print the answer's body, or report the error
 * that was answered. Returns as nk_control_ask, with ctx->diag. */
int nk_control_show(struct nk_cmd_ctx *ctx, const struct nk_control_ask *ask);

#endif
