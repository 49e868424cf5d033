/* SPDX-License-Identifier: MIT */
#include "service/control.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "core/app.h"
#include "core/listener.h"
#include "core/service.h"
#include "core/service_changes.h"
#include "core/stream.h"
#include "core/timer.h"

enum {
    CLIENTS_MAX = 16,
    BACKLOG = 16,
    WORDS_MAX = 4,
    PATIENCE_MS = 5000 /* for a request to come and an answer to go */
};

struct client {
    struct service_control *control;
    struct nk_stream *stream;
    struct nk_timer patience;
    char request[SERVICE_CONTROL_REQUEST + 1];
    size_t have;
    struct nk_buf answer;
    bool answered;
    bool stays; /* until the process ends */
    struct client *next, *prev;
};

struct service_control {
    struct nk_app *app;
    struct nk_service_group *group;
    struct nk_listener *listener;
    struct client *clients;
    size_t n;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* --- requests --------------------------------------------------------------------------------- */

static int answer_status(struct client *c)
{
    struct nk_json json;
    int rc = nk_buf_puts(&c->answer, "ok\n");
    nk_json_init(&json, &c->answer, true);
    nk_json_object(&json);
    nk_services_status(c->control->group, &json);
    nk_json_close(&json);
    rc = rc < 0 ? rc : nk_json_end(&json);
    return rc < 0 ? rc : nk_buf_puts(&c->answer, "\n");
}

static int answer_health(struct client *c)
{
    static const char *const names[] = {
        [NK_PHASE_STARTING] = "starting",
        [NK_PHASE_READY] = "ready",
        [NK_PHASE_DRAINING] = "draining",
    };
    return nk_buf_printf(&c->answer, "ok\n%s\n", names[nk_services_phase(c->control->group)]);
}

static int answer_error(struct client *c, int code, const char *text)
{
    return nk_buf_printf(&c->answer, "error %d %s\n", nk_exit_code(code), text);
}

static int put_changes(struct nk_buf *out, const struct nk_changes *changes)
{
    char text[NK_CHANGE_TEXT];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < changes->n; i++) {
        rc = nk_buf_printf(out, "%s\n", nk_change_format(text, &changes->v[i]));
    }
    return rc < 0 || !changes->more ? rc : nk_buf_printf(out, "%zu more changes\n", changes->more);
}

static int put_changes_json(struct nk_buf *out, const struct nk_changes *changes)
{
    struct nk_json json;
    nk_json_init(&json, out, true);
    nk_json_object(&json);
    nk_changes_json(changes, &json);
    nk_json_close(&json);
    int rc = nk_json_end(&json);
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

static int answer_reload(struct client *c, bool json)
{
    struct nk_diag diag = {0};
    const struct nk_changes *changes = nk_services_changes(c->control->group);
    int rc = nk_services_reload(c->control->group, &diag);
    if (rc < 0) {
        return answer_error(c, rc, diag.text[0] ? diag.text : "see the log");
    }
    rc = nk_buf_puts(&c->answer, "ok\n");
    return rc < 0 ? rc
           : json ? put_changes_json(&c->answer, changes)
                  : put_changes(&c->answer, changes);
}

static int answer_stop(struct client *c)
{
    c->stays = true;
    nk_services_stop(c->control->group);
    return nk_buf_puts(&c->answer, "ok\n");
}

static int answer_loglevel(struct client *c, char **words, size_t n)
{
    static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
    for (size_t i = 0; n >= 2 && n <= 3 && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(words[n - 1], names[i]) != 0) {
            continue;
        }
        int rc = nk_log_set_level(nk_app_log(c->control->app), n == 3 ? words[1] : NULL,
                                  (enum nk_level)i);
        return rc < 0 ? answer_error(c, rc, nk_strerror(rc)) : nk_buf_puts(&c->answer, "ok\n");
    }
    return answer_error(c, NK_EUSAGE, "a level is one of error, warn, info, debug, trace");
}

static int answer_request(struct client *c)
{
    char *words[WORDS_MAX] = {NULL}, *rest = c->request;
    size_t n = 0;
    for (char *word; n < WORDS_MAX && (word = strsep(&rest, " ")) != NULL;) {
        words[n++] = word;
    }
    if (n == 1 && strcmp(words[0], "status") == 0) {
        return answer_status(c);
    }
    if (n == 1 && strcmp(words[0], "health") == 0) {
        return answer_health(c);
    }
    if (strcmp(words[0], "reload") == 0 && (n == 1 || (n == 2 && strcmp(words[1], "json") == 0))) {
        return answer_reload(c, n == 2);
    }
    if (n == 1 && strcmp(words[0], "stop") == 0) {
        return answer_stop(c);
    }
    if (strcmp(words[0], "loglevel") == 0) {
        return answer_loglevel(c, words, n);
    }
    return answer_error(c, NK_EUSAGE, "no such request");
}

/* --- connections ------------------------------------------------------------------------------ */

