/* SPDX-License-Identifier: MIT */
/*
 * New certificates. Names are put together as ASN.1 values, not as a string to be parsed again: a
 * comma or a backslash in an organisation's name is just a character.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* the writer's subject and issuer lists have no setter for   \
                                        values */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sodium.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform.h>
#include <mbedtls/x509_crt.h>

#include "base/codec.h"
#include "base/utc.h"
#include "base/utf8.h"
#include "glue.h"
#include "tls/internal.h"
#include "tls/tls.h"

enum {
    UB_COMMON_NAME = 64, /* RFC 5280 appendix A.1, upper bounds */
    UB_ORGANIZATION = 64,
    UB_UNIT = 64,
    UB_STATE = 128,
    UB_LOCALITY = 128,
    UB_EMAIL = 255,
    COUNTRY_LEN = 2,
    SERIAL_MAX = 20, /* RFC 5280 §4.1.2.2 */
    SERIAL_RANDOM = 16,
    KEY_ID_LEN = 20, /* RFC 7093 §2 method 1: leftmost 160 bits of SHA-256 */
    KEY_PEM_MAX = 1024,
    KEY_DER_MAX = MBEDTLS_MPI_MAX_SIZE + 64, /* a public RSA key: modulus, exponent, heads */
    CERT_PEM_MAX = 16 * 1024,
    MAX_SANS = 64,
    ASN1_TIME_LEN = 15 /* "YYYYMMDDhhmmss" and NUL */
};

struct writer {
    mbedtls_x509write_cert crt;
    mbedtls_pk_context key;
    mbedtls_pk_context issuer_key;
    mbedtls_x509_crt issuer;
    mbedtls_x509_csr csr;
    mbedtls_pk_context *subject_key; /* `key`, or the request's */
    mbedtls_x509_san_list sans[MAX_SANS];
    uint8_t ips[MAX_SANS][16];
    size_t nsans;
};

/* --- subject and issuer ----------------------------------------------------------------------- */

static int add_value(mbedtls_asn1_named_data **list, const void *oid, size_t oid_len, int tag,
                     const void *p, size_t n)
{
    mbedtls_asn1_named_data *d = mbedtls_calloc(1, sizeof(*d));
    if (!d) {
        return -ENOMEM;
    }
    d->next = *list; /* the writer works from the last one to the first */
    *list = d;
    d->oid.p = mbedtls_calloc(1, oid_len);
    d->val.p = mbedtls_calloc(1, n ? n : 1);
    if (!d->oid.p || !d->val.p) {
        return -ENOMEM;
    }
    memcpy(d->oid.p, oid, oid_len);
    memcpy(d->val.p, p, n);
    d->oid.len = oid_len;
    d->oid.tag = MBEDTLS_ASN1_OID;
    d->val.len = n;
    d->val.tag = tag;
    return 0;
}

struct name_field {
    const char *what, *oid;
    size_t oid_len, min, max;
    int tag;
    const char *value;
};

static int check_field(const struct name_field *f, struct nk_diag *diag)
{
    size_t n = strlen(f->value);
    if (n < f->min || n > f->max) {
        return nk_fail(diag, NK_ECONFIG, "certificate: %s must have %zu to %zu bytes, not %zu",
                       f->what, f->min, f->max, n);
    }
    if (!nk_utf8_valid(f->value, n)) {
        return nk_fail(diag, NK_ECONFIG, "certificate: %s is not valid UTF-8", f->what);
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)f->value[i];
        if (c < 0x20 || c == 0x7f || (c > 0x7f && f->tag != MBEDTLS_ASN1_UTF8_STRING)) {
            return nk_fail(diag, NK_ECONFIG, "certificate: %s has a character that is not allowed",
                           f->what);
        }
    }
    return 0;
}

#define OID(x) (x), MBEDTLS_OID_SIZE(x)

/* A name that was parsed, value by value. */
static int copy_name(mbedtls_asn1_named_data **list, const mbedtls_x509_name *n)
{
    int rc = 0;
    for (; rc == 0 && n && n->oid.p; n = n->next) {
        rc = add_value(list, n->oid.p, n->oid.len, n->val.tag, n->val.p, n->val.len);
    }
    return rc;
}

