/* SPDX-License-Identifier: MIT */
#include "ssh/host_policy.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/file.h"
#include "ssh/krl.h"

enum {
    SHA256_TEXT = 7 + 43, /* "SHA256:" and 32 bytes in base64 without padding */
    MD5_TEXT = 16 * 3 - 1,
    ALARM_MAX = 2048
};

struct ssh_host_policy {
    struct ssh_host_conf conf;
    struct ssh_known_hosts known;
    struct nk_buf plain;   /* the key of the last check, without its certificate */
    struct nk_buf revoked; /* the file: a text, or a binary list */
    char alarm[ALARM_MAX];
};

static bool same(struct ssh_str a, const void *p, size_t n)
{
    return a.p && p && a.n == n && memcmp(a.p, p, n) == 0;
}

static struct ssh_str plain_of(const struct ssh_host_policy *p)
{
    return (struct ssh_str){nk_buf_ptr(&p->plain), nk_buf_len(&p->plain)};
}

static const char *shown(const struct ssh_host_policy *p)
{
    return p->conf.shown ? p->conf.shown : p->conf.host;
}

/* --- pins ------------------------------------------------------------------------------------- */

/* The part of an MD5 fingerprint behind its prefix, which may be missing; NULL: it is none. */
static const char *md5_part(const char *pin)
{
    uint8_t hash[16];
    const char *hex = strncasecmp(pin, "MD5:", 4) == 0 ? pin + 4 : pin;
    bool is = strlen(hex) == MD5_TEXT &&
              nk_hex_decode(hash, sizeof(hash), hex, MD5_TEXT, true) == sizeof(hash);
    return is ? hex : NULL;
}

int ssh_pin_check(const char *pin, struct nk_diag *diag)
{
    uint8_t hash[32];
    if (md5_part(pin)) {
        return 0;
    }
    if (strncmp(pin, "SHA256:", 7) == 0 && strlen(pin) == SHA256_TEXT &&
        nk_base64_decode(hash, sizeof(hash), pin + 7, SHA256_TEXT - 7) == sizeof(hash)) {
        return 0;
    }
    nk_fail(diag, NK_EUSAGE, "'%s' is not the fingerprint of a key", pin);
    nk_hint(diag, "SHA256:.. or MD5:.. as ssh-keygen -l prints it");
    return NK_EUSAGE;
}

bool ssh_pin_matches(const char *pin, struct ssh_str blob)
{
    char have[SSH_FINGERPRINT_SIZE];
    const char *md5 = md5_part(pin);
    if (md5) {
        ssh_fingerprint_md5(blob, have);
        return strcasecmp(md5, have + 4) == 0;
    }
    ssh_fingerprint_sha256(blob, have);
    return strcmp(pin, have) == 0;
}

/* --- life ------------------------------------------------------------------------------------- */

static struct ssh_str krl_of(const struct ssh_host_policy *p)
{
    struct ssh_str list = {nk_buf_ptr(&p->revoked), nk_buf_len(&p->revoked)};
    return ssh_krl_is(list.p, list.n) ? list : (struct ssh_str){0};
}

/* A list that cannot be read, or not be understood, revokes everything. */
static int load_revoked(struct ssh_host_policy *p, struct nk_diag *diag)
{
    if (!p->conf.revoked_file || strcmp(p->conf.revoked_file, "none") == 0) {
        return 0;
    }
    int rc = nk_file_read(p->conf.revoked_file, 0, &p->revoked, diag);
    if (rc == 0 && krl_of(p).n > 0) {
        rc = ssh_krl_check(krl_of(p), diag);
        if (rc < 0) {
            nk_fail_context(diag, "%s", p->conf.revoked_file);
        }
    }
    return rc;
}

