/* SPDX-License-Identifier: MIT */
/* Where the relay is, and how to trust it: options, then [relay] of netkit.ini, then defaults. */
#include "relay/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "base/file.h"
#include "relay/daemon_service.h"
#include "relay/relay.h"

#define DEFAULT_NAME "default" /* in the certificates that netkit and tlspyo make */

const char *const relay_endpoint_wires[] = {"auto", "native", "tlspyo", NULL};
const char *const relay_endpoint_connections[] = {"auto", "TLS", "TCP", NULL};

/* --- [endpoint NAME] -------------------------------------------------------------------------- */

const struct nk_opt relay_endpoint_rows[] = {
    {.name = "connect",
     .type = NK_OPT_CONNECT,
     .offset = NK_FIELD(struct relay_endpoint_conf, connect),
     .arg = "CONNECT",
     .help = "The relay's address; default: the one of [relay] in netkit.ini, or "
             "tcp:127.0.0.1:3000"},
    {.name = "connection",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct relay_endpoint_conf, connection),
     .arg = "KIND",
     .def = "auto",
     .choices = relay_endpoint_connections,
     .help = "TLS, or TCP for none; auto: as [relay] in netkit.ini says, else TLS (no TLS on "
             "unix sockets)"},
    {.name = "ca",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct relay_endpoint_conf, ca),
     .arg = "FILE",
     .help = "Certificate (PEM) to trust; default: certificate.pem of the credentials folder "
             "if it is there, else the system's authorities"},
    {.name = "pin",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relay_endpoint_conf, pin),
     .arg = "sha256:HASH",
     .flags = NK_OPT_REPEAT,
     .help = "Trust the relay whose certificate or public key has this hash, instead of --ca"},
    {.name = "server-name",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relay_endpoint_conf, name),
     .arg = "HOST",
     .help = "Name that the relay's certificate must carry; default: 'default' with --ca or "
             "the credentials folder, else the host connected to"},
    {.name = "tls12",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct relay_endpoint_conf, tls12),
     .help = "Also speak TLS 1.2, for relays that know nothing newer"},
    {.name = "password-file",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct relay_endpoint_conf, password_file),
     .arg = "FILE",
     .help = "File with the relay's password; default: that of [relay] in netkit.ini, or "
             "password in the credentials folder"},
    {.name = "identity",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relay_endpoint_conf, identity),
     .arg = "NAME",
     .help = "Who to be at the relay, where several passwords or keys could be meant"},
    {.name = "login-key",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct relay_endpoint_conf, login_key),
     .arg = "FILE",
     .help = "Ed25519 private key (OpenSSH file without passphrase) to log in with; the "
             "relay must "
             "be verified: by --ca, --pin, or a login with the password before"},
    {.name = "client-cert",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct relay_endpoint_conf, client_cert),
     .arg = "FILE",
     .help = "Certificate (PEM) to show to a relay that asks for one"},
    {.name = "client-key",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct relay_endpoint_conf, client_key),
     .arg = "FILE",
     .help = "Its private key (PEM); default: in the same file"},
    {.name = "allow-plain",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct relay_endpoint_conf, allow_plain),
     .help = "With --connection TCP: send the password unencrypted beyond this machine"},
    {.name = "wire",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct relay_endpoint_conf, wire),
     .arg = "WIRE",
     .def = "auto",
     .choices = relay_endpoint_wires,
     .help = "native: netkit's own wire; tlspyo: for stock relays, the password travels with "
             "every frame; auto: native where the relay knows it"},
    {.name = "header-size",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct relay_endpoint_conf, header_size),
     .arg = "N",
     .min = RELAY_WIRE_HEADER_SIZE_MIN,
     .max = RELAY_WIRE_HEADER_SIZE_MAX,
     .help = "Bytes of a frame's header, the same as at the relay; default: that of [relay] "
             "in netkit.ini, or 10"},
    {.name = "max-object",
     .type = NK_OPT_SIZE,
     .offset = NK_FIELD(struct relay_endpoint_conf, max_object),
     .arg = "SIZE",
     .def = "1G",
     .min = 1,
     .max = (int64_t)1 << 40,
     .help = "Largest object that is sent or accepted"},
    {.name = "retry",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct relay_endpoint_conf, retry_ms),
     .arg = "TIME",
     .def = "0",
     .max = (int64_t)1 << 40,
     .help = "How long to go on trying to reach the relay at first"},
    NK_OPT_END};

static size_t field_size(const struct nk_opt *row)
{
    if (row->flags & NK_OPT_REPEAT) {
        return sizeof(struct nk_strlist);
    }
    switch (row->type) {
    case NK_OPT_FLAG:
    case NK_OPT_BOOL:
        return sizeof(bool);
    case NK_OPT_INT:
        return sizeof(int64_t);
    case NK_OPT_SIZE:
    case NK_OPT_DURATION:
        return sizeof(uint64_t);
    case NK_OPT_ENUM:
        return sizeof(int);
    default:
        return sizeof(char *);
    }
}

