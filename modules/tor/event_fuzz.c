/* SPDX-License-Identifier: MIT */
/*
 * Any text as events and as lines of GETINFO: whatever is parsed can be written as JSON that a
 * strict reader takes, and as one line without control bytes; filters only answer.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json_read.h"
#include "tor/event.h"
#include "tor/event_testkit.h"

#define OUT_MAX ((size_t)1 << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void check(const struct tor_event *e)
{
    struct nk_json_doc *doc;
    struct tor_filter f;
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, OUT_MAX);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    need(tor_event_json(e, true, &j) == 0);
    nk_json_close(&j);
    need(nk_json_end(&j) == 0);
    need(nk_json_parse(&doc, nk_buf_ptr(&out), nk_buf_len(&out), NULL) == 0);
    nk_json_doc_free(doc);
    nk_buf_reset(&out);
    need(tor_event_text(e, &out) == 0);
    for (size_t i = 0; i < nk_buf_len(&out); i++) {
        need(nk_buf_ptr(&out)[i] >= ' ');
    }
    need(tor_filter_parse(&f, "path=a2|r0", NULL) == 0);
    (void)tor_filter_match(&f, e);
    need(tor_filter_parse(&f, "status~U", NULL) == 0);
    (void)tor_filter_match(&f, e);
    for (size_t i = 0; i < e->n; i++) {
        char small[8];
        (void)tor_value_copy(small, sizeof(small), &e->v[i]);
        (void)tor_value_u64(&e->v[i]);
    }
    nk_buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"circuit-status", "stream-status", "orconn-status",
                                       "entry-guards", "address-mappings/all"};
    struct tor_test_replies t;
    struct tor_event e;
    const struct tor_reply *r;
    tor_test_replies_init(&t, data, size);
    while ((r = tor_test_replies_next(&t)) != NULL) {
        if (tor_event_parse(&e, r) == 0) {
            check(&e);
        }
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            if (tor_event_parse_line(&e, keys[i], r->lines[0].text, r->lines[0].len) == 0) {
                check(&e);
            }
        }
    }
    tor_test_replies_clear(&t);
    return 0;
}
