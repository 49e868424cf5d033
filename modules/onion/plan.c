/* SPDX-License-Identifier: MIT */
#include "onion/plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hs/hs.h"

/* --- the key ---------------------------------------------------------------------------------- */

static int read_key(const char *path, struct hs_identity *key, struct nk_diag *diag)
{
    const struct hs_hints hints = {.format = HS_DETECT, .kind = HS_IDENTITY};
    struct hs_item item;
    struct stat st;
    int rc;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        rc = hs_ctor_dir_read(path, key, diag);
    } else if ((rc = hs_format_load(path, &hints, &item, diag)) == 0) {
        *key = item.identity;
        hs_item_wipe(&item);
    }
    if (rc == 0 && !key->has_secret) {
        rc = nk_fail(diag, NK_EFORMAT, "%s holds only the public half of a key", path);
    }
    return rc;
}

/* The file of a key that is new, as the control port takes it, still without its name. */
static int draft_key(struct onion_plan *p, const char *path, struct hs_identity *key,
                     struct nk_diag *diag)
{
    struct hs_item item;
    struct nk_buf text;
    nk_buf_init_secret(&text, HS_FORMAT_MAX);
    hs_item_from_identity(&item, key);
    int rc = hs_format_write(&item, HS_CONTROL, &text, diag);
    if (rc == 0) {
        rc = nk_file_draft(&p->draft, path, 0, nk_buf_ptr(&text), nk_buf_len(&text), diag);
    }
    hs_item_wipe(&item);
    nk_buf_clear(&text);
    return rc;
}

static int init_key(struct onion_plan *p, const struct onion_conf *c, struct nk_diag *diag)
{
    struct stat st;
    struct hs_identity *key;
    if (p->discard || c->hsdir) {
        return 0;
    }
    int rc = nk_secret_alloc(&p->key, sizeof(*key));
    if (rc < 0) {
        return nk_fail(diag, rc, "out of memory");
    }
    key = (struct hs_identity *)(void *)p->key.data;
    if (p->key_file && lstat(p->key_file, &st) == 0) {
        rc = read_key(p->key_file, key, diag);
    } else {
        rc = hs_identity_new(key);
        rc = rc < 0 ? nk_fail_sys(diag, rc, "a key cannot be made") : 0;
        rc = rc < 0 || !p->key_file ? rc : draft_key(p, p->key_file, key, diag);
    }
    if (rc == 0) {
        p->spec.key = key;
        nk_onion_format(p->address, key->pub);
    }
    return rc;
}

/* --- its clients ------------------------------------------------------------------------------ */

static int init_clients(struct onion_plan *p, const struct onion_conf *c, struct nk_diag *diag)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->client_auth.n; i++) {
        rc = onion_clients_load(&p->clients, c->client_auth.v[i], p->log, diag);
    }
    if (rc == 0) {
        rc = onion_new_clients_make(&p->new_clients, &c->new_client, &p->clients, p->log, diag);
    }
    onion_clients_spec(&p->clients, &p->spec);
    return rc;
}

/* --- all of it -------------------------------------------------------------------------------- */

int onion_conf_check(const struct onion_conf *c, struct nk_diag *diag)
{
    bool restricted = c->client_auth.n > 0 || c->new_client.n > 0;
    const struct {
        bool both;
        const char *why;
    } rules[] = {
        {c->hsdir && c->hsdir[0] != '/', "tor takes the path of a directory from its root on"},
        {c->hsdir && c->key,
         "the key of a service in a directory is in that directory ('netkit hs convert KEY --to "
         "ctor-dir -o DIR' puts one there)"},
        {c->hsdir && restricted,
         "the clients of a service in a directory are files in that directory ('netkit hs auth "
         "import' puts them there)"},
        {c->probe_ms && restricted,
         "a service that is restricted to clients cannot be probed, as the probe is none of them"},
        {c->probe_ms && c->detach, "a detached service is left alone, and cannot be probed"},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].both) {
            return nk_fail(diag, NK_EUSAGE, "%s", rules[i].why);
        }
    }
    return 0;
}

