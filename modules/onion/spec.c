/* SPDX-License-Identifier: MIT */
#include "onion/spec.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"

static int put_key(struct nk_buf *out, const struct onion_spec *s, struct nk_diag *diag)
{
    struct hs_item item;
    if (!s->key) {
        return nk_buf_puts(out, "NEW:ED25519-V3");
    }
    hs_item_from_identity(&item, s->key);
    int rc = hs_format_write(&item, HS_CONTROL, out, diag);
    hs_item_wipe(&item);
    return rc;
}

/* control-spec: Flags=A,B */
static int put_flags(struct nk_buf *out, const struct onion_spec *s)
{
    const struct {
        bool on;
        const char *name;
    } flags[] = {{!s->key, "DiscardPK"},
                 {s->detach, "Detach"},
                 {s->restricted, "V3Auth"},
                 {s->single_hop, "NonAnonymous"},
                 {s->max_streams > 0 && s->close_circuit, "MaxStreamsCloseCircuit"}};
    const char *before = " Flags=";
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (flags[i].on) {
            rc = nk_buf_printf(out, "%s%s", before, flags[i].name);
            before = ",";
        }
    }
    return rc;
}

static int put_ports(struct nk_buf *out, const struct onion_spec *s, struct nk_diag *diag)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->nports; i++) {
        if (strchr(s->ports[i].target, ' ')) {
            (void)nk_fail(diag, NK_EFORMAT, "%s: ADD_ONION takes no path with a space",
                          s->ports[i].target);
            nk_hint(diag, "use another path, or a service in a directory (--hsdir)");
            return NK_EFORMAT;
        }
        rc = nk_buf_printf(out, " Port=%u,%s", s->ports[i].port, s->ports[i].target);
    }
    return rc;
}

/* tor takes these keys in upper case only. */
static int put_clients(struct nk_buf *out, const struct onion_spec *s)
{
    char text[NK_BASE32_SIZE(HS_PUBLIC_KEY)];
    int rc = 0;
    for (size_t i = 0; rc == 0 && s->restricted && i < s->nclients; i++) {
        nk_base32_encode(text, s->clients[i], HS_PUBLIC_KEY);
        for (char *p = text; *p; p++) {
            *p = (char)toupper((unsigned char)*p);
        }
        rc = nk_buf_printf(out, " ClientAuthV3=%s", text);
    }
    return rc;
}

/* A keyword of ADD_ONION, the option of a directory's service that does the same, and its value. */
struct number {
    const char *keyword, *option;
    int64_t value;
};

enum { NUMBERS = 4 };

static void numbers(struct number out[NUMBERS], const struct onion_spec *s)
{
    out[0] = (struct number){"MaxStreams", "HiddenServiceMaxStreams", s->max_streams};
    out[1] = (struct number){"PoWDefensesEnabled", "HiddenServicePoWDefensesEnabled", s->pow};
    out[2] = (struct number){"PoWQueueRate", "HiddenServicePoWQueueRate", s->pow ? s->pow_rate : 0};
    out[3] =
        (struct number){"PoWQueueBurst", "HiddenServicePoWQueueBurst", s->pow ? s->pow_burst : 0};
}

static int put_numbers(struct nk_buf *out, const struct onion_spec *s)
{
    struct number n[NUMBERS];
    int rc = 0;
    numbers(n, s);
    for (size_t i = 0; rc == 0 && i < NUMBERS; i++) {
        if (n[i].value > 0) {
            rc = nk_buf_printf(out, " %s=%" PRId64, n[i].keyword, n[i].value);
        }
    }
    return rc;
}