static int set_subject(struct writer *w, const struct tls_cert_spec *s, struct nk_diag *diag)
{
    if (s->csr && !s->cn) {
        return copy_name(&w->crt.subject, &w->csr.subject);
    }
    const struct name_field fields[] = {
        {"the country", OID(MBEDTLS_OID_AT_COUNTRY), COUNTRY_LEN, COUNTRY_LEN,
         MBEDTLS_ASN1_PRINTABLE_STRING, s->country},
        {"the state", OID(MBEDTLS_OID_AT_STATE), 1, UB_STATE, MBEDTLS_ASN1_UTF8_STRING, s->state},
        {"the locality", OID(MBEDTLS_OID_AT_LOCALITY), 1, UB_LOCALITY, MBEDTLS_ASN1_UTF8_STRING,
         s->locality},
        {"the organization", OID(MBEDTLS_OID_AT_ORGANIZATION), 1, UB_ORGANIZATION,
         MBEDTLS_ASN1_UTF8_STRING, s->org},
        {"the unit", OID(MBEDTLS_OID_AT_ORG_UNIT), 1, UB_UNIT, MBEDTLS_ASN1_UTF8_STRING, s->unit},
        {"the email", OID(MBEDTLS_OID_PKCS9_EMAIL), 1, UB_EMAIL, MBEDTLS_ASN1_IA5_STRING, s->email},
        {"the common name (cn)", OID(MBEDTLS_OID_AT_CN), 1, UB_COMMON_NAME,
         MBEDTLS_ASN1_UTF8_STRING, s->cn ? s->cn : ""},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const struct name_field *f = &fields[i];
        int rc = f->value ? check_field(f, diag) : 0;
        if (rc == 0 && f->value) {
            rc = add_value(&w->crt.subject, f->oid, f->oid_len, f->tag, f->value, strlen(f->value));
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* The issuer's name is the CA's subject, value by value, or our own. */
static int set_issuer_name(struct writer *w, bool self)
{
    if (!self) {
        return copy_name(&w->crt.issuer, &w->issuer.subject);
    }
    mbedtls_asn1_named_data **end = &w->crt.issuer;
    for (const mbedtls_asn1_named_data *n = w->crt.subject; n; n = n->next) {
        int rc = add_value(end, n->oid.p, n->oid.len, n->val.tag, n->val.p, n->val.len);
        if (rc < 0) {
            return rc;
        }
        end = &(*end)->next;
    }
    return 0;
}

/* --- extensions ------------------------------------------------------------------------------- */

static bool is_ip(const char *s, uint8_t ip[16], size_t *n)
{
    *n = inet_pton(AF_INET, s, ip) == 1 ? 4 : inet_pton(AF_INET6, s, ip) == 1 ? 16 : 0;
    return *n != 0;
}

static bool printable(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] <= 0x20 || p[i] >= 0x7f) {
            return false;
        }
    }
    return n > 0;
}

