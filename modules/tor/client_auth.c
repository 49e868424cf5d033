/* SPDX-License-Identifier: MIT */
#include "tor/client_auth.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/onion.h"
#include "core/app.h"
#include "tor/control.h"

enum {
    LINE = 512,               /* bytes of ONION_CLIENT_AUTH_ADD with all that it can have */
    ENTRIES_MAX = 1024,       /* addresses remembered for one connection; beyond, keys load again */
    EVENTS = 2,               /* see `upsets` */
    CREDENTIALS_REFUSED = 553 /* control-spec 3.30: they could not be stored */
};

/* --- tor's commands --------------------------------------------------------------------------- */

int tor_client_auth_add(struct tor_control *c, struct tor_request *r,
                        const struct tor_client_key *k, struct nk_diag *diag)
{
    char address[NK_ONION_SIZE];
    struct hs_item item;
    struct nk_buf line;
    nk_onion_format(address, k->address);
    hs_item_from_client(&item, k->key, NULL);
    nk_buf_init_secret(&line, LINE);
    int rc = nk_buf_printf(&line, "ONION_CLIENT_AUTH_ADD %.*s ", NK_ONION_LABEL, address);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "a client's key")
                : hs_format_write(&item, HS_CONTROL, &line, diag);
    hs_item_wipe(&item);
    if (rc == 0 &&
        (rc = nk_buf_printf(&line, "%s%s%s", k->name ? " ClientName=" : "", k->name ? k->name : "",
                            k->permanent ? " Flags=Permanent" : "")) < 0) {
        (void)nk_fail_sys(diag, rc, "a client's key");
    }
    const char *text = rc < 0 ? NULL : nk_buf_str(&line);
    if (rc == 0) {
        rc = text ? tor_control_send(c, r, text, NULL, 0, diag)
                  : nk_fail(diag, -ENOMEM, "out of memory");
    }
    nk_buf_clear(&line);
    return rc;
}

int tor_client_auth_error(const struct tor_reply *reply, bool permanent, struct nk_diag *diag)
{
    const struct tor_line *last = &reply->lines[reply->n - 1];
    if (reply->code < TOR_FAILED) {
        return 0;
    }
    (void)nk_fail(diag, NK_EFORMAT, "tor says: %d %.*s", reply->code, (int)last->len, last->text);
    if (reply->code == CREDENTIALS_REFUSED && permanent) {
        nk_hint(diag, "a tor keeps keys only in its ClientOnionAuthDir: name one in its torrc "
                      "(mode 0700, tor's own), or leave --permanent out");
    } else if (reply->code == CREDENTIALS_REFUSED) {
        nk_hint(diag, "the key is there permanently, and tor cannot write its ClientOnionAuthDir");
    }
    return NK_EFORMAT;
}

bool tor_client_row_read(struct tor_client_row *r, const struct tor_line *line)
{
    const struct hs_hints hints = {.format = HS_CONTROL, .kind = HS_CLIENT};
    struct tor_words words;
    struct tor_word w;
    struct hs_item item;
    *r = (struct tor_client_row){.permanent = false};
    tor_words_init(&words, line->text, line->len);
    if (!tor_words_next(&words, &w) || !tor_word_is(&w, "CLIENT") || !tor_words_next(&words, &w) ||
        !hs_client_dir_address(w.value, w.value_len, r->address) ||
        !tor_words_next(&words, &r->key) ||
        hs_format_read_as(r->key.value, r->key.value_len, &hints, &item, NULL) < 0) {
        return false;
    }
    r->client = item.client;
    hs_item_wipe(&item);
    while (tor_words_next(&words, &w)) {
        r->name = tor_word_key(&w, "ClientName") ? w : r->name;
        r->permanent = r->permanent || (tor_word_key(&w, "Flags") &&
                                        memmem(w.value, w.value_len, "Permanent", 9) != NULL);
    }
    return !words.bad;
}

/* --- looking for a key ------------------------------------------------------------------------ */

int tor_client_key_in(const struct hs_where *where, const uint8_t address[HS_PUBLIC_KEY],
                      struct hs_client *out, struct nk_diag *diag)
{
    struct hs_store s;
    char name[NK_PATH_MAX];
    if (access(where->dir, F_OK) < 0) { /* so it is for most people, and for most connections */
        return -ENOENT;
    }
    int rc = hs_store_open(&s, where->kind, where->dir, HS_STORE_READ, diag);
    rc = rc < 0 ? rc : hs_store_find(&s, address, NULL, name, diag);
    rc = rc < 0 ? rc : hs_store_read(&s, name, address, out, diag);
    hs_store_close(&s);
    return rc;
}

