/* SPDX-License-Identifier: MIT */
#include "core/control.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "core/app.h"
#include "core/listener.h"
#include "core/stream.h"
#include "core/timer.h"

enum {
    CLIENTS_MAX = 64,
    BACKLOG = 16,
    PATIENCE_MS = 5000 /* for a request to come and an answer to go */
};

#define READ_SIZE ((size_t)1024)
#define HEX_BASE 16

/* One connection, which is one call. */
struct nk_control_call {
    struct nk_control *control;
    struct nk_stream *stream;
    struct nk_timer patience;
    struct nk_buf request, body, answer;
    bool asked;    /* the request is with the owner */
    bool answered; /* the owner is through with it */
    bool stays;
    struct nk_control_call *next, *prev;
};

struct nk_control {
    struct nk_app *app;
    nk_control_fn *fn;
    void *owner;
    struct nk_listener *listener;
    struct nk_control_call *calls;
    size_t n;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* --- one call --------------------------------------------------------------------------------- */

static void call_free(struct nk_control_call *c)
{
    struct nk_control *k = c->control;
    nk_timer_stop(&c->patience);
    nk_stream_close(c->stream);
    nk_buf_clear(&c->request);
    nk_buf_clear(&c->body);
    nk_buf_clear(&c->answer);
    *(c->prev ? &c->prev->next : &k->calls) = c->next;
    if (c->next) {
        c->next->prev = c->prev;
    }
    k->n--;
    free(c);
}

static void on_patience(void *owner)
{
    call_free(owner);
}

static void send_part(struct nk_control_call *c, struct nk_buf *part, bool *blocked, bool *gone)
{
    while (nk_buf_len(part) > 0 && !*blocked && !*gone) {
        ssize_t n = nk_stream_write(c->stream, nk_buf_ptr(part), nk_buf_len(part));
        if (n == NK_EAGAIN) {
            *blocked = true;
        } else if (n < 0) {
            *gone = true;
        } else {
            nk_buf_consume(part, (size_t)n);
        }
    }
}

static void send_answer(struct nk_control_call *c)
{
    bool blocked = false, gone = false;
    send_part(c, &c->answer, &blocked, &gone);
    send_part(c, &c->body, &blocked, &gone);
    if (blocked) {
        nk_stream_interest(c->stream, NK_WRITABLE);
    } else if (gone || !c->stays) {
        call_free(c);
    } else {
        nk_timer_stop(&c->patience);
        nk_stream_interest(c->stream, NK_READABLE); /* only its end can come */
    }
}

struct nk_buf *nk_control_body(struct nk_control_call *call)
{
    return &call->body;
}

void nk_control_stay(struct nk_control_call *call)
{
    call->stays = true;
}

/* A line of one text: an error must not look like more than one. */
static int put_error(struct nk_control_call *c, int status, const struct nk_diag *diag)
{
    const char *text = diag && diag->text[0] ? diag->text : nk_strerror(status);
    int rc = nk_buf_printf(&c->answer, "error %d ", nk_exit_code(status));
    for (const char *p = text; rc == 0 && *p; p++) {
        rc = nk_buf_u8(&c->answer, (uint8_t)*p < ' ' ? ' ' : (uint8_t)*p);
    }
    return rc < 0 ? rc : nk_buf_u8(&c->answer, '\n');
}

void nk_control_done(struct nk_control_call *call, int status, const struct nk_diag *diag)
{
    call->answered = true;
    if (status < 0) {
        nk_buf_clear(&call->body);
    }
    int rc = status < 0 ? put_error(call, status, diag) : nk_buf_puts(&call->answer, "ok\n");
    if (rc < 0) {
        nk_warn(nk_app_log(call->control->app), "control", "an answer is lost: %s",
                nk_strerror(rc));
        call_free(call);
        return;
    }
    nk_timer_start(&call->patience, PATIENCE_MS);
    send_answer(call);
}

/* --- requests --------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undo %XX in place. */
static int decode_word(char *word)
{
    char *to = word;
    for (const char *p = word; *p; p++) {
        if (*p != '%') {
            *to++ = *p;
            continue;
        }
        int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);
        if (low < 0 || high * HEX_BASE + low == 0) {
            return NK_EFORMAT;
        }
        *to++ = (char)(high * HEX_BASE + low);
        p += 2;
    }
    *to = '\0';
    return 0;
}

static int split(char *line, char **words, size_t *n)
{
    char *rest = line;
    *n = 0;
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        if (*n == NK_CONTROL_WORDS || decode_word(word) < 0) {
            return NK_EUSAGE;
        }
        words[(*n)++] = word;
    }
    return 0;
}

static void handle(struct nk_control_call *c, char *line, size_t len)
{
    char *words[NK_CONTROL_WORDS];
    size_t n = 0;
    struct nk_diag diag = {0};
    c->asked = true;
    nk_timer_stop(&c->patience);
    nk_stream_interest(c->stream, 0); /* a client that goes away is noticed by the answer */
    if (strlen(line) != len || split(line, words, &n) < 0) {
        nk_control_done(c, nk_fail(&diag, NK_EUSAGE, "not a request"), &diag);
        return;
    }
    c->control->fn(c->control->owner, c, n, words);
}