static void fill_from(struct relay_endpoint_conf *out, const struct relay_endpoint_conf *section,
                      const struct relay_endpoint_conf *defaults)
{
    for (const struct nk_opt *row = relay_endpoint_rows; row->name; row++) {
        if (nk_opt_same(row, out, defaults)) {
            memcpy((char *)out + row->offset, (const char *)section + row->offset, field_size(row));
        }
    }
}

int relay_endpoint_named(const struct nk_cmd_ctx *ctx, const struct relay_endpoint_conf *conf,
                         struct relay_endpoint_conf *out, struct nk_diag *diag)
{
    struct relay_endpoint_conf defaults = {0};
    const struct relay_daemon_opts *section;
    int status = 0;
    *out = *conf;
    if (!conf->endpoint) {
        return 0;
    }
    section = nk_conf_get(ctx->ini, RELAY_DAEMON_SECTION, conf->endpoint);
    if (!section) {
        const char *path = nk_conf_path(ctx->ini);
        status = nk_fail(diag, NK_ECONFIG, "--name %.64s: there is no [endpoint %.64s] in %s",
                         conf->endpoint, conf->endpoint, path ? path : "the configuration");
        if (!path) {
            nk_hint(diag, "no netkit.ini was read: give one with --config FILE");
        }
        return status;
    }
    for (const struct nk_opt *row = relay_endpoint_rows; row->name && status == 0; row++) {
        status = nk_opt_parse_default(row, &defaults, diag);
    }
    if (status == 0) {
        fill_from(out, &section->common, &defaults);
    }
    nk_opt_free_values(relay_endpoint_rows, &defaults);
    return status;
}

/* --- the relay -------------------------------------------------------------------------------- */

void relay_endpoint_target_clear(struct relay_endpoint_target *t)
{
    free(t->connect);
    free(t->ca);
    free(t->name);
    free(t->password_file);
    *t = (struct relay_endpoint_target){0};
}

/* What netkit.ini knows about the relay of this machine; members may be NULL or 0. */
struct local_relay {
    const char *listen, *cert, *password_file;
    unsigned header_size;
    bool tls;
};

static char *copy_text(const char *s, int *status)
{
    char *t = strdup(s);
    if (!t) {
        *status = -ENOMEM;
    }
    return t;
}

/* state_dir/credentials/name, malloc'd. */
static char *credentials_path(const struct nk_cmd_ctx *ctx, const char *name, int *status)
{
    char dir[NK_PATH_MAX], path[NK_PATH_MAX];
    if (nk_path_join(dir, sizeof(dir), ctx->globals->state_dir, RELAY_CREDENTIALS_DIR) < 0 ||
        nk_path_join(path, sizeof(path), dir, name) < 0) {
        *status = NK_ETOOBIG;
        return NULL;
    }
    return copy_text(path, status);
}

/* Does the host part of a listening address mean "every address"? */
static const char *loopback_for(const char *host)
{
    if (host[0] == '\0' || strcmp(host, "0.0.0.0") == 0) {
        return "127.0.0.1";
    }
    return strcmp(host, "::") == 0 ? "[::1]" : NULL;
}

char *relay_endpoint_connect_to(const char *listen)
{
    struct nk_ep_text text;
    char host[256], *out = NULL;
    uint16_t port = 0;
    if (nk_ep_text_parse(&text, listen, NULL) < 0) {
        return NULL;
    }
    const char *scheme = text.layers == 1 ? text.scheme[0] : "";
    if (strcmp(scheme, "unix") == 0) {
        if (asprintf(&out, "unix:%s", text.body) < 0) {
            out = NULL;
        }
    } else if (strcmp(scheme, "tcp") == 0 &&
               nk_ep_host_port(text.body, host, sizeof(host), &port, 0, NULL) == 0 && port > 0) {
        const char *loopback = loopback_for(host);
        int n = loopback ? asprintf(&out, "tcp:%s:%u", loopback, port)
                         : asprintf(&out, "tcp:%s", text.body);
        out = n < 0 ? NULL : out;
    }
    nk_ep_text_clear(&text);
    return out;
}

static void find_local(const struct nk_cmd_ctx *ctx, struct local_relay *out)
{
    const struct relay_conf *conf = nk_conf_get(ctx->ini, relay_section.name, NULL);
    *out = (struct local_relay){.tls = true};
    if (!conf) {
        return;
    }
    out->listen = conf->listen.n > 0 ? conf->listen.v[0] : NULL;
    out->tls = conf->connection == RELAY_TLS;
    out->cert = conf->cert;
    out->password_file = conf->password_file;
    out->header_size = (unsigned)conf->header_size;
}