int tor_client_key_find(const struct nk_conf *ini, const char *state_dir,
                        const uint8_t address[HS_PUBLIC_KEY], struct hs_client *out,
                        struct nk_diag *diag)
{
    const char *id;
    struct hs_where where;
    int rc = -ENOENT;
    for (size_t i = 0; ini && rc == -ENOENT; i++) {
        if (!(id = nk_conf_name_at(ini, hs_keystore_section.name, i))) {
            break;
        }
        rc = hs_where_find(&where, id, ini, state_dir, diag);
        rc = rc < 0 ? rc : tor_client_key_in(&where, address, out, diag);
    }
    if (rc == -ENOENT && state_dir) { /* the one that hsc uses when it is told nothing */
        rc = hs_where_find(&where, NULL, ini, state_dir, diag);
        rc = rc < 0 ? rc : tor_client_key_in(&where, address, out, diag);
    }
    return rc;
}

/* --- what a connection has been given --------------------------------------------------------- */

/* A service whose key was sent. */
struct tor_client_entry {
    struct tor_client_entry *next, *prev;
    struct loaded *of;
    uint8_t address[HS_PUBLIC_KEY], pub[HS_PUBLIC_KEY];
    bool given; /* the user named the key: failures are errors */
    bool done;
    bool busy; /* being answered: freed only afterwards */
    bool gone; /* and taken out of the list meanwhile */
    struct tor_request request;
    struct tor_client_load *waiting;
};

/* Everything about one control connection. */
struct loaded {
    struct loaded *next;
    struct all *all;
    struct tor_control_watch watch; /* without a control it is over */
    struct tor_subscription events[EVENTS];
    struct tor_client_entry *entries;
    size_t n;
};

/* Of an app. */
struct all {
    struct nk_app *app;
    struct loaded *first;
    bool warned; /* of keys that cannot be used; once is enough */
};

static const char slot_key;

/* It is out of the list. */
static void release_entry(struct tor_client_entry *e)
{
    e->of->n--;
    tor_request_cancel(&e->request);
    for (struct tor_client_load *w = e->waiting; w; w = w->next) {
        w->entry = NULL;
    }
    e->gone = true;
    if (!e->busy) {
        free(e);
    }
}

static void drop_entry(struct loaded *l, struct tor_client_entry *e)
{
    if (l->entries == e) {
        l->entries = e->next;
    } else {
        e->prev->next = e->next;
    }
    if (e->next) {
        e->next->prev = e->prev;
    }
    release_entry(e);
}

static void forget(struct loaded *l)
{
    struct tor_client_entry *next;
    for (struct tor_client_entry *e = l->entries; e; e = next) {
        next = e->next;
        release_entry(e);
    }
    l->entries = NULL;
}

/* Requests that waited have had their answer; another tor, or the same one restarted, has none of
 * these keys. */
static void on_state(void *owner, enum tor_control_state state, int err, const struct nk_diag *why)
{
    (void)err;
    (void)why;
    if (state == TOR_CONTROL_LOST || state == TOR_CONTROL_CLOSED) {
        forget(owner);
    }
}

static void unsubscribe(struct loaded *l)
{
    for (size_t i = 0; i < EVENTS; i++) {
        tor_control_unsubscribe(&l->events[i]);
    }
}

static void release(void *value)
{
    struct all *all = value;
    while (all->first) {
        struct loaded *l = all->first;
        all->first = l->next;
        forget(l);
        tor_control_unwatch(&l->watch);
        unsubscribe(l);
        free(l);
    }
    free(all);
}

/* tor drops keys that are not permanent at NEWNYM and at RELOAD (measured with 0.4.9.11); what it
 * does at other changes of its configuration need not be known. */
static const char *const upsets[EVENTS] = {"SIGNAL", "CONF_CHANGED"};

static void on_upset(void *owner, const struct tor_reply *event)
{
    struct loaded *l = owner;
    struct tor_client_entry *next;
    (void)event;
    for (struct tor_client_entry *e = l->entries; e; e = next) {
        next = e->next;
        if (e->done) {
            drop_entry(l, e);
        }
    }
}