/* "DNS:x", "IP:x", "URI:x", "EMAIL:x"; without a prefix by what it looks like. */
static int parse_san(struct writer *w, const char *text, struct nk_diag *diag)
{
    static const struct {
        const char *prefix;
        int type;
    } kinds[] = {{"DNS:", MBEDTLS_X509_SAN_DNS_NAME},
                 {"IP:", MBEDTLS_X509_SAN_IP_ADDRESS},
                 {"URI:", MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER},
                 {"EMAIL:", MBEDTLS_X509_SAN_RFC822_NAME}};
    int type = 0;
    size_t n;
    if (w->nsans == MAX_SANS) {
        return nk_fail(diag, NK_ECONFIG, "certificate: more than %d alternative names", MAX_SANS);
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len = strlen(kinds[i].prefix);
        if (strncasecmp(text, kinds[i].prefix, len) == 0) {
            type = kinds[i].type;
            text += len;
            break;
        }
    }
    uint8_t *ip = w->ips[w->nsans];
    bool address = is_ip(text, ip, &n);
    if (type == 0) {
        type = address               ? MBEDTLS_X509_SAN_IP_ADDRESS
               : strstr(text, "://") ? MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER
               : strchr(text, '@')   ? MBEDTLS_X509_SAN_RFC822_NAME
                                     : MBEDTLS_X509_SAN_DNS_NAME;
    }
    bool ok = type == MBEDTLS_X509_SAN_IP_ADDRESS ? address : *text && strlen(text) <= UB_EMAIL;
    if (!ok || !printable((const uint8_t *)text, strlen(text))) { /* IA5String without blanks */
        return nk_fail(diag, NK_ECONFIG, "certificate: '%s' is not a usable alternative name",
                       text);
    }
    mbedtls_x509_san_list *san = &w->sans[w->nsans];
    san->node.type = type;
    san->node.san.unstructured_name.p =
        address && type == MBEDTLS_X509_SAN_IP_ADDRESS ? ip : (unsigned char *)(uintptr_t)text;
    san->node.san.unstructured_name.len = type == MBEDTLS_X509_SAN_IP_ADDRESS ? n : strlen(text);
    /* the writer works from the last one to the first */
    san->next = w->nsans > 0 ? san - 1 : NULL;
    w->nsans++;
    return 0;
}

/* The names of the request, borrowed from it. */
static int take_sans(struct writer *w, struct nk_diag *diag)
{
    const mbedtls_x509_sequence *s = &w->csr.subject_alt_names;
    for (; s && s->buf.p; s = s->next) {
        int type = s->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
        bool ip = type == MBEDTLS_X509_SAN_IP_ADDRESS;
        bool known = ip || type == MBEDTLS_X509_SAN_DNS_NAME ||
                     type == MBEDTLS_X509_SAN_RFC822_NAME ||
                     type == MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER;
        if (!known || w->nsans == MAX_SANS ||
            !(ip ? s->buf.len == 4 || s->buf.len == 16
                 : s->buf.len <= UB_EMAIL && printable(s->buf.p, s->buf.len))) {
            nk_fail(
                diag, NK_ECONFIG,
                "the request has alternative names of another kind, wrong ones, or more than %d",
                MAX_SANS);
            nk_hint(diag, "say the names with --san");
            return NK_ECONFIG;
        }
        mbedtls_x509_san_list *san = &w->sans[w->nsans];
        san->node.type = type;
        san->node.san.unstructured_name.p = s->buf.p;
        san->node.san.unstructured_name.len = s->buf.len;
        san->next = w->nsans > 0 ? san - 1 : NULL;
        w->nsans++;
    }
    return 0;
}