static int find_connect(const struct relay_endpoint_conf *conf, const struct local_relay *local,
                        struct relay_endpoint_target *out)
{
    int status = 0;
    if (conf->connect) {
        out->connect = copy_text(conf->connect, &status);
    } else if (local->listen) {
        out->connect = relay_endpoint_connect_to(local->listen);
    }
    if (!out->connect && status == 0) {
        out->connect = copy_text(RELAY_DEFAULT_LISTEN, &status);
    }
    return status;
}

static int find_trust(const struct nk_cmd_ctx *ctx, const struct relay_endpoint_conf *conf,
                      const struct local_relay *local, struct relay_endpoint_target *out)
{
    int status = 0;
    bool named = false; /* the certificate is one that carries DEFAULT_NAME */
    if (conf->ca) {
        out->ca = copy_text(conf->ca, &status);
        named = true;
    } else if (conf->pin.n == 0 && local->cert && !conf->connect) {
        out->ca = copy_text(local->cert, &status);
        named = true;
    } else if (conf->pin.n == 0) {
        out->ca = credentials_path(ctx, RELAY_CERT_FILE, &status);
        named = out->ca && access(out->ca, F_OK) == 0;
        if (!named) {
            free(out->ca);
            out->ca = NULL;
        }
    }
    if (status == 0 && (conf->name || named)) {
        out->name = copy_text(conf->name ? conf->name : DEFAULT_NAME, &status);
    }
    return status;
}

static bool is_unix(const struct relay_endpoint_target *t)
{
    return strncmp(t->connect, "unix:", 5) == 0;
}

static int find_password(const struct nk_cmd_ctx *ctx, const struct relay_endpoint_conf *conf,
                         const struct local_relay *local, struct relay_endpoint_target *out,
                         struct nk_diag *diag)
{
    int status = 0;
    if (conf->password_file) {
        out->password_file = copy_text(conf->password_file, &status);
        return status;
    }
    if (local->password_file) {
        out->password_file = copy_text(local->password_file, &status);
        return status;
    }
    out->password_file = credentials_path(ctx, RELAY_PASSWORD_FILE, &status);
    if (status == 0 && access(out->password_file, F_OK) < 0 &&
        (is_unix(out) || conf->login_key || conf->client_cert) &&
        conf->wire != RELAY_CLIENT_TLSPYO) {
        free(out->password_file); /* our uid, key or certificate may do */
        out->password_file = NULL;
        return 0;
    }
    if (status == 0 && access(out->password_file, F_OK) < 0) {
        status = nk_fail(diag, NK_ECONFIG, "no password: %s is not there", out->password_file);
        nk_hint(diag, "give --password-file FILE, or the --state-dir of the relay");
    }
    return status;
}

static int check_options(const struct relay_endpoint_conf *conf, bool tls, struct nk_diag *diag)
{
    if (conf->pin.n > 0 && conf->ca) {
        return nk_fail(diag, NK_EUSAGE, "--pin and --ca exclude each other");
    }
    if (conf->client_key && !conf->client_cert) {
        return nk_fail(diag, NK_EUSAGE, "--client-key without --client-cert");
    }
    if (!tls && conf->client_cert) {
        return nk_fail(diag, NK_EUSAGE, "--client-cert needs TLS");
    }
    if (conf->identity && (!conf->identity[0] || strlen(conf->identity) > RELAY_IDENTITY_MAX)) {
        return nk_fail(diag, NK_EUSAGE, "--identity has 1 to %d bytes", RELAY_IDENTITY_MAX);
    }
    if (!tls && (conf->pin.n > 0 || conf->ca || conf->name)) {
        return nk_fail(diag, NK_EUSAGE, "--ca, --pin and --server-name need TLS");
    }
    return 0;
}

int relay_endpoint_find(const struct nk_cmd_ctx *ctx, const struct relay_endpoint_conf *conf,
                        struct relay_endpoint_target *out, struct nk_diag *diag)
{
    struct local_relay local;
    find_local(ctx, &local);
    *out = (struct relay_endpoint_target){0};
    int status = find_connect(conf, &local, out);
    if (status < 0) {
        return status;
    }
    switch (conf->connection) {
    case ENDPOINT_TLS:
        out->tls = true;
        break;
    case ENDPOINT_TCP:
        out->tls = false;
        break;
    default:
        out->tls = !is_unix(out) && (conf->connect || local.tls);
        break;
    }
    out->header_size = conf->header_size   ? (unsigned)conf->header_size
                       : local.header_size ? local.header_size
                                           : RELAY_WIRE_HEADER_SIZE_DEFAULT;
    status = check_options(conf, out->tls, diag);
    if (status == 0 && out->tls) {
        status = find_trust(ctx, conf, &local, out);
    }
    if (status == 0) {
        status = find_password(ctx, conf, &local, out, diag);
    }
    return status;
}