static struct all *all_of(struct nk_app *app)
{
    struct all *all = nk_app_slot(app, &slot_key);
    if (!all && (all = calloc(1, sizeof(*all)))) {
        all->app = app;
        if (nk_app_slot_set(app, &slot_key, all, release) < 0) {
            free(all);
            all = NULL;
        }
    }
    return all;
}

/* That of a connection; those that are over go. */
static struct loaded *loaded_of(struct all *all, struct tor_control *control)
{
    struct loaded **at = &all->first, *l;
    while ((l = *at)) {
        if (l->watch.control == control) {
            return l;
        }
        if (l->watch.control) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        forget(l);
        free(l);
    }
    if (!(l = calloc(1, sizeof(*l)))) {
        return NULL;
    }
    l->all = all;
    for (size_t i = 0; i < EVENTS; i++) {
        l->events[i] = (struct tor_subscription){.event = upsets[i], .fn = on_upset, .owner = l};
        if (tor_control_subscribe(control, &l->events[i]) < 0) {
            unsubscribe(l);
            free(l);
            return NULL;
        }
    }
    l->watch = (struct tor_control_watch){.fn = on_state, .owner = l};
    tor_control_watch(control, &l->watch);
    l->next = all->first;
    all->first = l;
    return l;
}

static struct tor_client_entry *entry_of(struct loaded *l, const uint8_t address[HS_PUBLIC_KEY])
{
    struct tor_client_entry *e = l->entries;
    while (e && memcmp(e->address, address, HS_PUBLIC_KEY) != 0) {
        e = e->next;
    }
    return e;
}

/* Of those that nobody waits for. */
static void drop_oldest(struct loaded *l)
{
    struct tor_client_entry *oldest = NULL;
    for (struct tor_client_entry *e = l->entries; e; e = e->next) {
        oldest = e->done && !e->busy ? e : oldest;
    }
    if (oldest) {
        drop_entry(l, oldest);
    }
}

/* --- loading ---------------------------------------------------------------------------------- */

void tor_client_load_cancel(struct tor_client_load *w)
{
    struct tor_client_entry *e = w->entry;
    if (!e) {
        return;
    }
    if (e->waiting == w) {
        e->waiting = w->next;
    } else {
        w->prev->next = w->next;
    }
    if (w->next) {
        w->next->prev = w->prev;
    }
    w->entry = NULL;
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct tor_client_entry *e = owner;
    struct nk_log *log = nk_app_log(e->of->all->app);
    struct nk_diag diag = {0};
    char address[NK_ONION_SIZE];
    nk_onion_format(address, e->address);
    if (err < 0) {
        diag = *why;
    } else {
        err = tor_client_auth_error(reply, false, &diag);
    }
    e->done = err == 0;
    if (err < 0) {
        nk_fail_context(&diag, "the key for %.16s...onion", address);
        nk_log_diag(log, "tor", e->given ? NK_LOG_DEBUG : NK_LOG_WARN, &diag);
        err = e->given ? err : 0;
    } else {
        nk_debug(log, "tor", "tor has the key for %s", address);
    }
    e->busy = true;
    while (!e->gone && e->waiting) {
        struct tor_client_load *w = e->waiting;
        tor_client_load_cancel(w);
        w->fn(w->owner, err, err < 0 ? &diag : NULL);
    }
    e->busy = false;
    if (e->gone) {
        free(e);
    } else if (!e->done) {
        drop_entry(e->of, e);
    }
}

static void wait_for(struct tor_client_entry *e, struct tor_client_load *w)
{
    w->entry = e;
    w->prev = NULL;
    w->next = e->waiting;
    if (w->next) {
        w->next->prev = w;
    }
    e->waiting = w;
}