static int set_sans(struct writer *w, const struct tls_cert_spec *s, struct nk_diag *diag)
{
    if (s->csr && s->nsans == 0) {
        int rc = take_sans(w, diag);
        if (rc < 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < s->nsans; i++) {
        int rc = parse_san(w, s->sans[i], diag);
        if (rc < 0) {
            return rc;
        }
    }
    return w->nsans ? tls_check(mbedtls_x509write_crt_set_subject_alternative_name(
                                    &w->crt, &w->sans[w->nsans - 1]),
                                NK_EINTERNAL, diag, "alternative names")
                    : 0;
}

static int key_id(mbedtls_pk_context *pk, uint8_t id[KEY_ID_LEN])
{
    uint8_t buf[KEY_DER_MAX], hash[TLS_HASH], *p = buf + sizeof(buf);
    int n = mbedtls_pk_write_pubkey(&p, buf, pk);
    if (n < 0) {
        return n;
    }
    crypto_hash_sha256(hash, p, (unsigned long long)n);
    memcpy(id, hash, KEY_ID_LEN);
    return 0;
}

/* Subject and authority key identifiers (RFC 5280 §4.2.1.1, §4.2.1.2): verifiers in strict mode ask
 * for them. mbedTLS writes them only with SHA-1. */
static int set_key_ids(struct writer *w, bool self, struct nk_diag *diag)
{
    uint8_t ski[2 + KEY_ID_LEN] = {MBEDTLS_ASN1_OCTET_STRING, KEY_ID_LEN};
    uint8_t aki[4 + 64] = {0};
    int rc = key_id(w->subject_key, ski + 2);
    if (rc == 0) {
        rc = mbedtls_x509write_crt_set_extension(&w->crt, OID(MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER),
                                                 0, ski, sizeof(ski));
    }
    const uint8_t *id = self ? ski + 2 : w->issuer.subject_key_id.p;
    size_t n = self ? KEY_ID_LEN : w->issuer.subject_key_id.len;
    if (rc != 0 || !id || n == 0 || n > 64) {
        return tls_check(rc, NK_EINTERNAL, diag, "key identifier");
    }
    aki[0] = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    aki[1] = (uint8_t)(n + 2);
    aki[2] = MBEDTLS_ASN1_CONTEXT_SPECIFIC; /* [0] keyIdentifier */
    aki[3] = (uint8_t)n;
    memcpy(aki + 4, id, n);
    rc = mbedtls_x509write_crt_set_extension(&w->crt, OID(MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER), 0,
                                             aki, n + 4);
    return tls_check(rc, NK_EINTERNAL, diag, "key identifier");
}

static int set_usage(struct writer *w, bool ca, enum tls_usage usage, struct nk_diag *diag)
{
    mbedtls_asn1_sequence client = {
        .buf = {.tag = MBEDTLS_ASN1_OID,
                .len = MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH),
                .p = (unsigned char *)(uintptr_t)MBEDTLS_OID_CLIENT_AUTH}};
    mbedtls_asn1_sequence server = {
        .buf = {.tag = MBEDTLS_ASN1_OID,
                .len = MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH),
                .p = (unsigned char *)(uintptr_t)MBEDTLS_OID_SERVER_AUTH},
        .next = usage == TLS_USE_BOTH ? &client : NULL};
    int rc = mbedtls_x509write_crt_set_basic_constraints(&w->crt, ca, ca ? 0 : -1);
    if (rc == 0 && ca) {
        rc = mbedtls_x509write_crt_set_key_usage(&w->crt, MBEDTLS_X509_KU_KEY_CERT_SIGN |
                                                              MBEDTLS_X509_KU_CRL_SIGN);
    } else if (rc == 0) {
        /* no keyUsage: without keyCertSign in it some verifiers refuse a self-signed certificate as
         * its own trust anchor */
        rc = mbedtls_x509write_crt_set_ext_key_usage(&w->crt,
                                                     usage == TLS_USE_CLIENT ? &client : &server);
    }
    return tls_check(rc, NK_EINTERNAL, diag, "key usage");
}

/* --- validity and serial ---------------------------------------------------------------------- */

static bool asn1_time(char out[ASN1_TIME_LEN], int64_t t)
{
    char text[NK_UTC_SIZE];
    size_t n = 0;
    if (t < 0 || !nk_format_utc(text, t)) {
        return false;
    }
    for (const char *p = text; *p && n < ASN1_TIME_LEN - 1; p++) {
        if (*p >= '0' && *p <= '9') {
            out[n++] = *p;
        }
    }
    out[n] = '\0';
    return n == ASN1_TIME_LEN - 1;
}

static int set_validity(struct writer *w, const struct tls_cert_spec *s, struct nk_diag *diag)
{
    char from[ASN1_TIME_LEN], to[ASN1_TIME_LEN];
    if (s->not_before >= s->not_after || !asn1_time(from, s->not_before) ||
        !asn1_time(to, s->not_after)) {
        return nk_fail(diag, NK_ECONFIG,
                       "certificate: the validity must start before it ends, "
                       "between the years 1970 and 9999");
    }
    return tls_check(mbedtls_x509write_crt_set_validity(&w->crt, from, to), NK_EINTERNAL, diag,
                     "validity");
}

