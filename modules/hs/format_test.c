/* SPDX-License-Identifier: MIT */
/* Every form, read and written: known bytes, round trips, and what is refused, with the reason. */
#include "hs/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/codec.h"
#include "base/onion.h"
#include "base/openssh_key.h"
#include "base/secret.h"

/* The seed 00 01 .. 1f, and a client's secret; facts about them. */
static const char SEED[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static const char EXPANDED[] = "3894eea49c580aef816935762be049559d6d1440dede12e6a125f1841fff8e6f"
                               "a9d71862a3e5746b571be3d187b0041046f52ebd850c7cbd5fde8ee38473b649";
static const char CONTROL[] = "ED25519-V3:OJTupJxYCu+BaTV2K+BJVZ1tFEDe3hLmoSXxhB//jm+p1xhio+V0a1cb"
                              "49GHsAQQRvUuvYUMfL1f3o7jhHO2SQ==";
static const char ADDRESS[] = "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead";
static const char PUBLIC[] = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
static const char CLIENT[] = "7b3e3e96665bef9f157324d743d62c1bd4d37033dc16a5a59acec98bc7452442";
static const char CLIENT_PUBLIC[] =
    "8532418bc14aa1e65a02773faa81fad6dc74db9dac5afba41bf7a497bc36834c";
static const char CLIENT_CONTROL[] = "x25519:ez4+lmZb758VcyTXQ9YsG9TTcDPcFqWlms7Ji8dFJEI=";
static const char AUTH[] =
    "descriptor:x25519:QUZEDC6BJKQ6MWQCO472VAP223OHJW45VRNPXJA366SJPPBWQNGA\n";
static const char ARTI_LINE[] = "x25519@spec.torproject.org AAAAGngyNTUxOUBzcGVjLnRvcnByb2plY3Qub3"
                                "JnAAAAIIUyQYvBSqHmWgJ3P6qB+tbcdNudrFr7pBv3pJe8NoNM";
/* What `openssl pkey` writes for this seed and this client. */
static const char PEM[] = "-----BEGIN PRIVATE KEY-----\n"
                          "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
                          "-----END PRIVATE KEY-----\n";
static const char PEM_PUBLIC[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n"
                                 "-----END PUBLIC KEY-----\n";
static const char CLIENT_PEM[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VuBCIEIHs+PpZmW++fFXMk10PWLBvU03Az3BalpZrOyYvHRSRC\n"
    "-----END PRIVATE KEY-----\n";

static void unhex(uint8_t *out, size_t n, const char *hex)
{
    assert_int_equal(nk_hex_decode(out, n, hex, strlen(hex), false), (ssize_t)n);
}

static struct hs_item identity(void)
{
    uint8_t seed[HS_SEED];
    struct hs_identity k;
    struct hs_item item;
    unhex(seed, sizeof(seed), SEED);
    assert_int_equal(hs_identity_from_seed(&k, seed), 0);
    hs_item_from_identity(&item, &k);
    return item;
}

static struct hs_item client(void)
{
    uint8_t secret[HS_CLIENT_SECRET], address[HS_PUBLIC_KEY];
    struct hs_client k;
    struct hs_item item;
    unhex(secret, sizeof(secret), CLIENT);
    unhex(address, sizeof(address), PUBLIC);
    assert_int_equal(hs_client_from_secret(&k, secret, NULL), 0);
    hs_item_from_client(&item, &k, address);
    return item;
}

static void write_item(const struct hs_item *item, enum hs_format f, struct nk_buf *out)
{
    struct nk_diag diag;
    nk_buf_init_secret(out, HS_FORMAT_MAX);
    int rc = hs_format_write(item, f, out, &diag);
    if (rc < 0) {
        print_error("%s: %s\n", hs_format_info(f)->name, diag.text);
    }
    assert_int_equal(rc, 0);
}

static void assert_written(const struct hs_item *item, enum hs_format f, const void *p, size_t n)
{
    struct nk_buf out;
    write_item(item, f, &out);
    assert_int_equal(nk_buf_len(&out), n);
    assert_memory_equal(nk_buf_ptr(&out), p, n);
    nk_buf_clear(&out);
}

static void assert_hash(const struct hs_item *item, enum hs_format f, const char *sha256)
{
    struct nk_buf out;
    uint8_t hash[crypto_hash_sha256_BYTES];
    char hex[NK_HEX_SIZE(crypto_hash_sha256_BYTES)];
    write_item(item, f, &out);
    crypto_hash_sha256(hash, nk_buf_ptr(&out), nk_buf_len(&out));
    nk_hex_encode(hex, hash, sizeof(hash));
    assert_string_equal(hex, sha256);
    nk_buf_clear(&out);
}

/* --- known bytes ------------------------------------------------------------------------------ */

static void known_bytes(void **state)
{
    struct hs_item service = identity(), c = client();
    char text[256];
    (void)state;
    assert_hash(&service, HS_CTOR_SECRET,
                "b61b8d4857231c59415962c57dd0bc879220c2a445d8a9ab98f31d8f011b4571");
    assert_hash(&service, HS_ARTI_PRIVATE,
                "d9ba384a45c66938ce656db56cee8b980601c859c248cd5f4fb9a0061d64f118");
    assert_hash(&c, HS_ARTI_PRIVATE,
                "13a21327d5a3b76758c276b1290d66fb26f7323cfe746c84d8d331711778de69");
    assert_written(&service, HS_CONTROL, CONTROL, strlen(CONTROL));
    assert_written(&c, HS_CONTROL, CLIENT_CONTROL, strlen(CLIENT_CONTROL));
    assert_written(&c, HS_AUTH, AUTH, strlen(AUTH));
    assert_written(&c, HS_ARTI_PUBLIC, ARTI_LINE, strlen(ARTI_LINE));
    assert_written(&service, HS_PEM, PEM, strlen(PEM));
    assert_written(&service, HS_PEM_PUBLIC, PEM_PUBLIC, strlen(PEM_PUBLIC));
    assert_written(&c, HS_PEM, CLIENT_PEM, strlen(CLIENT_PEM));
    snprintf(text, sizeof(text), "%s.onion\n", ADDRESS);
    assert_written(&service, HS_HOSTNAME, text, strlen(text));
    snprintf(text, sizeof(text), "%s\n", EXPANDED);
    assert_written(&service, HS_HEX, text, strlen(text));
    snprintf(text, sizeof(text), "%s\n", SEED);
    assert_written(&service, HS_SEED_HEX, text, strlen(text));
    snprintf(text, sizeof(text), "%s\n", CLIENT_PUBLIC);
    assert_written(&c, HS_HEX_PUBLIC, text, strlen(text));
    snprintf(text, sizeof(text),
             "%s:descriptor:x25519:pm7d5ftglpxz6fltetluhvrmdpkng4bt3qlkljm2z3eyxr2ferba", ADDRESS);
    assert_written(&c, HS_AUTH_PRIVATE, text, strlen(text));
}

/* --- round trips ------------------------------------------------------------------------------ */

static void assert_same(const struct hs_item *a, const struct hs_item *b, bool seed)
{
    assert_int_equal(a->kind, b->kind);
    assert_memory_equal(hs_item_pub(a), hs_item_pub(b), HS_PUBLIC_KEY);
    if (!hs_item_has_secret(b)) {
        return;
    }
    if (a->kind == HS_CLIENT) {
        assert_memory_equal(a->client.secret, b->client.secret, HS_CLIENT_SECRET);
    } else if (b->format == HS_ARTI_PRIVATE) {
        uint8_t reduced[HS_EXPANDED];
        hs_identity_reduced(reduced, &a->identity);
        assert_memory_equal(reduced, b->identity.secret, HS_EXPANDED);
    } else {
        assert_memory_equal(a->identity.secret, b->identity.secret, HS_EXPANDED);
    }
    assert_int_equal(b->kind == HS_IDENTITY && b->identity.has_seed, seed);
}

static bool holds(const struct hs_item *item, enum hs_format f)
{
    unsigned kind = item->kind == HS_CLIENT ? HS_HOLDS_CLIENT : HS_HOLDS_IDENTITY;
    return (hs_format_info(f)->holds & kind) != 0;
}

/* Every form reads as what was written, with a white space behind it if it is text, and detected
 * where it can be; writing once more gives the same bytes. */
static void round_trip(const struct hs_item *item, enum hs_format f)
{
    const unsigned what = hs_format_info(f)->holds;
    struct hs_hints asked = {.format = f, .kind = item->kind}, free = {.format = HS_DETECT};
    struct nk_buf out, again;
    struct hs_item back;
    write_item(item, f, &out);
    assert_int_equal(hs_format_read_as(nk_buf_ptr(&out), nk_buf_len(&out), &asked, &back, NULL), 0);
    assert_int_equal(back.format, f);
    assert_int_equal(hs_item_has_secret(&back), (what & HS_HOLDS_SECRET) != 0);
    assert_same(item, &back, item->kind == HS_IDENTITY && (what & HS_HOLDS_SEED));
    write_item(&back, f, &again);
    assert_int_equal(nk_buf_len(&out), nk_buf_len(&again));
    assert_memory_equal(nk_buf_ptr(&out), nk_buf_ptr(&again), nk_buf_len(&out));
    int rc = hs_format_read_as(nk_buf_ptr(&out), nk_buf_len(&out), &free, &back, NULL);
    bool bare = f == HS_RAW || f == HS_SEED_HEX || f == HS_HEX_PUBLIC || f == HS_BASE64_PUBLIC ||
                f == HS_BASE32_PUBLIC ||
                (item->kind == HS_CLIENT && (f == HS_HEX || f == HS_BASE64));
    if (!bare) {
        assert_int_equal(rc, 0);
        assert_int_equal(back.format, f);
        assert_int_equal(back.guessed, f == HS_BASE32);
    } else if (f != HS_BASE32_PUBLIC) {
        assert_int_equal(rc, NK_EFORMAT);
    }
    nk_buf_clear(&out);
    nk_buf_clear(&again);
}

static void round_trips(void **state)
{
    struct hs_item items[] = {identity(), client()};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (int f = 0; f < HS_FORMATS; f++) {
            if (holds(&items[i], (enum hs_format)f)) {
                round_trip(&items[i], (enum hs_format)f);
            }
        }
    }
}

/* Scalars that are not clamped pass through all forms but arti's as they are. */
static void scalars_are_kept(void **state)
{
    struct hs_item item = identity(), back;
    uint8_t reduced[HS_EXPANDED];
    struct nk_buf out;
    (void)state;
    hs_identity_reduced(reduced, &item.identity);
    assert_int_equal(hs_identity_from_expanded(&item.identity, reduced, NULL), 0);
    for (int f = 0; f < HS_FORMATS; f++) {
        unsigned what = hs_format_info((enum hs_format)f)->holds;
        if (!holds(&item, (enum hs_format)f) || !(what & HS_HOLDS_SECRET) ||
            (what & HS_HOLDS_SEED)) {
            continue;
        }
        const struct hs_hints hints = {.format = (enum hs_format)f, .kind = HS_IDENTITY};
        write_item(&item, (enum hs_format)f, &out);
        assert_int_equal(hs_format_read_as(nk_buf_ptr(&out), nk_buf_len(&out), &hints, &back, NULL),
                         0);
        assert_memory_equal(back.identity.secret, reduced, sizeof(reduced));
        nk_buf_clear(&out);
    }
}

/* --- what cannot be written ------------------------------------------------------------------- */

static void refuse_write(const struct hs_item *item, enum hs_format f, const char *word)
{
    struct nk_diag diag;
    struct nk_buf out;
    nk_buf_init_secret(&out, HS_FORMAT_MAX);
    assert_int_equal(nk_buf_puts(&out, "before"), 0);
    assert_int_equal(hs_format_write(item, f, &out, &diag), NK_EUNSUPPORTED);
    if (!strstr(diag.text, word)) {
        print_error("%s: '%s' lacks '%s'\n", hs_format_info(f)->name, diag.text, word);
    }
    assert_non_null(strstr(diag.text, word));
    assert_int_equal(nk_buf_len(&out), 6);
    nk_buf_clear(&out);
}

static void impossible(void **state)
{
    struct hs_item service = identity(), c = client();
    (void)state;
    c.has_address = false;
    refuse_write(&c, HS_AUTH_PRIVATE, "address is not known");
    service.identity.has_seed = false;
    refuse_write(&service, HS_PEM, "expanded");
    refuse_write(&service, HS_OPENSSH, "expanded");
    refuse_write(&service, HS_SEED_HEX, "expanded");
    service.identity.has_secret = c.client.has_secret = false;
    for (int f = 0; f < HS_FORMATS; f++) {
        bool secret = (hs_format_info((enum hs_format)f)->holds & HS_HOLDS_SECRET) != 0;
        if (!holds(&service, (enum hs_format)f)) {
            refuse_write(&service, (enum hs_format)f, "keys of clients");
        } else if (secret) {
            refuse_write(&service, (enum hs_format)f, "public key");
        }
        if (!holds(&c, (enum hs_format)f)) {
            refuse_write(&c, (enum hs_format)f, "identities of services");
        } else if (secret) {
            refuse_write(&c, (enum hs_format)f, "public key");
        }
    }
}

/* --- what is read in more ways than it is written --------------------------------------------- */

static struct hs_item read_text(const char *text, const char *name)
{
    struct hs_item item;
    struct nk_diag diag;
    int rc = hs_format_read(text, strlen(text), name, &item, &diag);
    if (rc < 0) {
        print_error("%s: %s\n", text, diag.text);
    }
    assert_int_equal(rc, 0);
    return item;
}

static void assert_reads(const char *text, enum hs_format f, const char *pub)
{
    struct hs_item item = read_text(text, NULL);
    uint8_t want[HS_PUBLIC_KEY];
    unhex(want, sizeof(want), pub);
    assert_memory_equal(hs_item_pub(&item), want, sizeof(want));
    assert_int_equal(item.format, f);
}

static void other_spellings(void **state)
{
    char text[1024];
    (void)state;
    snprintf(text, sizeof(text), "  250-PrivateKey=%.97s\r\n", CONTROL); /* no padding */
    assert_reads(text, HS_CONTROL, PUBLIC);
    snprintf(text, sizeof(text), "ADD_ONION %s Flags=Detach Port=80,127.0.0.1:8080", CONTROL);
    assert_reads(text, HS_CONTROL, PUBLIC);
    snprintf(text, sizeof(text), "ONION_CLIENT_AUTH_ADD %s %s Flags=Permanent", ADDRESS,
             CLIENT_CONTROL);
    assert_reads(text, HS_CONTROL, CLIENT_PUBLIC);
    struct hs_item item = read_text(text, NULL);
    assert_true(item.has_address);
    assert_reads(ADDRESS, HS_HOSTNAME, PUBLIC);
    assert_reads("AOQQPP7TZYIL4HLQ3UMOOS6ATFT6JVRQTOSQ2XY53SDGIESVGG4BQEAD.Onion\n", HS_HOSTNAME,
                 PUBLIC);
    assert_reads(" descriptor : x25519 : quzedc6bjkq6mwqco472vap223ohjw45vrnpxja366sjppbwqnga\r\n",
                 HS_AUTH, CLIENT_PUBLIC);
    snprintf(text, sizeof(text), "%.64s\n%s\n", EXPANDED, EXPANDED + 64);
    assert_reads(text, HS_HEX, PUBLIC);
    snprintf(text, sizeof(text), "Bag of things\n%s\nend\n", PEM);
    assert_reads(text, HS_PEM, PUBLIC);
    snprintf(text, sizeof(text), "%s   a comment  \n", ARTI_LINE);
    assert_reads(text, HS_ARTI_PUBLIC, CLIENT_PUBLIC);
    assert_string_equal(read_text(text, NULL).comment, "a comment");
}

static void seeds(void **state)
{
    static const char *const texts[] = {SEED, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
                                        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
                                        "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"};
    const struct hs_hints hints = {.format = HS_SEED_HEX};
    uint8_t pub[HS_PUBLIC_KEY];
    (void)state;
    unhex(pub, sizeof(pub), PUBLIC);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct hs_item item;
        assert_int_equal(hs_format_read_as(texts[i], strlen(texts[i]), &hints, &item, NULL), 0);
        assert_memory_equal(item.identity.pub, pub, sizeof(pub));
    }
}

/* PKCS#8 version 2 of RFC 5958 has the public key as well; attributes may stand between. */
static void pkcs8_with_more(void **state)
{
    uint8_t der[128] = {0x30, 83,   0x02, 1,    1,    0x30, 5,    0x06,
                        3,    0x2b, 0x65, 0x70, 0x04, 34,   0x04, 32};
    char text[512], base64[NK_BASE64_SIZE(sizeof(der))];
    struct hs_item item;
    (void)state;
    unhex(der + 16, HS_SEED, SEED);
    memcpy(der + 48, "\xa0\x00\x81\x21\x00", 5);
    unhex(der + 53, HS_PUBLIC_KEY, PUBLIC);
    for (int wrong = 0; wrong < 2; wrong++) {
        der[84] ^= (uint8_t)wrong;
        nk_base64_encode(base64, der, 85, true);
        snprintf(text, sizeof(text), "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n",
                 base64);
        assert_int_equal(hs_format_read(text, strlen(text), NULL, &item, NULL),
                         wrong ? NK_EFORMAT : 0);
    }
}

/* --- what is refused -------------------------------------------------------------------------- */

static void refuse_bytes(const void *p, size_t n, const char *name, int code, const char *word)
{
    struct nk_diag diag = {0};
    struct hs_item item;
    memset(&item, 'k', sizeof(item));
    int rc = hs_format_read(p, n, name, &item, &diag);
    if (rc != code || !strstr(diag.text, word)) {
        print_error("%s: %d '%s', not %d '%s'\n", name ? name : (const char *)p, rc, diag.text,
                    code, word);
    }
    assert_int_equal(rc, code);
    assert_non_null(strstr(diag.text, word));
    assert_int_equal(item.comment[0], 'k');
}

static void refuse(const char *text, const char *name, const char *word)
{
    refuse_bytes(text, strlen(text), name, NK_EFORMAT, word);
}

#define KEY52 "quzedc6bjkq6mwqco472vap223ohjw45vrnpxja366sjppbwqnga"

static void bad_auth_files(void **state)
{
    (void)state;
    refuse("", "a.auth", "empty");
    refuse("# a comment\ndescriptor:x25519:" KEY52, "a.auth", "comments");
    refuse("descriptor:x25519:" KEY52 "\ndescriptor:x25519:" KEY52, "a.auth", "more than one");
    refuse("Descriptor:x25519:" KEY52, "a.auth", "lower case");
    refuse("descriptor:X25519:" KEY52, "a.auth", "lower case");
    refuse("descriptor:x25519:" KEY52 "====", "a.auth", "padding");
    refuse("descriptor:x25519:uzedc6bjkq6mwqco472vap223ohjw45vrnpxja366sjppbwqnga", "a.auth",
           "51 characters");
    refuse("descriptor:x25519:1uzedc6bjkq6mwqco472vap223ohjw45vrnpxja366sjppbwqnga", "a.auth",
           "other than");
    refuse("descriptor:x25519:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a.auth",
           "zero");
    refuse("descriptor:x25519:aeaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a.auth",
           "small order");
    refuse("descriptor:x25519:" KEY52 ":x", "a.auth", "4 fields");
    refuse("x:descriptor:x25519:" KEY52, "a.auth", "private key");
    refuse("descriptor:x25519", "a.auth", "2 fields");
    refuse("a:b:c:d:e", "a.auth", "5 fields");
    refuse("x:x25519:" KEY52, "a.auth", "type of authorization");
    refuse("descriptor:x:" KEY52, "a.auth", "type of key");
    refuse("Invalid Key", "a.auth_private", "1 fields");
    refuse("descriptor:x25519:" KEY52, "a.auth_private", "address in front");
    refuse("x:notdescriptor:x25519:" KEY52, "a.auth_private", "type of authorization");
    refuse("x:descriptor:x25519:" KEY52, "a.auth_private", "address");
    refuse("x:descriptor:x25519:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
           "a.auth_private", "zero");
    refuse("25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5xid:descriptor:x25519:" KEY52,
           "a.auth_private", "checksum");
}

/* What tor would destroy, silently, if there were no public file beside it. */
static void bad_ctor_files(void **state)
{
    struct hs_item service = identity();
    struct nk_buf out;
    (void)state;
    write_item(&service, HS_CTOR_SECRET, &out);
    uint8_t *p = nk_buf_ptr(&out);
    refuse_bytes(p, 95, NULL, NK_EFORMAT, "95 bytes");
    refuse_bytes(p, 95, "d/hs_ed25519_secret_key", NK_EFORMAT, "95 bytes");
    assert_int_equal(nk_buf_u8(&out, 0), 0);
    p = nk_buf_ptr(&out);
    refuse_bytes(p, 97, NULL, NK_EFORMAT, "97 bytes");
    refuse_bytes(p + 32, 64, "hs_ed25519_secret_key", NK_EFORMAT, "tag");
    refuse_bytes(p + 32, 64, NULL, NK_EFORMAT, "64 bytes");
    refuse_bytes(p, 96, "hs_ed25519_public_key", NK_EFORMAT, "tag");
    p[25] = '1';
    refuse_bytes(p, 96, NULL, NK_EFORMAT, "tag");
    p[25] = '0';
    memset(p + 32, 0, 32);
    refuse_bytes(p, 96, NULL, NK_EFORMAT, "zero");
    nk_buf_clear(&out);
    write_item(&service, HS_CTOR_PUBLIC, &out);
    p = nk_buf_ptr(&out);
    refuse_bytes(p, 63, NULL, NK_EFORMAT, "63 bytes");
    refuse_bytes(p, 64, "hs_ed25519_secret_key", NK_EFORMAT, "tag");
    memset(p + 32, 2, 32);
    refuse_bytes(p, 64, NULL, NK_EFORMAT, "not a point");
    nk_buf_clear(&out);
}

static void bad_texts(void **state)
{
    char text[1024];
    (void)state;
    refuse("", NULL, "none");
    refuse_bytes(NULL, 0, "hostname", NK_EFORMAT, "characters");
    refuse_bytes(NULL, 0, "a.auth", NK_EFORMAT, "empty");
    refuse(" \n", NULL, "none");
    refuse("hello", NULL, "no key in any known form");
    refuse(SEED, NULL, "32 bytes");
    refuse_bytes("expyuzz4wqqyqhjn", 16, NULL, NK_EVERSION, "version 2");
    refuse_bytes("expyuzz4wqqyqhjn.onion\n", 23, NULL, NK_EVERSION, "version 2");
    static const char *const version2[] = {
        "HidServAuth expyuzz4wqqyqhjn.onion AAAAAAAAAAAAAAAAAAAAAA # alice\n",
        "# mine\n  hidservauth expyuzz4wqqyqhjn.onion AAAAAAAAAAAAAAAAAAAAAA",
        "HiddenServiceAuthorizeClient stealth alice,bob",
        "expyuzz4wqqyqhjn.onion AAAAAAAAAAAAAAAAAAAAAA # client: alice",
        "client-name alice\ndescriptor-cookie AAAAAAAAAAAAAAAAAAAAAA==\n",
    };
    static const char *const names[] = {NULL, "a.auth", "a.auth_private", "hostname"};
    for (size_t i = 0; i < sizeof(version2) / sizeof(*version2); i++) {
        for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
            refuse_bytes(version2[i], strlen(version2[i]), names[k], NK_EVERSION, "version 2");
        }
    }
    snprintf(text, sizeof(text), "www.%s.onion", ADDRESS);
    refuse(text, NULL, "subdomain");
    refuse("ED25519-V3:AAAA", NULL, "64 bytes");
    refuse("ED25519-V3:", NULL, "64 bytes");
    refuse("x25519:AAAA", NULL, "32 bytes");
    refuse("ED25519-V3:====", NULL, "not base64");
    snprintf(text, sizeof(text), "%s %s", CONTROL, CLIENT_CONTROL);
    refuse(text, NULL, "more than one");
    snprintf(text, sizeof(text), "%0128d", 0);
    refuse(text, NULL, "zero");
    refuse("-----BEGIN PRIVATE KEY-----\nMC4C\n", NULL, "missing");
    refuse("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PUBLIC KEY-----\n", NULL, "missing");
    snprintf(text, sizeof(text), "%s%s", PEM, PEM);
    refuse(text, NULL, "more than one block");
    snprintf(text, sizeof(text), "%s", PEM);
    text[40] = text[40] == 'A' ? 'B' : 'A';
    refuse_bytes(text, strlen(text), NULL, NK_EUNSUPPORTED, "neither Ed25519 nor X25519");
    refuse_bytes("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----",
                 79, NULL, NK_EUNSUPPORTED, "encrypted");
    refuse_bytes("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", 58, NULL,
                 NK_EUNSUPPORTED, "CERTIFICATE");
    snprintf(text, sizeof(text), "%s", ARTI_LINE);
    refuse(text, "kp.ed25519_public", "client's key");
}

int nk_test_hs_format(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_bytes),      cmocka_unit_test(round_trips),
        cmocka_unit_test(scalars_are_kept), cmocka_unit_test(impossible),
        cmocka_unit_test(other_spellings),  cmocka_unit_test(seeds),
        cmocka_unit_test(pkcs8_with_more),  cmocka_unit_test(bad_auth_files),
        cmocka_unit_test(bad_ctor_files),   cmocka_unit_test(bad_texts),
    };
    return cmocka_run_group_tests_name("hs/format", tests, NULL, NULL);
}