static int send_key(struct loaded *l, const uint8_t address[HS_PUBLIC_KEY],
                    const struct hs_client *key, bool given, struct tor_client_load *w,
                    struct nk_diag *diag)
{
    struct tor_client_entry *e = entry_of(l, address);
    struct tor_client_key k = {.key = key};
    if (e && memcmp(e->pub, key->pub, sizeof(e->pub)) == 0) {
        if (e->done) {
            return 0;
        }
        wait_for(e, w);
        return 1;
    }
    if (e && !e->done) { /* another key is on its way; whoever comes last waits for that one, too */
        wait_for(e, w);
        return 1;
    }
    if (e) {
        drop_entry(l, e);
    } else if (l->n >= ENTRIES_MAX) {
        drop_oldest(l);
    }
    if (!(e = calloc(1, sizeof(*e)))) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    memcpy(k.address, address, HS_PUBLIC_KEY);
    memcpy(e->address, address, HS_PUBLIC_KEY);
    memcpy(e->pub, key->pub, HS_PUBLIC_KEY);
    e->of = l;
    e->given = given;
    e->request = (struct tor_request){.fn = on_reply, .owner = e};
    int rc = tor_client_auth_add(l->watch.control, &e->request, &k, diag);
    if (rc < 0) {
        free(e);
        return rc;
    }
    e->next = l->entries;
    if (e->next) {
        e->next->prev = e;
    }
    l->entries = e;
    l->n++;
    wait_for(e, w);
    return 1;
}

static int read_given(const char *path, const char *host, struct hs_client *out,
                      struct nk_diag *diag)
{
    const struct hs_hints hints = {.format = HS_DETECT, .kind = HS_CLIENT, .address = host};
    struct hs_item item;
    int rc = hs_format_load(path, &hints, &item, diag);
    if (rc < 0) {
        return rc;
    }
    if (item.client.has_secret) {
        *out = item.client;
    } else {
        rc = nk_fail(diag, NK_EFORMAT, "%s holds only the public half of a key", path);
    }
    hs_item_wipe(&item);
    return rc;
}

static bool is_onion(const char *host, uint8_t address[HS_PUBLIC_KEY])
{
    static const char suffix[] = ".onion";
    size_t n = strlen(host), dot = sizeof(suffix) - 1;
    if (n <= dot || strcasecmp(host + n - dot, suffix) != 0) {
        return false;
    }
    n -= dot;
    size_t from = n; /* www.ADDRESS.onion is the same service */
    while (from > 0 && host[from - 1] != '.') {
        from--;
    }
    return nk_onion_parse(address, host + from, n - from, NULL) == 0;
}

/* The key for the service, through the connection. */
static int load(struct nk_app *app, struct tor_control *control, const uint8_t *address,
                const char *text, const char *key_file, struct tor_client_load *l,
                struct nk_diag *diag)
{
    struct hs_client key = {0};
    int rc = key_file
                 ? read_given(key_file, text, &key, diag)
                 : tor_client_key_find(nk_app_ini(app), nk_app_state_dir(app), address, &key, diag);
    if (rc == -ENOENT && !key_file) {
        return 0;
    }
    if (rc == 0 && !control) {
        rc =
            nk_fail(diag, NK_EUSAGE, "there is a key for %.16s...onion, and no control port", text);
        nk_hint(diag, "keys are loaded through tor's control port: control=");
    } else if (rc == 0) {
        struct all *all = all_of(app);
        struct loaded *of = all ? loaded_of(all, control) : NULL;
        rc = of ? send_key(of, address, &key, key_file != NULL, l, diag)
                : nk_fail(diag, -ENOMEM, "out of memory");
    }
    hs_client_wipe(&key);
    return rc;
}

/* Everybody who has a keystore that cannot be used hears it, but not for each connection. */
static void warn(struct nk_app *app, const struct nk_diag *why)
{
    struct all *all = all_of(app);
    bool again = all && all->warned;
    nk_log_diag(nk_app_log(app), "tor", again ? NK_LOG_DEBUG : NK_LOG_WARN, why);
    if (all) {
        all->warned = true;
    }
}

int tor_client_load(struct nk_app *app, struct tor_control *control, const char *host,
                    const char *key_file, struct tor_client_load *l, struct nk_diag *diag)
{
    uint8_t address[HS_PUBLIC_KEY];
    char text[NK_ONION_SIZE];
    struct nk_diag why = {0};
    l->entry = NULL;
    if (!is_onion(host, address)) {
        return key_file ? nk_fail(diag, NK_EUSAGE,
                                  "%.64s is no onion address: there is no key for it", host)
                        : 0;
    }
    nk_onion_format(text, address);
    int rc = load(app, control, address, text, key_file, l, &why);
    if (rc >= 0) {
        return rc;
    }
    if (!key_file) {
        warn(app, &why);
        return 0;
    }
    if (diag) {
        *diag = why;
    }
    return rc;
}