/* Decimal digits to big-endian bytes; false when not a number or longer than SERIAL_MAX bytes. */
static bool parse_decimal(const char *s, uint8_t out[SERIAL_MAX])
{
    memset(out, 0, SERIAL_MAX);
    if (!*s) {
        return false;
    }
    for (; *s; s++) {
        unsigned carry = (unsigned)(*s - '0');
        if (carry > 9) {
            return false;
        }
        for (int i = SERIAL_MAX - 1; i >= 0; i--) {
            carry += out[i] * 10U;
            out[i] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry) {
            return false;
        }
    }
    return true;
}

static bool parse_hex(const char *s, uint8_t out[SERIAL_MAX])
{
    char padded[SERIAL_MAX * 2 + 1];
    size_t n = strlen(s);
    if (n == 0 || n > SERIAL_MAX * 2) {
        return false;
    }
    memset(padded, '0', sizeof(padded) - 1);
    memcpy(padded + sizeof(padded) - 1 - n, s, n + 1);
    return nk_hex_decode(out, SERIAL_MAX, padded, SERIAL_MAX * 2, false) == SERIAL_MAX;
}

static int set_serial(struct writer *w, const char *text, struct nk_diag *diag)
{
    uint8_t serial[SERIAL_MAX] = {0};
    uint8_t *p = serial;
    if (!text) {
        nk_random(serial + SERIAL_MAX - SERIAL_RANDOM, SERIAL_RANDOM);
        /* positive, and never shorter than 16 bytes */
        serial[SERIAL_MAX - SERIAL_RANDOM] = (serial[SERIAL_MAX - SERIAL_RANDOM] & 0x3f) | 0x40;
    } else if (!(strncmp(text, "0x", 2) == 0 ? parse_hex(text + 2, serial)
                                             : parse_decimal(text, serial)) ||
               (serial[0] & 0x80)) {
        return nk_fail(diag, NK_ECONFIG,
                       "certificate: '%s' is not a serial number: decimal or "
                       "0x-hexadecimal, at most 159 bits",
                       text);
    }
    while (p < serial + SERIAL_MAX - 1 && *p == 0) {
        p++;
    }
    if (p == serial + SERIAL_MAX - 1 && *p == 0) {
        return nk_fail(diag, NK_ECONFIG, "certificate: the serial number must be positive");
    }
    return tls_check(
        mbedtls_x509write_crt_set_serial_raw(&w->crt, p, (size_t)(serial + SERIAL_MAX - p)),
        NK_EINTERNAL, diag, "serial number");
}

/* --- all together ----------------------------------------------------------------------------- */

static int load_issuer(struct writer *w, const struct tls_cert_spec *s, struct nk_diag *diag)
{
    int rc = mbedtls_x509_crt_parse(&w->issuer, (const unsigned char *)s->issuer_cert,
                                    strlen(s->issuer_cert) + 1);
    if (rc != 0) {
        return tls_check(rc, NK_EFORMAT, diag, "the CA's certificate cannot be read");
    }
    if (!s->issuer_key || tls_parse_key(&w->issuer_key, s->issuer_key) != 0) {
        return nk_fail(diag, NK_EFORMAT, "the CA's private key cannot be read");
    }
    if (mbedtls_pk_check_pair(&w->issuer.pk, &w->issuer_key, nk_glue_random, NULL) != 0) {
        return nk_fail(diag, NK_ECONFIG, "the CA's private key does not belong to its certificate");
    }
    if (!w->issuer.ca_istrue) {
        return nk_fail(diag, NK_ECONFIG, "the issuer is not a CA: its certificate has no CA:TRUE");
    }
    return 0;
}

static int make_key(mbedtls_pk_context *key, struct nk_diag *diag)
{
    int rc = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (rc == 0) {
        rc = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), nk_glue_random,
                                 NULL);
    }
    return tls_check(rc, NK_EINTERNAL, diag, "new key");
}