static void read_request(struct nk_control_call *c)
{
    uint8_t *to;
    struct nk_diag diag = {0};
    if (nk_buf_reserve(&c->request, READ_SIZE, &to) < 0) {
        call_free(c);
        return;
    }
    ssize_t n = nk_stream_read(c->stream, to, READ_SIZE);
    if (n == NK_EAGAIN) {
        return;
    }
    if (n <= 0 || c->asked) {
        call_free(c);
        return;
    }
    nk_buf_commit(&c->request, (size_t)n);
    char *line = (char *)nk_buf_ptr(&c->request);
    char *end = memchr(line, '\n', nk_buf_len(&c->request));
    if (end) {
        *end = '\0';
        handle(c, line, (size_t)(end - line));
    } else if (nk_buf_len(&c->request) > NK_CONTROL_REQUEST) {
        c->asked = true;
        nk_control_done(c, nk_fail(&diag, NK_ETOOBIG, "the request is too long"), &diag);
    }
}

static void on_stream(void *owner, struct nk_stream *s, unsigned events)
{
    struct nk_control_call *c = owner;
    (void)s;
    if (events & NK_CLOSED) {
        call_free(c);
    } else if ((events & NK_WRITABLE) && c->answered) {
        send_answer(c);
    } else if (events & NK_READABLE) {
        read_request(c);
    }
}

bool nk_control_allowed(struct nk_app *app, struct nk_stream *s)
{
    int64_t uid = -1;
    size_t n = sizeof(uid);
    if (nk_stream_query(s, NK_Q_UID, &uid, &n) == 0 && (uid == 0 || uid == (int64_t)geteuid())) {
        return true;
    }
    nk_audit(nk_app_log(app), "control", NK_LOG_WARN, "acl.deny", NULL,
             "control socket: uid %lld may not use it", (long long)uid);
    return false;
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct nk_control *k = owner;
    (void)l;
    bool welcome = k->n < CLIENTS_MAX && nk_control_allowed(k->app, take_s);
    struct nk_control_call *c = welcome ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        nk_stream_close(take_s);
        return;
    }
    c->control = k;
    c->stream = take_s;
    nk_buf_init(&c->request, NK_CONTROL_REQUEST + READ_SIZE);
    nk_buf_init(&c->body, NK_CONTROL_ANSWER);
    nk_buf_init(&c->answer, sizeof(struct nk_diag));
    nk_timer_init(&c->patience, k->app, on_patience, c);
    nk_timer_start(&c->patience, PATIENCE_MS);
    c->next = k->calls;
    if (c->next) {
        c->next->prev = c;
    }
    k->calls = c;
    k->n++;
    nk_stream_own(take_s, on_stream, c);
    nk_stream_interest(take_s, NK_READABLE);
}

/* --- the socket ------------------------------------------------------------------------------- */

int nk_control_bind(const char *path, int *out, struct nk_diag *diag)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(at.sun_path)) {
        return nk_fail(diag, NK_ETOOBIG, "control socket %s: the path is too long for one", path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return nk_fail_sys(diag, -errno, "control socket");
    }
    memcpy(at.sun_path, path, len + 1);
    /* nobody else gets in between: the directory is ours alone and locked; umask is 077 */
    (void)unlink(path);
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
        chmod(path, S_IRUSR | S_IWUSR) < 0 || listen(fd, BACKLOG) < 0) {
        int rc = nk_fail_sys(diag, -errno, "control socket %s", path);
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

int nk_control_open(struct nk_app *app, const char *dir, nk_control_fn *fn, void *owner,
                    struct nk_control **out, struct nk_diag *diag)
{
    struct nk_control *k = calloc(1, sizeof(*k));
    int fd = -1;
    if (!k) {
        return nk_fail_sys(diag, -ENOMEM, "control socket");
    }
    k->app = app;
    k->fn = fn;
    k->owner = owner;
    int rc = nk_path_join(k->path, sizeof(k->path), dir, NK_CONTROL_NAME);
    if (rc < 0) {
        nk_fail(diag, rc, "control socket: the path of %s is too long for one", dir);
    } else {
        rc = nk_control_bind(k->path, &fd, diag);
    }
    if (rc == 0) {
        rc = nk_listener_from_fd(app, fd, on_accept, k, &k->listener, diag);
    }
    if (rc < 0) {
        free(k);
        return rc;
    }
    *out = k;
    return 0;
}

/* Whoever waits for the end of the process sees it when the kernel closes this copy: then locks and
 * ports are free as well. */
static void hold_open(struct nk_stream *s)
{
    int fd = -1;
    size_t n = sizeof(fd);
    if (nk_stream_query(s, NK_Q_FD, &fd, &n) == 0) {
        (void)fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }
}

void nk_control_close(struct nk_control *k)
{
    if (!k) {
        return;
    }
    for (struct nk_control_call *c = k->calls, *next; c; c = next) {
        next = c->next;
        if (c->stays && c->stream) {
            hold_open(c->stream);
        }
        call_free(c);
    }
    nk_listener_close(k->listener);
    (void)unlink(k->path);
    free(k);
}