static void client_close(struct client *c)
{
    struct service_control *k = c->control;
    nk_timer_stop(&c->patience);
    nk_stream_close(c->stream);
    nk_buf_clear(&c->answer);
    *(c->prev ? &c->prev->next : &k->clients) = c->next;
    if (c->next) {
        c->next->prev = c->prev;
    }
    k->n--;
    free(c);
}

static void on_patience(void *owner)
{
    client_close(owner);
}

/* Write what is there. Returns false when the client is gone. */
static bool send_answer(struct client *c)
{
    while (nk_buf_len(&c->answer) > 0) {
        ssize_t n = nk_stream_write(c->stream, nk_buf_ptr(&c->answer), nk_buf_len(&c->answer));
        if (n == NK_EAGAIN) {
            nk_stream_interest(c->stream, NK_WRITABLE);
            return true;
        }
        if (n < 0) {
            client_close(c);
            return false;
        }
        nk_buf_consume(&c->answer, (size_t)n);
    }
    if (!c->stays) {
        client_close(c);
        return false;
    }
    nk_timer_stop(&c->patience);
    nk_stream_interest(c->stream, NK_READABLE); /* only its end can come */
    return true;
}

static void read_request(struct client *c)
{
    ssize_t n = nk_stream_read(c->stream, c->request + c->have, SERVICE_CONTROL_REQUEST - c->have);
    if (n == NK_EAGAIN) {
        return;
    }
    if (n <= 0 || c->answered) {
        client_close(c);
        return;
    }
    c->have += (size_t)n;
    char *end = memchr(c->request, '\n', c->have);
    if (!end && c->have < SERVICE_CONTROL_REQUEST) {
        return;
    }
    c->answered = true;
    nk_stream_interest(c->stream, 0);
    int rc;
    if (end) {
        *end = '\0';
        c->have = 0;
        rc = answer_request(c);
    } else {
        rc = answer_error(c, NK_ETOOBIG, "the request is too long");
    }
    if (rc < 0) {
        nk_warn(nk_app_log(c->control->app), "service", "control socket: %s", nk_strerror(rc));
        client_close(c);
        return;
    }
    send_answer(c);
}

static void on_stream(void *owner, struct nk_stream *s, unsigned events)
{
    struct client *c = owner;
    (void)s;
    if (events & NK_CLOSED) {
        client_close(c);
    } else if ((events & NK_WRITABLE) && !send_answer(c)) {
        return;
    } else if (events & NK_READABLE) {
        read_request(c);
    }
}

static bool may_ask(struct service_control *k, struct nk_stream *s)
{
    int64_t uid = -1;
    size_t n = sizeof(uid);
    if (nk_stream_query(s, NK_Q_UID, &uid, &n) == 0 && (uid == 0 || uid == (int64_t)geteuid())) {
        return true;
    }
    nk_audit(nk_app_log(k->app), "service", NK_LOG_WARN, "acl.deny", NULL,
             "control socket: uid %lld may not use it", (long long)uid);
    return false;
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct service_control *k = owner;
    (void)l;
    struct client *c = k->n < CLIENTS_MAX && may_ask(k, take_s) ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        nk_stream_close(take_s);
        return;
    }
    c->control = k;
    c->stream = take_s;
    nk_buf_init(&c->answer, SERVICE_CONTROL_ANSWER);
    nk_timer_init(&c->patience, k->app, on_patience, c);
    nk_timer_start(&c->patience, PATIENCE_MS);
    c->next = k->clients;
    if (c->next) {
        c->next->prev = c;
    }
    k->clients = c;
    k->n++;
    nk_stream_own(take_s, on_stream, c);
    nk_stream_interest(take_s, NK_READABLE);
}

/* --- the socket ------------------------------------------------------------------------------- */

static int bind_socket(struct service_control *k, int *out, struct nk_diag *diag)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return nk_fail_sys(diag, -errno, "control socket");
    }
    memcpy(at.sun_path, k->path, strlen(k->path) + 1);
    /* nobody else gets in between: the directory is ours alone and locked; umask is 077 */
    (void)unlink(k->path);
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0) {
        int rc = nk_fail_sys(diag, -errno, "control socket %s", k->path);
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

int service_control_open(struct nk_app *app, struct nk_service_group *group,
                         struct service_control **out, struct nk_diag *diag)
{
    struct service_control *k = calloc(1, sizeof(*k));
    int fd = -1;
    if (!k) {
        return nk_fail_sys(diag, -ENOMEM, "control socket");
    }
    k->app = app;
    k->group = group;
    int rc = nk_path_join(k->path, sizeof(k->path), nk_app_state_dir(app), SERVICE_CONTROL_NAME);
    if (rc < 0) {
        nk_fail(diag, rc, "control socket: the path of the state directory is too long for one");
    } else {
        rc = bind_socket(k, &fd, diag);
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

void service_control_close(struct service_control *k)
{
    if (!k) {
        return;
    }
    for (struct client *c = k->clients, *next; c; c = next) {
        next = c->next;
        if (c->stays) {
            hold_open(c->stream);
        }
        client_close(c);
    }
    nk_listener_close(k->listener);
    (void)unlink(k->path);
    free(k);
}