static int fill(struct writer *w, const struct tls_cert_spec *s, struct nk_diag *diag)
{
    bool self = s->issuer_cert == NULL;
    int rc = self ? 0 : load_issuer(w, s, diag);
    if (rc == 0 && s->csr) {
        rc = tls_csr_load(&w->csr, s->csr, s->csr_len, diag);
    }
    if (rc == 0) {
        rc = set_subject(w, s, diag);
    }
    if (rc == 0) {
        rc = set_issuer_name(w, self);
    }
    if (rc == 0) {
        rc = set_validity(w, s, diag);
    }
    if (rc == 0) {
        rc = set_serial(w, s->serial, diag);
    }
    if (rc == 0) {
        rc = set_sans(w, s, diag);
    }
    if (rc == 0) {
        rc = set_usage(w, s->ca, s->usage, diag);
    }
    if (rc == 0 && !s->csr) {
        rc = make_key(&w->key, diag);
    }
    return rc == 0 ? set_key_ids(w, self, diag) : rc;
}

/* Writes both texts to scratch memory, then hands them over together. */
static int emit(struct writer *w, bool self, struct nk_secret *scratch, uint8_t *cert,
                struct nk_diag *diag)
{
    mbedtls_x509write_crt_set_subject_key(&w->crt, w->subject_key);
    mbedtls_x509write_crt_set_issuer_key(&w->crt, self ? &w->key : &w->issuer_key);
    mbedtls_x509write_crt_set_md_alg(&w->crt, MBEDTLS_MD_SHA256);
    int rc = mbedtls_x509write_crt_pem(&w->crt, cert, CERT_PEM_MAX, nk_glue_random, NULL);
    if (rc == 0 && w->subject_key == &w->key) {
        rc = mbedtls_pk_write_key_pem(&w->key, scratch->data, KEY_PEM_MAX);
    }
    return tls_check(rc, NK_EINTERNAL, diag, "signing the certificate");
}

static int sign(struct writer *w, bool self, struct nk_secret *key_pem, struct nk_buf *cert_pem,
                struct nk_diag *diag)
{
    struct nk_secret scratch = {0}, key = {0};
    uint8_t *cert = malloc(CERT_PEM_MAX);
    int rc = cert ? nk_secret_alloc(&scratch, KEY_PEM_MAX) : -ENOMEM;
    if (rc == 0) {
        rc = emit(w, self, &scratch, cert, diag);
    }
    if (rc == 0 && w->subject_key == &w->key) {
        rc = nk_secret_set(&key, scratch.data, strlen((char *)scratch.data));
    }
    if (rc == 0) {
        rc = nk_buf_put(cert_pem, cert, strlen((char *)cert));
    }
    if (rc == 0 && w->subject_key == &w->key) {
        nk_secret_clear(key_pem);
        *key_pem = key;
    } else {
        nk_secret_clear(&key);
    }
    nk_secret_clear(&scratch);
    free(cert);
    return rc;
}

int tls_cert_generate(const struct tls_cert_spec *spec, struct nk_secret *key_pem,
                      struct nk_buf *cert_pem, struct nk_diag *diag)
{
    struct writer *w = calloc(1, sizeof(*w));
    int rc = tls_crypto_start(diag);
    if (rc < 0 || !w) {
        free(w);
        return rc < 0 ? rc : nk_fail_sys(diag, -ENOMEM, "certificate");
    }
    mbedtls_x509write_crt_init(&w->crt);
    mbedtls_x509write_crt_set_version(&w->crt, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_pk_init(&w->key);
    mbedtls_pk_init(&w->issuer_key);
    mbedtls_x509_csr_init(&w->csr);
    w->subject_key = spec->csr ? &w->csr.pk : &w->key;
    mbedtls_x509_crt_init(&w->issuer);
    rc = fill(w, spec, diag);
    if (rc == 0) {
        rc = sign(w, spec->issuer_cert == NULL, key_pem, cert_pem, diag);
    }
    if (rc == -ENOMEM) {
        nk_fail_sys(diag, rc, "certificate");
    }
    mbedtls_x509write_crt_free(&w->crt);
    mbedtls_pk_free(&w->key);
    mbedtls_pk_free(&w->issuer_key);
    mbedtls_x509_crt_free(&w->issuer);
    mbedtls_x509_csr_free(&w->csr);
    nk_free_wiped(w, sizeof(*w));
    return rc;
}