int ssh_host_policy_new(struct ssh_host_policy **out, const struct ssh_host_conf *conf,
                        struct nk_diag *diag)
{
    struct ssh_host_policy *p = calloc(1, sizeof(*p));
    int rc = 0;
    if (!p) {
        return nk_fail_sys(diag, -ENOMEM, "the key of %s", conf->host);
    }
    p->conf = *conf;
    nk_buf_init(&p->plain, SSH_BLOB_MAX);
    nk_buf_init(&p->revoked, SSH_KRL_MAX);
    for (size_t i = 0; rc == 0 && i < conf->npins; i++) {
        rc = ssh_pin_check(conf->pins[i], diag);
        if (rc == 0 && md5_part(conf->pins[i])) {
            nk_warn(conf->log, "ssh",
                    "%s is an MD5 fingerprint, which can be forged; "
                    "give the SHA256 one",
                    conf->pins[i]);
        }
    }
    rc = rc < 0 ? rc : load_revoked(p, diag);
    rc = rc < 0 ? rc
                : ssh_known_hosts_load(&p->known, conf->host, conf->port, conf->user_files,
                                       conf->nuser, conf->log, diag);
    rc = rc < 0 ? rc
                : ssh_known_hosts_load(&p->known, conf->host, conf->port, conf->global_files,
                                       conf->nglobal, conf->log, diag);
    if (rc < 0) {
        ssh_host_policy_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void ssh_host_policy_free(struct ssh_host_policy *p)
{
    if (p) {
        ssh_known_hosts_clear(&p->known);
        nk_buf_clear(&p->plain);
        nk_buf_clear(&p->revoked);
        free(p);
    }
}

const struct ssh_known_hosts *ssh_host_policy_known(const struct ssh_host_policy *p)
{
    return &p->known;
}

const char *ssh_host_policy_alarm(const struct ssh_host_policy *p)
{
    return p->alarm;
}

/* --- algorithms ------------------------------------------------------------------------------- */

/* Is something known that a host key for this algorithm could agree with? */
static bool is_useful(const struct ssh_host_policy *p, struct ssh_str name)
{
    bool cert;
    const struct ssh_sig_type *t = ssh_sig_find(name, &cert);
    for (size_t i = 0; t && i < p->known.n; i++) {
        const struct ssh_known_key *k = &p->known.v[i];
        struct nk_cur c;
        nk_cur_init(&c, k->blob, k->n);
        if (cert ? k->marker == SSH_KNOWN_CA
                 : k->marker == SSH_KNOWN_PLAIN && ssh_str_is(ssh_cur_string(&c), t->key)) {
            return true;
        }
    }
    return false;
}

int ssh_host_policy_algorithms(const struct ssh_host_policy *p, const char *list,
                               struct nk_buf *out)
{
    size_t before = nk_buf_len(out);
    int rc = 0;
    for (int useful = 1; rc == 0 && useful >= 0; useful--) {
        struct ssh_str rest = {(const uint8_t *)list, strlen(list)}, name;
        while (rc == 0 && ssh_names_next(&rest, &name)) {
            if ((p->conf.npins == 0 && is_useful(p, name)) == useful) {
                rc = nk_buf_len(out) > before ? nk_buf_u8(out, ',') : 0;
                rc = rc < 0 ? rc : nk_buf_put(out, name.p, name.n);
            }
        }
    }
    return rc;
}

/* --- judging ---------------------------------------------------------------------------------- */

int ssh_plain_put(const struct ssh_public *k, struct nk_buf *out)
{
    int rc = ssh_put_text(out, k->type->name);
    if (k->type->kind == SSH_KEY_RSA) {
        rc = rc < 0 ? rc : ssh_put_mpint(out, k->e.p, k->e.n);
        return rc < 0 ? rc : ssh_put_mpint(out, k->n.p, k->n.n);
    }
    if (k->type->kind == SSH_KEY_ECDSA) {
        char curve[16];
        snprintf(curve, sizeof(curve), "nistp%u", k->type->bits);
        rc = rc < 0 ? rc : ssh_put_text(out, curve);
    }
    rc = rc < 0 ? rc : ssh_put_string(out, k->point.p, k->point.n);
    if (k->type->sk) {
        rc = rc < 0 ? rc : ssh_put_string(out, k->application.p, k->application.n);
    }
    return rc;
}

static const char *short_type(const struct ssh_key_type *t)
{
    static const char *const names[][2] = {[SSH_KEY_ED25519] = {"ED25519", "ED25519-SK"},
                                           [SSH_KEY_ECDSA] = {"ECDSA", "ECDSA-SK"},
                                           [SSH_KEY_RSA] = {"RSA", "RSA"}};
    return names[t->kind][t->sk];
}

static const struct ssh_known_key *find(const struct ssh_host_policy *p,
                                        enum ssh_known_marker marker, struct ssh_str blob)
{
    const struct ssh_known_key *found = NULL;
    for (size_t i = 0; i < p->known.n; i++) {
        const struct ssh_known_key *k = &p->known.v[i];
        if (k->marker == marker && same(blob, k->blob, k->n) && (!found || found->portless)) {
            found = k;
        }
    }
    return found;
}

/* Is its base64 in the text? 1, 0 or -ENOMEM. */
static int in_revoked_text(const struct ssh_host_policy *p, struct ssh_str blob)
{
    struct nk_buf want;
    uint8_t *text;
    if (nk_buf_len(&p->revoked) == 0) {
        return 0;
    }
    nk_buf_init(&want, NK_BASE64_SIZE(SSH_BLOB_MAX));
    int rc = nk_buf_reserve(&want, NK_BASE64_SIZE(blob.n), &text);
    if (rc == 0) {
        nk_base64_encode((char *)text, blob.p, blob.n, true);
        rc = memmem(nk_buf_ptr(&p->revoked), nk_buf_len(&p->revoked), text,
                    NK_BASE64_SIZE(blob.n) - 1) != NULL;
    }
    nk_buf_clear(&want);
    return rc;
}

/* 1, 0 or an error, with what diag says. */
static int in_revoked_file(const struct ssh_host_policy *p, const struct ssh_public *k,
                           struct nk_diag *diag)
{
    if (krl_of(p).n > 0) {
        return ssh_krl_revoked(krl_of(p), k, plain_of(p), diag);
    }
    int rc = in_revoked_text(p, plain_of(p));
    rc = rc || !k->is_cert ? rc : in_revoked_text(p, k->cert.ca);
    return rc < 0 ? nk_fail_sys(diag, rc, "%s", p->conf.revoked_file) : rc;
}

static int check_revoked(const struct ssh_host_policy *p, const struct ssh_public *k,
                         struct nk_diag *diag)
{
    const struct ssh_known_key *found = find(p, SSH_KNOWN_REVOKED, plain_of(p));
    bool ca = false;
    if (!found && k->is_cert) {
        found = find(p, SSH_KNOWN_REVOKED, k->cert.ca);
        ca = found != NULL;
    }
    if (found) {
        return nk_fail(diag, NK_EVERIFY, "the key of %s%s is revoked (%s:%u)",
                       ca ? "the authority of " : "", shown(p), found->file, found->number);
    }
    int rc = in_revoked_file(p, k, diag);
    return rc > 0 ? nk_fail(diag, NK_EVERIFY, "the key of %s is revoked (%s)", shown(p),
                            p->conf.revoked_file)
                  : rc;
}

static int check_pins(const struct ssh_host_policy *p, const struct ssh_host_answer *a,
                      struct nk_diag *diag)
{
    for (size_t i = 0; i < p->conf.npins; i++) {
        if (ssh_pin_matches(p->conf.pins[i], plain_of(p))) {
            return 0;
        }
    }
    nk_fail(diag, NK_EVERIFY, "the %s key of %s has another fingerprint than was asked for: %s",
            a->type, shown(p), a->sha256);
    nk_hint(diag, "somebody may be in between; if not, give this fingerprint");
    return NK_EVERIFY;
}

/* CASignatureAlgorithms: a list, or a change to the list of everything that is supported. */
static bool ca_algorithm_allowed(const char *spec, struct ssh_str name)
{
    char text[64];
    if (!spec || *spec == '+' || *spec == '^') {
        return true;
    }
    if (name.n >= sizeof(text)) {
        return false;
    }
    snprintf(text, sizeof(text), "%.*s", (int)name.n, (const char *)name.p);
    bool without = *spec == '-';
    struct ssh_str list = {(const uint8_t *)spec + without, strlen(spec) - without};
    return (ssh_pattern_list(list, text, false) > 0) != without;
}

/* A certificate of a known authority. */
static int check_cert(const struct ssh_host_policy *p, const struct ssh_public *k, uint64_t now,
                      struct nk_diag *diag)
{
    struct ssh_str rest = k->cert.principals, name;
    struct nk_cur c;
    bool is_for = false;
    nk_cur_init(&c, k->cert.signature.p, k->cert.signature.n);
    if (!ca_algorithm_allowed(p->conf.ca_algorithms, ssh_cur_string(&c))) {
        return nk_fail(diag, NK_EVERIFY,
                       "the certificate of %s is signed with an algorithm that "
                       "CASignatureAlgorithms does not have",
                       shown(p));
    }
    int rc = ssh_cert_check(k, SSH_CERT_HOST, now, NULL, p->conf.min_rsa, diag);
    if (rc < 0) {
        nk_fail_context(diag, "%s", shown(p));
        return rc == NK_EAUTH ? NK_EVERIFY : rc;
    }
    while (!is_for && ssh_cert_principal(&rest, &name)) {
        is_for = ssh_pattern_match(name, p->conf.host, true);
    }
    return is_for
               ? 0
               : nk_fail(diag, NK_EVERIFY, "the certificate of %s is not for that name", shown(p));
}

/* A key that is known for this very name: of this type, or of any (NULL). */
static const struct ssh_known_key *other_key(const struct ssh_host_policy *p,
                                             const struct ssh_key_type *type)
{
    for (size_t i = 0; i < p->known.n; i++) {
        const struct ssh_known_key *k = &p->known.v[i];
        struct nk_cur c;
        nk_cur_init(&c, k->blob, k->n);
        if (k->marker == SSH_KNOWN_PLAIN && !k->portless &&
            (!type || ssh_str_is(ssh_cur_string(&c), type->name))) {
            return k;
        }
    }
    return NULL;
}

/* Scripts look for the words of the second line, which OpenSSH has, too. */
static int raise_alarm(struct ssh_host_policy *p, const struct ssh_host_answer *a,
                       const struct ssh_known_key *old, struct nk_diag *diag)
{
    static const char rule[] = "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@";
    snprintf(p->alarm, sizeof(p->alarm),
             "%s\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n%s\n"
             "%.128s has shown an %s key that is not the one in\n  %.256s, line %u\n"
             "Either it was given a new key, or another machine answers in its place and\n"
             "would read everything. The key that was shown:\n  %s\n  %s\n"
             "Compare this with what the host's administrator says. If it is right, remove what\n"
             "is remembered, and connect again:\n  netkit ssh-key known-hosts remove '%.300s'\n",
             rule, rule, shown(p), a->type, old->file, old->number, a->sha256, a->md5,
             p->known.name);
    nk_fail(diag, NK_EVERIFY, "%s has another key than the one remembered in %s:%u: %s %s",
            shown(p), old->file, old->number, a->type, a->sha256);
    nk_hint(diag, "if it was replaced on purpose: netkit ssh-key known-hosts remove '%s'",
            p->known.name);
    return NK_EVERIFY;
}

/* Nothing that is known agrees with the key. */
static int judge_unknown(struct ssh_host_policy *p, const struct ssh_public *k,
                         struct ssh_host_answer *a, struct nk_diag *diag)
{
    enum ssh_checking how = p->conf.checking;
    const struct ssh_known_key *old = other_key(p, k->type);
    if (!old && how != SSH_CHECKING_ASK) {
        old =
            other_key(p, NULL); /* a new type of key is asked about only: it may be a way around */
    }
    if (old) {
        (void)raise_alarm(p, a, old, diag);
        a->how = SSH_HOST_CHANGED;
        a->file = old->file;
        a->number = old->number;
        return how == SSH_CHECKING_NO ? 0 : NK_EVERIFY;
    }
    a->how = how == SSH_CHECKING_ASK ? SSH_HOST_ASK : SSH_HOST_NEW;
    if (how == SSH_CHECKING_YES || (how == SSH_CHECKING_ASK && !p->conf.ask)) {
        nk_fail(diag, NK_EVERIFY, "%s is not known; its %s key is %s", shown(p), a->type,
                a->sha256);
        nk_hint(diag, "check the fingerprint, then give it with --fingerprint, or add the key with "
                      "netkit ssh-key known-hosts add");
        return NK_EVERIFY;
    }
    return 0;
}

static int judge(struct ssh_host_policy *p, const struct ssh_public *k, uint64_t now,
                 struct ssh_host_answer *a, struct nk_diag *diag)
{
    const struct ssh_known_key *ca = k->is_cert ? find(p, SSH_KNOWN_CA, k->cert.ca) : NULL;
    struct nk_diag why = {0};
    int rc = check_revoked(p, k, diag);
    if (rc < 0) {
        return rc;
    }
    if (p->conf.npins > 0) {
        a->how = SSH_HOST_PIN;
        return check_pins(p, a, diag);
    }
    int cert = ca ? check_cert(p, k, now, &why) : 0;
    const struct ssh_known_key *found =
        ca && cert == 0 ? ca : find(p, SSH_KNOWN_PLAIN, plain_of(p));
    if (found) {
        a->how = found == ca ? SSH_HOST_CA : SSH_HOST_KNOWN;
        a->file = found->file;
        a->number = found->number;
        return 0;
    }
    if (cert < 0) {
        if (diag) {
            *diag = why;
            diag->code = cert;
        }
        return cert;
    }
    return judge_unknown(p, k, a, diag);
}

int ssh_host_policy_check(struct ssh_host_policy *p, struct ssh_str blob, uint64_t now,
                          struct ssh_host_answer *out, struct nk_diag *diag)
{
    struct ssh_host_answer a = {0};
    struct ssh_public k;
    p->alarm[0] = '\0';
    nk_buf_reset(&p->plain);
    int rc = ssh_public_parse(blob, p->conf.min_rsa, &k, diag);
    if (rc < 0) {
        return rc;
    }
    rc = ssh_plain_put(&k, &p->plain);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "the key of %s", shown(p));
    }
    a.type = short_type(k.type);
    ssh_fingerprint_sha256(plain_of(p), a.sha256);
    ssh_fingerprint_md5(plain_of(p), a.md5);
    rc = judge(p, &k, now, &a, diag);
    if (rc == 0) {
        *out = a;
    }
    return rc;
}