int onion_plan_init(struct onion_plan *p, const struct onion_conf *c, struct nk_log *log,
                    struct nk_diag *diag)
{
    *p = (struct onion_plan){
        .hsdir = c->hsdir,
        .log = log,
        .discard = c->key && strcmp(c->key, ONION_KEY_DISCARD) == 0,
        .spec = {.nports = c->ports.n,
                 .max_streams = c->max_streams,
                 .close_circuit = c->max_streams_close,
                 .detach = c->detach,
                 .single_hop = c->single_hop,
                 .pow = c->pow || c->pow_rate > 0 || c->pow_burst > 0,
                 .pow_rate = c->pow_rate,
                 .pow_burst = c->pow_burst},
        .draft = {.dir = -1},
    };
    if (c->key && !p->discard && strcmp(c->key, ONION_KEY_NEW) != 0) {
        p->key_file = c->key;
    }
    int rc = onion_conf_check(c, diag);
    rc = rc < 0 ? rc : onion_ports_parse(&p->ports, &c->ports, diag);
    p->spec.ports = p->ports;
    rc = rc < 0 ? rc : init_clients(p, c, diag);
    return rc < 0 ? rc : init_key(p, c, diag);
}

int onion_plan_keep(struct onion_plan *p, struct nk_diag *diag)
{
    uint8_t pub[NK_ONION_KEY];
    int rc = p->draft.dir < 0 ? 0 : nk_file_publish(&p->draft, diag);
    if (rc == 0 && p->new_clients.n > 0 && !p->kept) {
        rc = nk_onion_parse(pub, p->address, strlen(p->address), diag);
        rc = rc < 0 ? rc : onion_new_clients_write(&p->new_clients, pub, p->log, diag);
    }
    p->kept = p->kept || rc == 0;
    return rc;
}

int onion_plan_has_address(struct onion_plan *p, const char *label, size_t len,
                           struct nk_diag *diag)
{
    uint8_t pub[NK_ONION_KEY];
    char address[NK_ONION_SIZE];
    if (nk_onion_parse(pub, label, len, NULL) < 0) {
        return nk_fail(diag, NK_EPROTO, "tor calls the service by what is no onion address");
    }
    nk_onion_format(address, pub);
    if (p->address[0] != '\0' && strcmp(p->address, address) != 0) {
        return nk_fail(diag, NK_EPROTO, "tor calls the service %s, but its key's address is %s",
                       address, p->address);
    }
    memcpy(p->address, address, sizeof(address));
    return 0;
}

static void ports_json(const struct onion_plan *p, struct nk_json *j)
{
    nk_json_key(j, "ports");
    nk_json_array(j);
    for (size_t i = 0; i < p->spec.nports; i++) {
        nk_json_object(j);
        nk_json_kv_u64(j, "port", p->spec.ports[i].port);
        nk_json_kv_str(j, "target", p->spec.ports[i].target);
        nk_json_close(j);
    }
    nk_json_close(j);
}

void onion_plan_json(const struct onion_plan *p, struct nk_json *j)
{
    nk_json_kv_str(j, "address", p->address[0] != '\0' ? p->address : NULL);
    ports_json(p, j);
    nk_json_kv_str(j, "key_file", p->key_file);
    nk_json_kv_str(j, "hsdir", p->hsdir);
    nk_json_kv_bool(j, "detached", p->spec.detach);
    nk_json_kv_bool(j, "single_hop", p->spec.single_hop);
    nk_json_kv_bool(j, "pow", p->spec.pow);
    onion_clients_json(&p->clients, j);
    onion_new_clients_json(&p->new_clients, j);
}

void onion_plan_clear(struct onion_plan *p)
{
    if (p->draft.temp[0] != '\0') {
        nk_file_discard(&p->draft);
    }
    nk_secret_clear(&p->key);
    free(p->ports);
    onion_clients_clear(&p->clients);
    onion_new_clients_clear(&p->new_clients);
    *p = (struct onion_plan){.draft = {.dir = -1}};
}