int onion_spec_add(struct nk_buf *out, const struct onion_spec *s, struct nk_diag *diag)
{
    struct nk_buf line;
    if (s->restricted && s->nclients == 0) {
        return nk_fail(diag, NK_ECONFIG, "the service is restricted, and no client is authorized");
    }
    if (s->nclients > ONION_CLIENTS_MAX) {
        return nk_fail(diag, NK_ETOOBIG, "a service has at most %d clients", ONION_CLIENTS_MAX);
    }
    nk_buf_init_secret(&line, ONION_SPEC_LINE);
    *diag = (struct nk_diag){.code = 0};
    int rc = nk_buf_puts(&line, "ADD_ONION ");
    rc = rc < 0 ? rc : put_key(&line, s, diag);
    rc = rc < 0 ? rc : put_flags(&line, s);
    rc = rc < 0 ? rc : put_numbers(&line, s);
    rc = rc < 0 ? rc : put_ports(&line, s, diag);
    rc = rc < 0 ? rc : put_clients(&line, s);
    rc = rc < 0 ? rc : nk_buf_put(out, nk_buf_ptr(&line), nk_buf_len(&line));
    nk_buf_clear(&line);
    return rc < 0 && diag->code == 0 ? nk_fail_sys(diag, rc, "ADD_ONION") : rc;
}

static int option_port(const struct onion_port *p, onion_option_fn *each, void *arg,
                       struct nk_diag *diag)
{
    char value[ONION_TARGET_MAX + 16];
    bool quote = strchr(p->target, ' ') != NULL; /* only a path can have one */
    (void)snprintf(value, sizeof(value), quote ? "%u unix:\"%s\"" : "%u %s", p->port,
                   p->target + (quote ? strlen("unix:") : 0));
    return each(arg, "HiddenServicePort", value, diag);
}

int onion_spec_options(const struct onion_spec *s, const char *dir, onion_option_fn *each,
                       void *arg, struct nk_diag *diag)
{
    struct number n[NUMBERS];
    char value[24];
    int rc = each(arg, "HiddenServiceDir", dir, diag);
    for (size_t i = 0; rc == 0 && i < s->nports; i++) {
        rc = option_port(&s->ports[i], each, arg, diag);
    }
    numbers(n, s);
    for (size_t i = 0; rc == 0 && i < NUMBERS; i++) {
        if (n[i].value > 0) {
            (void)snprintf(value, sizeof(value), "%" PRId64, n[i].value);
            rc = each(arg, n[i].option, value, diag);
        }
    }
    if (rc == 0 && s->max_streams > 0 && s->close_circuit) {
        rc = each(arg, "HiddenServiceMaxStreamsCloseCircuit", "1", diag);
    }
    return rc;
}

/* What tor's words (control_cmd.c) mean to whoever uses netkit. */
static const struct {
    const char *text;
    const char *hint;
} meanings[] = {
    {"Tor is in non-anonymous", "this tor has HiddenServiceNonAnonymousMode 1, where every service "
                                "tells the world where it is: --single-hop says that you know"},
    {"Tor is in anonymous", "a single-hop service is not anonymous, and needs a tor with "
                            "HiddenServiceNonAnonymousMode 1, HiddenServiceSingleHopMode 1 and "
                            "SocksPort 0"},
    {"Onion address collision", "this tor already runs a service with that key: see 'netkit onion "
                                "list'"},
    {"Unrecognized keyword", "this tor is too old for an option that you chose"},
    {"Invalid 'Flags'", "this tor is too old for an option that you chose"},
    {"Unknown Onion Service", "it is not one of this tor's, or belongs to another connection: only "
                              "detached services can be deleted by others"},
    {"Invalid VIRTPORT/TARGET", "tor does not take one of the ports"},
    {"Failed to generate", "tor's log says more"},
};

int onion_spec_explain(int code, const char *text, size_t len, struct nk_diag *diag)
{
    int rc = code == 550 ? -EEXIST : code == 552 ? -ENOENT : NK_EFORMAT;
    const char *hint = code == 551 || code == 553 ? "tor's log says more" : "";
    (void)nk_fail(diag, rc, "tor refuses: %d %.*s", code, (int)(len < 200 ? len : 200), text);
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (memmem(text, len, meanings[i].text, strlen(meanings[i].text))) {
            hint = meanings[i].hint;
            break;
        }
    }
    if (hint[0] != '\0') {
        nk_hint(diag, "%s", hint);
    }
    return rc;
}