/* --- asking and learning ---------------------------------------------------------------------- */

int ssh_host_policy_question(const struct ssh_host_policy *p, const struct ssh_host_answer *a,
                             struct nk_buf *out)
{
    const struct ssh_known_key *other = other_key(p, NULL);
    size_t before = nk_buf_len(out);
    int rc = nk_buf_printf(out, "%s is not known yet. The fingerprint of its %s key is\n  %s\n",
                           shown(p), a->type, a->sha256);
    if (rc == 0 && other) {
        rc = nk_buf_printf(out, "It is known with a key of another type (%s:%u).\n", other->file,
                           other->number);
    }
    rc = rc < 0 ? rc
                : nk_buf_puts(out, "Is it the right one? It will be remembered "
                                   "(yes/no, or the fingerprint you expect): ");
    if (rc < 0) {
        out->len = before;
    }
    return rc;
}

int ssh_host_policy_reply(const struct ssh_host_answer *a, const char *typed, size_t n)
{
    char text[SSH_FINGERPRINT_SIZE];
    while (n && isspace((unsigned char)*typed)) {
        typed++;
        n--;
    }
    while (n && isspace((unsigned char)typed[n - 1])) {
        n--;
    }
    if (n >= sizeof(text)) {
        return NK_EAGAIN;
    }
    memcpy(text, typed, n);
    text[n] = '\0';
    if (strcasecmp(text, "no") == 0) {
        return 0;
    }
    const char *md5 = md5_part(text);
    bool yes = strcasecmp(text, "yes") == 0 || strcmp(text, a->sha256) == 0 ||
               (md5 && strcasecmp(md5, a->md5 + 4) == 0);
    if (!yes && ssh_pin_check(text, NULL) == 0) {
        return 0; /* a fingerprint, and another one */
    }
    return yes ? 1 : NK_EAGAIN;
}

int ssh_host_policy_learn(struct ssh_host_policy *p, struct nk_diag *diag)
{
    struct nk_buf line;
    if (p->conf.nuser == 0) {
        return 0;
    }
    nk_buf_init(&line, 2 * (size_t)SSH_BLOB_MAX);
    int rc = ssh_known_put(&line, SSH_KNOWN_PLAIN, p->known.name, p->conf.hash, plain_of(p), NULL);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "%s", p->conf.user_files[0])
                : ssh_known_hosts_append(p->conf.user_files[0], nk_buf_ptr(&line),
                                         nk_buf_len(&line), diag);
    nk_buf_clear(&line);
    return rc;
}
