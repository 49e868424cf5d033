/* SPDX-License-Identifier: MIT */
#include "ssh/keyfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ask.h"
#include "base/codec.h"
#include "base/file.h"
#include "ssh/pubfile.h"

enum { QUESTION_MAX = 256 };

static const char FD[] = "fd:";

/* The path for a name: itself, or of a credential. */
static int path_of(const char *name, char out[NK_PATH_MAX])
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (dir && *dir && !strchr(name, '/') && access(name, F_OK) < 0) {
        char path[NK_PATH_MAX];
        if (nk_path_join(path, sizeof(path), dir, name) == 0 && access(path, F_OK) == 0) {
            memcpy(out, path, sizeof(path));
            return 0;
        }
    }
    return (size_t)snprintf(out, NK_PATH_MAX, "%s", name) < NK_PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int read_bytes(const char *name, struct nk_buf *out, struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    uint64_t fd;
    if (strncmp(name, FD, sizeof(FD) - 1) == 0 && nk_parse_u64(name + sizeof(FD) - 1, &fd) == 0 &&
        fd <= INT32_MAX) {
        return nk_file_read_fd((int)fd, out, diag);
    }
    int rc = path_of(name, path);
    return rc < 0 ? nk_fail_sys(diag, rc, "%s", name)
                  : nk_file_read(path, NK_FILE_SECRET, out, diag);
}

/* What failed with rc < 0 is told with the file's name. Returns rc. */
static int in_file(int rc, struct nk_diag *why, const char *name, struct nk_diag *diag)
{
    if (rc < 0) {
        nk_fail_context(why, "%s", name);
        if (diag) {
            *diag = *why;
        }
    }
    return rc;
}

int ssh_keyfile_read(const char *name, struct ssh_sealed **out, struct nk_diag *diag)
{
    struct nk_buf text;
    struct nk_diag why;
    nk_buf_init_secret(&text, SSH_KEY_FILE_MAX);
    int rc = read_bytes(name, &text, diag);
    if (rc >= 0) {
        rc = ssh_sealed_parse(nk_buf_ptr(&text), nk_buf_len(&text), out, &why);
        rc = in_file(rc, &why, name, diag);
    }
    nk_buf_clear(&text);
    return rc;
}

int ssh_keyfile_public(const char *path, struct ssh_pubfile *out, struct nk_diag *diag)
{
    struct nk_buf text;
    struct nk_diag why;
    nk_buf_init(&text, SSH_KEY_FILE_MAX);
    int rc = nk_file_read(path, 0, &text, diag);
    if (rc >= 0) {
        rc = ssh_pubfile_parse(nk_buf_ptr(&text), nk_buf_len(&text), out, &why);
        rc = in_file(rc, &why, path, diag);
    }
    nk_buf_clear(&text);
    return rc;
}

int ssh_keyfile_certificate(const char *path, struct ssh_private *k, struct nk_diag *diag)
{
    char name[NK_PATH_MAX], cert[NK_PATH_MAX];
    struct ssh_pubfile f;
    struct nk_diag why;
    if (path_of(path, name) < 0 ||
        (size_t)snprintf(cert, sizeof(cert), "%s-cert.pub", name) >= sizeof(cert) ||
        access(cert, F_OK) < 0) {
        return 0;
    }
    int rc = ssh_keyfile_public(cert, &f, diag);
    if (rc < 0) {
        return rc;
    }
    rc = ssh_private_certify(k, (struct ssh_str){nk_buf_ptr(&f.blob), nk_buf_len(&f.blob)}, &why);
    ssh_pubfile_clear(&f);
    return in_file(rc, &why, cert, diag);
}

/* --- with the passphrase asked ---------------------------------------------------------------- */

struct trial {
    const struct ssh_sealed *sealed;
    struct ssh_private *key;
};

/* Is this the passphrase? How long an RSA key is is looked at later, as no other one changes it. */
static int try_passphrase(void *arg, const struct nk_secret *s, struct nk_diag *diag)
{
    struct trial *t = arg;
    if (s->len == 0 || s->len > SSH_PASSPHRASE_MAX) {
        return nk_fail(diag, NK_EUSAGE, "a passphrase has 1 to %d bytes", SSH_PASSPHRASE_MAX);
    }
    return ssh_sealed_unlock(t->sealed, s, 1, &t->key, diag);
}

int ssh_sealed_ask(const struct ssh_sealed *sealed, const char *name, struct nk_secret *passphrase,
                   bool no_input, unsigned min_rsa, struct ssh_private **out, struct nk_diag *diag)
{
    struct trial t = {.sealed = sealed};
    struct ssh_public pub;
    struct nk_secret answer = {0};
    char question[QUESTION_MAX], shown[QUESTION_MAX / 2];
    if (!ssh_sealed_locked(sealed) || (passphrase && passphrase->len > 0)) {
        return ssh_sealed_unlock(sealed, passphrase, min_rsa, out, diag);
    }
    if (no_input) {
        return nk_fail(diag, NK_EUSAGE,
                       "the private key needs a passphrase, and --no-input is given");
    }
    snprintf(question, sizeof(question),
             "passphrase of %s: ", nk_escape(shown, sizeof(shown), name, strlen(name)));
    const struct nk_ask q = {.what = "passphrase",
                             .question = question,
                             .hint = "give it in a file or over a descriptor, or use ssh-agent",
                             .check = try_passphrase,
                             .arg = &t};
    int rc = nk_ask_secret(&q, passphrase ? passphrase : &answer, diag);
    nk_secret_clear(&answer);
    rc = rc < 0 ? rc : ssh_public_parse(t.key->pub.blob, min_rsa, &pub, diag);
    if (rc < 0) {
        ssh_private_unref(t.key);
        return rc;
    }
    *out = t.key;
    return 0;
}

int ssh_keyfile_open(const char *name, struct nk_secret *passphrase, bool no_input,
                     unsigned min_rsa, struct ssh_private **out, struct nk_diag *diag)
{
    struct ssh_sealed *sealed;
    struct ssh_private *k = NULL;
    struct nk_diag why;
    int rc = ssh_keyfile_read(name, &sealed, diag);
    if (rc < 0) {
        return rc;
    }
    rc = ssh_sealed_ask(sealed, name, passphrase, no_input, min_rsa, &k, &why);
    ssh_sealed_unref(sealed);
    if (rc < 0) {
        return in_file(rc, &why, name, diag);
    }
    rc = ssh_keyfile_certificate(name, k, diag);
    if (rc < 0) {
        ssh_private_unref(k);
        return rc;
    }
    *out = k;
    return 0;
}
