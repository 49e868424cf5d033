/* SPDX-License-Identifier: MIT */
/* Keys of any kind: the cursor stays within the line, which is UTF-8 without control bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "tor/edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void offer(void *owner, const char *line, size_t cursor, struct tor_edit_choices *out)
{
    (void)owner;
    out->from = cursor > 2 ? cursor - 2 : 0;
    tor_edit_offer(out, "alpha", line + out->from, cursor - out->from);
    tor_edit_offer(out, "alphabet", line + out->from, cursor - out->from);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tor_edit_conf conf = {.prompt = "> ", .complete = offer};
    struct tor_edit *e;
    struct nk_buf screen;
    if (size > 512 || tor_edit_new(&e, &conf) < 0) {
        return 0;
    }
    nk_buf_init(&screen, 4096);
    tor_edit_columns(e, size > 0 ? data[0] : 0);
    tor_edit_start(e, &screen);
    for (size_t at = 0, used; at < size; at += used) {
        nk_buf_reset(&screen);
        enum tor_edit_result r = tor_edit_feed(e, data + at, size - at, &used, &screen);
        const char *line = tor_edit_text(e);
        if (used == 0 || used > size - at || strlen(line) > TOR_EDIT_LINE_MAX ||
            !nk_utf8_valid(line, strlen(line)) || strpbrk(line, "\r\n\x1b\t")) {
            abort();
        }
        if (r == TOR_EDIT_LINE && tor_edit_remember(e, line) < 0) {
            break;
        }
        if (r != TOR_EDIT_MORE) {
            tor_edit_start(e, &screen);
        }
    }
    tor_edit_free(e);
    nk_buf_clear(&screen);
    return 0;
}
