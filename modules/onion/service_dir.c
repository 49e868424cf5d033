/* SPDX-License-Identifier: MIT */
/* Services in directories: options of tor, which outlive our connection and not its next SIGHUP. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "onion/hsdir.h"
#include "onion/service_impl.h"

enum {
    HOSTNAME_PAUSE_MS = 100, /* between two looks for the file in which tor writes the address */
    HOSTNAME_TRIES = 100,
    HOSTNAME_MAX = 128 /* bytes of it */
};

static struct nk_log *log_of(const struct onion_service *s)
{
    return nk_app_log(s->conf.app);
}

static void failed(struct onion_service *s, const struct tor_reply *reply)
{
    const struct tor_line *last = &reply->lines[reply->n - 1];
    struct nk_diag diag;
    (void)nk_fail(&diag, NK_EFORMAT, "tor refuses the service in %s: %d %.*s", s->conf.plan->hsdir,
                  reply->code, (int)(last->len < 160 ? last->len : 160), last->text);
    nk_hint(&diag, "the directory must belong to tor's user, with mode 0700; tor's log says more");
    if (s->made_dir) {
        (void)rmdir(s->conf.plan->hsdir);
    }
    onion_service_end(s, NK_EFORMAT, &diag);
}

/* --- adding ----------------------------------------------------------------------------------- */

static void there(struct onion_service *s)
{
    onion_service_added(s);
    if (onion_upload_reached(&s->upload, ONION_WAIT_FIRST)) {
        onion_service_published(s); /* tor had it all the time */
    }
}

static void read_hostname(struct onion_service *s)
{
    char path[NK_PATH_MAX];
    struct nk_buf text;
    struct nk_diag diag;
    nk_buf_init(&text, HOSTNAME_MAX);
    int rc = nk_path_join(path, sizeof(path), s->conf.plan->hsdir, HS_CTOR_HOSTNAME_FILE);
    rc = rc < 0 ? nk_fail_sys(&diag, rc, "%s", s->conf.plan->hsdir)
                : nk_file_read(path, 0, &text, &diag);
    if (rc == 0) {
        size_t n = nk_buf_len(&text);
        n = n < NK_ONION_LABEL ? n : NK_ONION_LABEL;
        rc = onion_plan_has_address(s->conf.plan, (const char *)nk_buf_ptr(&text), n, &diag);
    }
    nk_buf_clear(&text);
    if ((rc == -ENOENT || rc == NK_EPROTO) && s->tries++ < HOSTNAME_TRIES) {
        onion_service_later(s, read_hostname, HOSTNAME_PAUSE_MS);
        return;
    }
    if (rc < 0) {
        nk_warn(log_of(s), "onion", "%s: the address is not known here, and neither are uploads",
                diag.text);
    }
    there(s);
}

static void on_set(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct onion_service *s = owner;
    (void)why;
    if (err == 0 && reply->code != TOR_OK) {
        failed(s, reply);
    } else if (err == 0) {
        read_hostname(s);
    }
}

/* The command that leaves tor with our service, or (spec NULL) without it. */
static void set(struct onion_service *s, const struct tor_reply *reply,
                const struct onion_spec *spec, tor_reply_fn *fn)
{
    struct nk_buf line;
    struct nk_diag diag;
    nk_buf_init(&line, TOR_COMMAND_MAX);
    int rc = onion_hsdir_set(&line, reply, s->conf.plan->hsdir, spec, &diag);
    const char *text = rc < 0 ? NULL : nk_buf_str(&line);
    if (text) {
        onion_service_send(s, fn, text);
    } else {
        rc = rc < 0 ? rc : nk_fail(&diag, -ENOMEM, "out of memory");
        onion_service_end(s, rc, &diag);
    }
    nk_buf_clear(&line);
}

/* What is there, and how tor takes it. */
static int check_dir(const char *dir, const struct stat *st, uint64_t uid, struct nk_diag *diag)
{
    struct hs_identity key;
    if (!S_ISDIR(st->st_mode)) {
        return nk_fail(diag, -ENOTDIR, "%s is no directory", dir);
    }
    if (st->st_uid != uid || (st->st_mode & (S_IRWXG | S_IRWXO))) {
        return nk_fail(diag, NK_EBADMODE,
                       "%s: tor wants the directory to be its user's (%u), with "
                       "mode 0700",
                       dir, (unsigned)uid);
    }
    int rc = hs_ctor_dir_read(dir, &key, diag);
    hs_identity_wipe(&key);
    return rc == -ENOENT || rc == -EACCES ? 0 : rc;
}

