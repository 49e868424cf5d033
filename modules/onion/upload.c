/* SPDX-License-Identifier: MIT */
#include "onion/upload.h"

#include <string.h>
#include <strings.h>

#include "base/onion.h"

struct word {
    const char *p;
    size_t n;
};

/* Positions of the words of an event. */
enum { W_EVENT, W_ACTION, W_ADDRESS, W_AUTH, W_HSDIR, W_DESCRIPTOR, W_MAX = 10 };

static size_t split(struct word w[W_MAX], const char *text, size_t len)
{
    size_t n = 0, i = 0;
    while (n < W_MAX) {
        while (i < len && text[i] == ' ') {
            i++;
        }
        size_t from = i;
        while (i < len && text[i] != ' ') {
            i++;
        }
        if (i == from) {
            break;
        }
        w[n] = (struct word){.p = text + from, .n = i - from};
        n++;
    }
    return n;
}

static bool is(const struct word *w, const char *text)
{
    return w->n == strlen(text) && memcmp(w->p, text, w->n) == 0;
}

/* "$FINGERPRINT~name": the fingerprint. */
static bool copy_hsdir(char out[ONION_HSDIR_ID + 1], const struct word *w)
{
    if (w->n < ONION_HSDIR_ID || w->p[0] != '$' ||
        (w->n > ONION_HSDIR_ID && w->p[ONION_HSDIR_ID] != '~' && w->p[ONION_HSDIR_ID] != '=')) {
        return false;
    }
    memcpy(out, w->p, ONION_HSDIR_ID);
    out[ONION_HSDIR_ID] = '\0';
    return true;
}

/* The batch of a descriptor; without one, the oldest is given up for it. */
static struct onion_upload_batch *batch_of(struct onion_upload *u, const struct word *id)
{
    struct onion_upload_batch *oldest = &u->batches[0];
    for (size_t i = 0; i < ONION_UPLOAD_DESCRIPTORS; i++) {
        struct onion_upload_batch *b = &u->batches[i];
        if (is(id, b->id)) {
            return b;
        }
        if (b->age < oldest->age) {
            oldest = b;
        }
    }
    *oldest = (struct onion_upload_batch){.age = ++u->age};
    memcpy(oldest->id, id->p, id->n);
    oldest->id[id->n] = '\0';
    return oldest;
}

/* A directory that the batch has already: the next batch begins, and tor has ended this one. */
static bool has_dir(const struct onion_upload_batch *b, const char *hsdir)
{
    for (unsigned i = 0; i < b->n; i++) {
        if (strcmp(b->dirs[i].id, hsdir) == 0) {
            return true;
        }
    }
    return false;
}

static void begin(struct onion_upload *u, struct onion_upload_batch *b, const char *hsdir)
{
    if (has_dir(b, hsdir) || b->n == ONION_UPLOAD_DIRS) {
        b->n = b->pending = 0;
    }
    memcpy(b->dirs[b->n].id, hsdir, ONION_HSDIR_ID + 1);
    b->dirs[b->n].pending = true;
    b->n++;
    b->pending++;
    u->started++;
}

/* An answer of a directory: for the batch that waits longest for it. False when none does. */
static bool settle(struct onion_upload *u, const char *hsdir)
{
    struct onion_upload_batch *found = NULL;
    unsigned at = 0;
    for (size_t i = 0; i < ONION_UPLOAD_DESCRIPTORS; i++) {
        struct onion_upload_batch *b = &u->batches[i];
        for (unsigned k = 0; k < b->n; k++) {
            if (b->dirs[k].pending && strcmp(b->dirs[k].id, hsdir) == 0 &&
                (!found || b->age < found->age)) {
                found = b;
                at = k;
            }
        }
    }
    if (found) {
        found->dirs[at].pending = false;
        found->pending--;
    }
    return found != NULL;
}

/* FAILED tells of downloads, too. */
static const char UPLOAD_REJECTED[] = "UPLOAD_REJECTED";
static const char UNEXPECTED[] = "UNEXPECTED";

static bool fail(struct onion_upload *u, const struct word *w, size_t n, const char *hsdir)
{
    static const char key[] = "REASON=";
    const char *reason = UNEXPECTED;
    for (size_t i = W_HSDIR + 1; i < n; i++) {
        if (w[i].n >= sizeof(key) - 1 && memcmp(w[i].p, key, sizeof(key) - 1) == 0) {
            const struct word value = {w[i].p + sizeof(key) - 1, w[i].n - (sizeof(key) - 1)};
            if (!is(&value, UPLOAD_REJECTED) && !is(&value, UNEXPECTED)) {
                return false;
            }
            reason = is(&value, UPLOAD_REJECTED) ? UPLOAD_REJECTED : UNEXPECTED;
        }
    }
    if (!settle(u, hsdir)) {
        return false;
    }
    memcpy(u->reason, reason, strlen(reason) + 1);
    u->failed++;
    return true;
}

void onion_upload_init(struct onion_upload *u)
{
    memset(u, 0, sizeof(*u));
}

bool onion_upload_event(struct onion_upload *u, const char *address, const char *text, size_t len)
{
    struct word w[W_MAX];
    char hsdir[ONION_HSDIR_ID + 1];
    size_t n = split(w, text, len);
    if (n <= W_HSDIR || !is(&w[W_EVENT], "HS_DESC") || w[W_ADDRESS].n != NK_ONION_LABEL ||
        strncasecmp(w[W_ADDRESS].p, address, NK_ONION_LABEL) != 0) {
        return false;
    }
    const struct word *action = &w[W_ACTION];
    bool has_id = n > W_DESCRIPTOR && w[W_DESCRIPTOR].n <= ONION_DESCRIPTOR_ID;
    if (is(action, "CREATED") && has_id) {
        (void)batch_of(u, &w[W_DESCRIPTOR]);
        return true;
    }
    if (!copy_hsdir(hsdir, &w[W_HSDIR])) {
        return false;
    }
    if (is(action, "UPLOAD") && has_id) {
        begin(u, batch_of(u, &w[W_DESCRIPTOR]), hsdir);
        return true;
    }
    if (is(action, "UPLOADED")) {
        (void)settle(u, hsdir); /* one that began before we listened counts as well */
        u->uploaded++;
        return true;
    }
    return is(action, "FAILED") && fail(u, w, n, hsdir);
}

bool onion_upload_reached(const struct onion_upload *u, enum onion_upload_wait what)
{
    bool any = false;
    if (what != ONION_WAIT_ALL) {
        return what == ONION_WAIT_NONE || u->uploaded > 0;
    }
    for (size_t i = 0; i < ONION_UPLOAD_DESCRIPTORS; i++) {
        const struct onion_upload_batch *b = &u->batches[i];
        if (b->id[0] != '\0' && (b->n == 0 || b->pending > 0)) {
            return false;
        }
        any = any || b->n > 0;
    }
    return any && u->uploaded > 0;
}

void onion_upload_progress(const struct onion_upload *u, unsigned *done, unsigned *total)
{
    *done = *total = 0;
    for (size_t i = 0; i < ONION_UPLOAD_DESCRIPTORS; i++) {
        *total += u->batches[i].n;
        *done += u->batches[i].n - u->batches[i].pending;
    }
}
