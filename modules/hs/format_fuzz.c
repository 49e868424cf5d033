/* SPDX-License-Identifier: MIT */
/* All readers of keys: what can be read can be written in its own form and reads as the same; the
 * first byte chooses what the reader is told besides the contents. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hs/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    NULL,
    "hs_ed25519_secret_key",
    "hostname",
    "a.auth",
    "a.auth_private",
    "d/ks_hsc_desc_enc.x25519_private",
    "ks_hs_id.ed25519_expanded_private",
    "k.ed25519_private",
    "k.x25519_public",
    "k.ed25519_public",
};
enum { NAMES = sizeof(names) / sizeof(*names), KINDS = 3 };

static void require(int what)
{
    if (!what) {
        abort();
    }
}

static void same(const struct hs_item *a, const struct hs_item *b)
{
    require(a->kind == b->kind && a->format == b->format);
    require(memcmp(hs_item_pub(a), hs_item_pub(b), HS_PUBLIC_KEY) == 0);
    require(hs_item_has_secret(a) == hs_item_has_secret(b));
    if (a->kind == HS_CLIENT) {
        require(memcmp(&a->client, &b->client, sizeof(a->client)) == 0);
    } else if (a->format != HS_ARTI_PRIVATE) { /* which reduces the scalar */
        require(memcmp(&a->identity, &b->identity, sizeof(a->identity)) == 0);
    }
}

/* The form in which it was found, unless that is only the public part of a form with secrets. */
static void write_and_read(const struct hs_item *item)
{
    const struct hs_hints hints = {.format = item->format, .kind = item->kind};
    struct hs_item again;
    struct nk_buf out;
    if ((hs_format_info(item->format)->holds & HS_HOLDS_SECRET) && !hs_item_has_secret(item)) {
        return;
    }
    nk_buf_init_secret(&out, HS_FORMAT_MAX);
    require(hs_format_write(item, item->format, &out, NULL) == 0);
    require(hs_format_read_as(nk_buf_ptr(&out), nk_buf_len(&out), &hints, &again, NULL) == 0);
    same(item, &again);
    nk_buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hs_item item;
    struct nk_diag diag;
    if (size < 1 || size > HS_FORMAT_MAX) {
        return 0;
    }
    unsigned how = data[0];
    struct hs_hints hints = {.format = HS_DETECT, .kind = (enum hs_kind)(how % KINDS)};
    how /= KINDS;
    if (how < NAMES) {
        hints.name = names[how];
    } else {
        hints.format = (enum hs_format)((how - NAMES) % HS_FORMATS);
    }
    if (hs_format_read_as(data + 1, size - 1, &hints, &item, &diag) == 0) {
        write_and_read(&item);
    } else {
        require(diag.text[0] != 0);
    }
    return 0;
}