static int make_dir(struct onion_service *s, uint64_t uid, struct nk_diag *diag)
{
    const char *dir = s->conf.plan->hsdir;
    uid_t us = geteuid();
    int rc = us == 0 || us == uid ? 0 : -EACCES;
    if (rc == 0 && mkdir(dir, 0700) < 0) {
        rc = -errno;
    }
    s->made_dir = rc == 0;
    if (rc == 0 && us != uid &&
        fchownat(AT_FDCWD, dir, (uid_t)uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0) {
        rc = -errno;
    }
    return rc < 0 ? nk_fail_sys(diag, rc, "%s cannot be made", dir) : 0;
}

/*
 * A tor that is told of a directory which it cannot make or use may not refuse it, but end
 * (0.4.9.11, "Acting on config options left us in a broken state"). So it is made here, or seen to
 * be good.
 */
static int prepare(struct onion_service *s, uint64_t pid, uint64_t uid, struct nk_diag *diag)
{
    const char *dir = s->conf.plan->hsdir;
    struct stat st;
    int rc;
    if (kill((pid_t)pid, 0) < 0 && errno == ESRCH) {
        rc = nk_fail(diag, NK_EUNSUPPORTED, "%s: tor does not run on this machine", dir);
    } else if (lstat(dir, &st) == 0) {
        rc = check_dir(dir, &st, uid, diag);
    } else if (errno == ENOENT) {
        rc = make_dir(s, uid, diag);
    } else {
        rc = nk_fail_sys(diag, -errno, "%s", dir);
    }
    if (rc < 0) {
        nk_hint(diag, "tor is not told, as it may end over it; be root or tor's user, make the "
                      "directory first, or put the service into tor's torrc");
    }
    return rc;
}

static void on_process(void *owner, int err, const struct tor_reply *reply,
                       const struct nk_diag *why)
{
    struct onion_service *s = owner;
    struct tor_word pid_word, uid_word;
    struct nk_diag diag;
    uint64_t pid = 0, uid = 0;
    (void)why;
    if (err < 0) {
        return;
    }
    bool told = tor_reply_find(reply, "process/pid", &pid_word) &&
                tor_word_u64(&pid_word, &pid) == 0 && pid > 0 && pid <= INT32_MAX &&
                tor_reply_find(reply, "process/uid", &uid_word) &&
                tor_word_u64(&uid_word, &uid) == 0 && uid < UINT32_MAX;
    int rc = told ? prepare(s, pid, uid, &diag)
                  : nk_fail(&diag, NK_EPROTO, "tor does not tell its process and user");
    if (rc < 0) {
        onion_service_end(s, rc, &diag);
    } else {
        s->prepared = true;
        onion_dir_add(s);
    }
}

static void on_asked(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct onion_service *s = owner;
    (void)why;
    if (err < 0) {
        return;
    }
    bool has = reply->code == TOR_OK && onion_hsdir_has(reply, s->conf.plan->hsdir);
    if (reply->code != TOR_OK) {
        failed(s, reply);
    } else if (has && s->ever) {
        there(s);
    } else if (!has && !s->prepared) {
        onion_service_send(s, on_process, "GETINFO process/pid process/uid");
    } else {
        if (has) {
            nk_warn(log_of(s), "onion", "tor had a service in %s already: its options are replaced",
                    s->conf.plan->hsdir);
        }
        s->prepared = false; /* the next time may find it gone */
        onion_upload_init(&s->upload);
        set(s, reply, &s->conf.plan->spec, on_set);
    }
}

void onion_dir_add(struct onion_service *s)
{
    onion_service_send(s, on_asked, ONION_HSDIR_ASK);
}

/* --- taking away ------------------------------------------------------------------------------ */

static void on_removed(void *owner, int err, const struct tor_reply *reply,
                       const struct nk_diag *why)
{
    struct onion_service *s = owner;
    (void)why;
    if (err == 0 && reply->code != TOR_OK) {
        failed(s, reply);
    } else if (err == 0 || s->state == ONION_ENDING) {
        onion_service_gone(s);
    }
}

static void on_asked_to_remove(void *owner, int err, const struct tor_reply *reply,
                               const struct nk_diag *why)
{
    struct onion_service *s = owner;
    if (err == 0 && reply->code == TOR_OK && onion_hsdir_has(reply, s->conf.plan->hsdir)) {
        set(s, reply, NULL, on_removed);
    } else {
        on_removed(s, err, reply, why);
    }
}

void onion_dir_remove(struct onion_service *s)
{
    onion_service_send(s, on_asked_to_remove, ONION_HSDIR_ASK);
}

/* --- SIGHUP ----------------------------------------------------------------------------------- */

void onion_dir_on_signal(void *owner, const struct tor_reply *event)
{
    static const char reload[] = "SIGNAL RELOAD";
    struct onion_service *s = owner;
    const struct tor_line *line = &event->lines[0];
    if ((s->state == ONION_UPLOADING || s->state == ONION_PUBLISHED) &&
        line->len == sizeof(reload) - 1 && memcmp(line->text, reload, line->len) == 0) {
        nk_info(log_of(s), "onion",
                "tor has read its torrc again, and may have forgotten the "
                "service in %s: it is told again",
                s->conf.plan->hsdir);
        tor_request_cancel(&s->request);
        onion_dir_add(s);
    }
}
