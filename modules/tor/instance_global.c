/* SPDX-License-Identifier: MIT */
/*
 * The user's own tor: a connection to its holder, which is started when there is none.
 *
 *     connect --refused--> start a holder, with a connection
 *        |                    | "busy": another one was faster, or is just ending
 *        v                    v
 *     "open" --> as with a running tor (instance_system.c)      retry, for RETRIES_MAX times
 *        | end of the connection: once more; tor_control comes back by itself
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/control.h"
#include "core/process.h"
#include "tor/holder.h"
#include "tor/instance_impl.h"

#define RETRY_MS 100u
#define RETRIES_MAX 150 /* 15 s: a tor that ends may take 5 */

struct tor_holder_link {
    struct tor_instance *instance;
    struct nk_stream *stream;
    struct nk_timer retry;
    unsigned retries;
    bool open;
    char line[TOR_HOLDER_LINE];
    size_t len;
};

static void join_(struct tor_holder_link *k);

static void fail(struct tor_holder_link *k, int err, const struct nk_diag *why)
{
    tor_instance_fail(k->instance, err, why);
}

static void retry(struct tor_holder_link *k)
{
    struct nk_diag why;
    nk_stream_close(k->stream);
    k->stream = NULL;
    k->len = 0;
    if (k->retries++ < RETRIES_MAX) {
        nk_timer_start(&k->retry, RETRY_MS);
        return;
    }
    nk_fail(&why, NK_ELOCKED, "the process that holds the global tor does not answer");
    fail(k, NK_ELOCKED, &why);
}

static void on_retry(void *owner)
{
    join_(owner);
}

/* --- what it says ----------------------------------------------------------------------------- */

static void on_open(struct tor_holder_link *k)
{
    struct nk_diag why;
    k->retries = 0;
    k->open = true;
    int rc = tor_system_begin(k->instance, &why);
    if (rc < 0) {
        fail(k, rc, &why);
    }
}

static void on_line(struct tor_holder_link *k, size_t len)
{
    struct nk_diag why;
    char *text;
    k->line[len] = '\0';
    if (strcmp(k->line, "open") == 0) {
        on_open(k);
    } else if (strcmp(k->line, "busy") == 0) {
        retry(k);
    } else if (strncmp(k->line, "error ", 6) == 0) {
        long code = strtol(k->line + 6, &text, 10);
        code = code < 0 && code > -100000 ? code : NK_EPROTO;
        char *hint = strchr(text, '\t'); /* texts have no control bytes */
        if (hint) {
            *hint++ = '\0';
        }
        nk_fail(&why, (int)code, "the global tor: %s", text + (*text == ' '));
        nk_hint(&why, "%s", hint ? hint : "");
        fail(k, (int)code, &why);
    }
}

static void on_bytes(void *owner, struct nk_stream *s, unsigned events)
{
    struct tor_holder_link *k = owner;
    const struct tor_instance *i = k->instance; /* stays until the end of the turn; k may not */
    char c;
    (void)events;
    while (!i->failed && k->stream == s) {
        ssize_t n = nk_stream_read(s, &c, 1);
        if (n == NK_EAGAIN) {
            return;
        }
        if (n <= 0) {
            retry(k);
        } else if (c == '\n') {
            const size_t len = k->len;
            k->len = 0;
            on_line(k, len);
        } else if (k->len + 1 < sizeof(k->line)) {
            k->line[k->len++] = c;
        }
    }
}

/* --- getting there ---------------------------------------------------------------------------- */

static int use_fd(struct tor_holder_link *k, int take_fd)
{
    int rc = nk_stream_from_fd(k->instance->app, take_fd, "holder", &k->stream);
    if (rc == 0) {
        nk_stream_own(k->stream, on_bytes, k);
        nk_stream_interest(k->stream, NK_READABLE);
    }
    return rc;
}

/* Our own program again, detached; its configuration is ours. */
static int start_holder(struct nk_app *app, int fd, struct nk_diag *diag)
{
    const struct nk_conf *ini = nk_app_ini(app);
    const char *config = ini ? nk_conf_path(ini) : NULL;
    char *argv[] = {(char *)"/proc/self/exe",
                    (char *)"tor",
                    (char *)"hold",
                    (char *)"--state-dir",
                    (char *)(uintptr_t)nk_app_state_dir(app),
                    config ? (char *)"--config" : NULL,
                    (char *)(uintptr_t)config,
                    NULL};
    const struct nk_process_spec spec = {
        .argv = argv, .fds = {-1, -1, -1, fd}, .nfds = 4, .detach = true, .env_all = true};
    struct nk_process *p;
    int rc = nk_process_start(app, &spec, NULL, NULL, &p, diag);
    if (rc == 0) {
        nk_process_close(p); /* it goes on by itself; that it does not start shows at fd */
    }
    return rc;
}

static int start(struct tor_holder_link *k, struct nk_diag *diag)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        return nk_fail_sys(diag, -errno, "the global tor");
    }
    int rc = start_holder(k->instance->app, fds[1], diag);
    close(fds[1]);
    if (rc < 0) {
        close(fds[0]);
        return rc;
    }
    rc = use_fd(k, fds[0]);
    return rc < 0 ? nk_fail_sys(diag, rc, "the global tor") : 0;
}

static void join_(struct tor_holder_link *k)
{
    char dir[NK_PATH_MAX], path[NK_PATH_MAX];
    struct nk_diag why;
    int fd;
    int rc = tor_holder_dir(dir, sizeof(dir), nk_app_state_dir(k->instance->app));
    rc = rc < 0 ? rc : nk_path_join(path, sizeof(path), dir, TOR_HOLDER_SOCKET);
    rc = rc < 0 ? rc : nk_control_connect(path, &fd);
    if (rc == 0) {
        rc = use_fd(k, fd);
    } else if (rc == NK_ECLOSED) {
        rc = start(k, &why);
        if (rc < 0) {
            fail(k, rc, &why);
        }
        return;
    }
    if (rc == -EAGAIN) { /* more connections wait there than it can take at once */
        retry(k);
    } else if (rc < 0) {
        nk_fail_sys(&why, rc, "the process that holds the global tor");
        fail(k, rc, &why);
    }
}

int tor_global_begin(struct tor_instance *i, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX], path[NK_PATH_MAX];
    const char *state = nk_app_state_dir(i->app);
    if (i->holder) {
        return i->holder->open ? tor_system_begin(i, diag) : 0;
    }
    if (!state || tor_holder_dir(dir, sizeof(dir), state) < 0 ||
        nk_path_join(path, sizeof(path), dir, "control.sock") < 0 ||
        tor_address_unix(i->address, sizeof(i->address), path) < 0) {
        return nk_fail(diag, NK_ECONFIG, "the global tor needs a state directory (--state-dir)");
    }
    struct tor_holder_link *k = calloc(1, sizeof(*k));
    free(i->access.control);
    i->access.control = strdup(i->address);
    if (!k || !i->access.control) {
        free(k);
        return nk_fail_sys(diag, -ENOMEM, "the global tor");
    }
    k->instance = i;
    nk_timer_init(&k->retry, i->app, on_retry, k);
    i->holder = k;
    nk_timer_start(&k->retry, 0); /* not from inside: an error is told by fn */
    return 0;
}

void tor_global_clear(struct tor_instance *i)
{
    struct tor_holder_link *k = i->holder;
    if (k) {
        nk_timer_stop(&k->retry);
        nk_stream_close(k->stream);
        free(k);
        i->holder = NULL;
    }
}
