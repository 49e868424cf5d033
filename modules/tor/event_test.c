/* SPDX-License-Identifier: MIT */
/* Events of every type, malformed ones, filters, and everything that tor 0.4.9 sent when it was
 * recorded. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json_read.h"
#include "tor/event.h"
#include "tor/event_testkit.h"
#include "tor/ns.h"

#define FP "1D6495019080099377AE0D5867C9A8DEE718102B"
#define FP2 "DD7F7E2E6188E2F2879A9656DA2E19B663D6EAE5"
#define RELAY(nick) "{\"fingerprint\":\"" FP "\",\"nickname\":\"" nick "\"}"

enum { OUT_MAX = 1 << 22, LEAST_RECORDED = 800 };

static void json_of(const struct tor_event *e, struct nk_buf *out)
{
    struct nk_json j;
    nk_buf_init(out, OUT_MAX);
    nk_json_init(&j, out, false);
    nk_json_object(&j);
    assert_int_equal(tor_event_json(e, true, &j), 0);
    nk_json_close(&j);
    assert_int_equal(nk_json_end(&j), 0);
}

/* What each event is as JSON. */
static const struct {
    const char *text, *json;
} typed[] = {
    {"650 CIRC 33 LAUNCHED BUILD_FLAGS=NEED_CAPACITY PURPOSE=GENERAL "
     "TIME_CREATED=2026-11-20T21:04:38.829538\n",
     "{\"event\":\"CIRC\",\"id\":\"33\",\"status\":\"LAUNCHED\",\"build_flags\":[\"NEED_CAPACITY\"]"
     ","
     "\"purpose\":\"GENERAL\",\"time_created\":\"2026-11-20T21:04:38.829538Z\"}"},
    {"650 CIRC 30 CLOSED $" FP "~a2,$" FP2 " REASON=FINISHED SOCKS_USERNAME=\"u \\\"1\" NEW=x\n",
     "{\"event\":\"CIRC\",\"id\":\"30\",\"status\":\"CLOSED\",\"path\":[" RELAY(
         "a2") ",{\"fingerprint\":\"" FP2 "\",\"nickname\":null}],\"reason\":\"FINISHED\","
               "\"socks_username\":\"u \\\"1\",\"new\":\"x\"}"},
    {"650 CIRC_MINOR 51 PURPOSE_CHANGED $" FP "~a2 PURPOSE=CONTROLLER OLD_PURPOSE=GENERAL "
     "CONFLUX_RTT=8267\n",
     "{\"event\":\"CIRC_MINOR\",\"id\":\"51\",\"change\":\"PURPOSE_CHANGED\",\"path\":[" RELAY(
         "a2") "],\"purpose\":\"CONTROLLER\",\"old_purpose\":\"GENERAL\",\"conflux_rtt\":8267}"},
    {"650 STREAM 49 NEW 0 127.0.0.1:28081 SOURCE_ADDR=127.0.0.1:60226 NYM_EPOCH=0 "
     "SESSION_GROUP=-4 ISO_FIELDS=CLIENTADDR,NYM_EPOCH\n",
     "{\"event\":\"STREAM\",\"id\":\"49\",\"status\":\"NEW\",\"circuit\":\"0\","
     "\"target\":\"127.0.0.1:28081\",\"source_addr\":\"127.0.0.1:60226\",\"nym_epoch\":0,"
     "\"session_group\":-4,\"iso_fields\":[\"CLIENTADDR\",\"NYM_EPOCH\"]}"},
    {"650 STREAM_BW 59 20 12 2026-11-20T21:04:44.020683\n",
     "{\"event\":\"STREAM_BW\",\"id\":\"59\",\"written\":20,\"read\":12,"
     "\"time\":\"2026-11-20T21:04:44.020683Z\"}"},
    {"650 ORCONN $" FP "~r1 CONNECTED ID=58\n",
     "{\"event\":\"ORCONN\",\"target\":" RELAY("r1") ",\"status\":\"CONNECTED\",\"id\":\"58\"}"},
    {"650 ORCONN 127.0.0.1:9001 FAILED REASON=CONNECTREFUSED NCIRCS=2\n",
     "{\"event\":\"ORCONN\",\"target\":\"127.0.0.1:9001\",\"status\":\"FAILED\","
     "\"reason\":\"CONNECTREFUSED\",\"ncircs\":2}"},
    {"650 BW 10602 14278\n", "{\"event\":\"BW\",\"read\":10602,\"written\":14278}"},
    {"650 WARN  two  spaces = \"kept\"\n",
     "{\"event\":\"WARN\",\"message\":\"two  spaces = \\\"kept\\\"\"}"},
    {"650 NEWDESC $" FP "~a2 $" FP "~r1\n",
     "{\"event\":\"NEWDESC\",\"relays\":[" RELAY("a2") "," RELAY("r1") "]}"},
    {"650 ADDRMAP one.example <error> \"2026-11-20 21:05:39\" error=yes "
     "EXPIRES=\"2026-11-20 21:05:39\" CACHED=\"NO\" STREAMID=57\n",
     "{\"event\":\"ADDRMAP\",\"address\":\"one.example\",\"new_address\":\"<error>\","
     "\"expiry\":\"2026-11-20 21:05:39\",\"error\":true,\"expires\":\"2026-11-20T21:05:39Z\","
     "\"cached\":false,\"streamid\":\"57\"}"},
    {"650 ADDRMAP [fead::1] y.example NEVER CACHED=\"YES\"\n",
     "{\"event\":\"ADDRMAP\",\"address\":\"[fead::1]\",\"new_address\":\"y.example\","
     "\"expiry\":\"NEVER\",\"cached\":true}"},
    {"650 DESCCHANGED\n", "{\"event\":\"DESCCHANGED\"}"},
    {"650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting to a relay\"\n",
     "{\"event\":\"STATUS_CLIENT\",\"severity\":\"NOTICE\",\"action\":\"BOOTSTRAP\","
     "\"progress\":5,\"tag\":\"conn\",\"summary\":\"Connecting to a relay\"}"},
    {"650 GUARD ENTRY $" FP "~a2 DROPPED\n",
     "{\"event\":\"GUARD\",\"type\":\"ENTRY\",\"name\":" RELAY("a2") ",\"status\":\"DROPPED\"}"},
    {"650-CONF_CHANGED\n650-ContactInfo=a b\n650-ExitNodes=\n650-NewCircuitPeriod\n650 OK\n",
     "{\"event\":\"CONF_CHANGED\",\"changes\":[{\"key\":\"ContactInfo\",\"value\":\"a b\"},"
     "{\"key\":\"ExitNodes\",\"value\":\"\"},{\"key\":\"NewCircuitPeriod\",\"value\":null}]}"},
    {"650+NEWCONSENSUS\nr r0 FaKCk9J7xeWT0esjYOVdc1pnAuU YHflWUwa/DQhdHoJj4Y/AjrR4BY 2038-01-01 "
     "00:00:00 127.0.0.1 21030 0\ns Exit Fast\nw Bandwidth=79\n.\n650 OK\n",
     "{\"event\":\"NEWCONSENSUS\",\"relays\":[{\"fingerprint\":"
     "\"15A28293D27BC5E593D1EB2360E55D735A6702E5\",\"nickname\":\"r0\",\"address\":\"127.0.0.1\","
     "\"or_port\":21030,\"dir_port\":0,\"flags\":[\"Exit\",\"Fast\"],\"bandwidth\":79,"
     "\"measured\":true}]}"},
    {"650 BUILDTIMEOUT_SET RESET TOTAL_TIMES=0 TIMEOUT_MS=60000 ALPHA=0.500000\n",
     "{\"event\":\"BUILDTIMEOUT_SET\",\"type\":\"RESET\",\"total_times\":0,\"timeout_ms\":60000,"
     "\"alpha\":0.5}"},
    {"650 SIGNAL NEWNYM\n", "{\"event\":\"SIGNAL\",\"signal\":\"NEWNYM\"}"},
    {"650 CONN_BW ID=6 TYPE=OR READ=90938 WRITTEN=68556\n",
     "{\"event\":\"CONN_BW\",\"id\":\"6\",\"type\":\"OR\",\"read\":90938,\"written\":68556}"},
    {"650 CIRC_BW ID=53 READ=509 WRITTEN=5 TIME=2026-11-20T21:04:42.512786 SS=1 CWND=124\n",
     "{\"event\":\"CIRC_BW\",\"id\":\"53\",\"read\":509,\"written\":5,"
     "\"time\":\"2026-11-20T21:04:42.512786Z\",\"ss\":true,\"cwnd\":124}"},
    {"650 CELL_STATS ID=14 OutboundQueue=19403 OutboundRemoved=relay:2,create2:1\n",
     "{\"event\":\"CELL_STATS\",\"id\":\"14\",\"outbound_queue\":\"19403\","
     "\"outbound_removed\":{\"relay\":2,\"create2\":1}}"},
    {"650 HS_DESC FAILED abc NO_AUTH $" FP "~r0 3vTO REASON=NOT_FOUND\n",
     "{\"event\":\"HS_DESC\",\"action\":\"FAILED\",\"address\":\"abc\",\"auth_type\":\"NO_AUTH\","
     "\"hsdir\":" RELAY("r0") ",\"descriptor_id\":\"3vTO\",\"reason\":\"NOT_FOUND\"}"},
    {"650 HS_DESC CREATED abc UNKNOWN UNKNOWN Yvb\n",
     "{\"event\":\"HS_DESC\",\"action\":\"CREATED\",\"address\":\"abc\",\"auth_type\":\"UNKNOWN\","
     "\"hsdir\":\"UNKNOWN\",\"descriptor_id\":\"Yvb\"}"},
    {"650+HS_DESC_CONTENT abc 3vTO $" FP "~r0\n\n.\n650 OK\n",
     "{\"event\":\"HS_DESC_CONTENT\",\"address\":\"abc\",\"descriptor_id\":\"3vTO\","
     "\"hsdir\":" RELAY("r0") ",\"data\":\"\\n\"}"},
    {"650 NETWORK_LIVENESS UP\n", "{\"event\":\"NETWORK_LIVENESS\",\"status\":\"UP\"}"},
    {"650 CLIENTS_SEEN TimeStarted=\"2008-12-25 23:50:43\" CountrySummary=us:16,de:8 "
     "IPVersions=v4=16,v6=40\n",
     "{\"event\":\"CLIENTS_SEEN\",\"time_started\":\"2008-12-25T23:50:43Z\","
     "\"country_summary\":{\"us\":16,\"de\":8},\"ipversions\":{\"v4\":16,\"v6\":40}}"},
    {"650 TRANSPORT_LAUNCHED server obfs1 127.0.0.1 35397\n",
     "{\"event\":\"TRANSPORT_LAUNCHED\",\"type\":\"server\",\"name\":\"obfs1\","
     "\"address\":\"127.0.0.1\",\"port\":35397}"},
    {"650 PT_LOG PT=/usr/bin/obs4proxy SEVERITY=debug MESSAGE=\"Connected\"\n",
     "{\"event\":\"PT_LOG\",\"pt\":\"/usr/bin/obs4proxy\",\"severity\":\"debug\","
     "\"message\":\"Connected\"}"},
    {"650 PT_STATUS PT=/bin/x TRANSPORT=obfs4 CONNECT=Success\n",
     "{\"event\":\"PT_STATUS\",\"pt\":\"/bin/x\",\"transport\":\"obfs4\",\"connect\":\"Success\"}"},
    /* what nobody knows yet */
    {"650 BRAND_NEW one K=2 two \"th ree\"\n",
     "{\"event\":\"BRAND_NEW\",\"words\":[\"one\",\"K=2\",\"two\",\"\\\"th\",\"ree\\\"\"]}"},
    /* what does not fit its type is text */
    {"650 BW 99999999999999999999 -\n",
     "{\"event\":\"BW\",\"read\":\"99999999999999999999\",\"written\":\"-\"}"},
    {"650 CIRC_BW ID=1 SS=maybe TIME=yesterday READ=+3\n",
     "{\"event\":\"CIRC_BW\",\"id\":\"1\",\"ss\":\"maybe\",\"time\":\"yesterday\",\"read\":\"+"
     "3\"}"},
    {"650 CELL_STATS InboundAdded=relay:x,y\n",
     "{\"event\":\"CELL_STATS\",\"inbound_added\":\"relay:x,y\"}"},
    {"650 CIRC 1 BUILT $12~x\n",
     "{\"event\":\"CIRC\",\"id\":\"1\",\"status\":\"BUILT\",\"path\":[\"$12~x\"]}"},
    /* a repeated keyword is written once; a wrong escape stays; an open quote keeps the rest */
    {"650 CIRC 1 BUILT REASON=A REASON=B\n",
     "{\"event\":\"CIRC\",\"id\":\"1\",\"status\":\"BUILT\",\"reason\":\"A\"}"},
    {"650 CIRC 1 BUILT A=\"\\q\" B=\"\\303\\251\"\n",
     "{\"event\":\"CIRC\",\"id\":\"1\",\"status\":\"BUILT\",\"a\":\"\\\\q\",\"b\":\"\303\251\"}"},
    {"650 CIRC 1 BUILT A=\"open x\n",
     "{\"event\":\"CIRC\",\"id\":\"1\",\"status\":\"BUILT\",\"rest\":\"A=\\\"open x\"}"},
};

static void test_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++) {
        struct tor_test_replies t;
        struct tor_event e;
        struct nk_buf out;
        tor_test_replies_init(&t, typed[i].text, strlen(typed[i].text));
        const struct tor_reply *r = tor_test_replies_next(&t);
        assert_non_null(r);
        assert_int_equal(tor_event_parse(&e, r), 0);
        json_of(&e, &out);
        assert_string_equal(nk_buf_str(&out), typed[i].json);
        nk_buf_clear(&out);
        tor_test_replies_clear(&t);
    }
}

static void test_text(void **state)
{
    static const char *const lines[][2] = {
        {"650 CIRC 3 BUILT $" FP "~a2,$" FP2 " PURPOSE=GENERAL\n",
         "CIRC 3 BUILT a2,$" FP2 " purpose=GENERAL"},
        {"650 WARN \x1b[2Jgone\n", "WARN \\x1b[2Jgone"},
        {"650-CONF_CHANGED\n650-A=b\n650-C\n650 OK\n", "CONF_CHANGED A=b C"},
        {"650 CIRC 3 X SOCKS_USERNAME=\"a b\"\n", "CIRC 3 X socks_username=\"a b\""},
        {"650+HS_DESC_CONTENT a b $" FP "~r0\nx\n.\n650 OK\n", "HS_DESC_CONTENT a b r0 (2 bytes)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct tor_test_replies t;
        struct tor_event e;
        struct nk_buf out;
        nk_buf_init(&out, OUT_MAX);
        tor_test_replies_init(&t, lines[i][0], strlen(lines[i][0]));
        assert_int_equal(tor_event_parse(&e, tor_test_replies_next(&t)), 0);
        assert_int_equal(tor_event_text(&e, &out), 0);
        assert_string_equal(nk_buf_str(&out), lines[i][1]);
        nk_buf_clear(&out);
        tor_test_replies_clear(&t);
    }
}

static void test_info_lines(void **state)
{
    struct tor_event e;
    char text[64];
    const char *line = "7 BUILT $" FP "~a2 PURPOSE=HS_VANGUARDS CONFLUX_RTT=10146";
    (void)state;
    assert_int_equal(tor_event_parse_line(&e, "circuit-status", line, strlen(line)), 0);
    assert_true(e.known && tor_event_is(&e, "circuit-status"));
    assert_true(tor_value_is(tor_event_get(&e, "id"), "7"));
    assert_true(tor_value_is(tor_event_get(&e, "purpose"), "HS_VANGUARDS"));
    assert_true(tor_value_is(tor_event_get(&e, "PURPOSE"), "HS_VANGUARDS"));
    assert_int_equal(tor_value_u64(tor_event_get(&e, "conflux_rtt")), 10146);
    assert_int_equal(tor_value_u64(tor_event_get(&e, "purpose")), 0);
    assert_null(tor_event_get(&e, "nothing"));
    line = "a.example b.example \"2026-11-20 21:05:39\"";
    assert_int_equal(tor_event_parse_line(&e, "address-mappings/all", line, strlen(line)), 0);
    assert_true(tor_value_copy(text, sizeof text, tor_event_get(&e, "expiry")));
    assert_string_equal(text, "2026-11-20 21:05:39");
    assert_false(tor_value_copy(text, 5, tor_event_get(&e, "expiry")));
    assert_string_equal(text, "2026");
    assert_false(tor_value_copy(text, sizeof text, NULL));
    line = "$" FP "~a2 never-connected";
    assert_int_equal(tor_event_parse_line(&e, "entry-guards", line, strlen(line)), 0);
    assert_true(tor_value_is(tor_event_get(&e, "status"), "never-connected"));
    assert_int_equal(tor_event_parse_line(&e, "entry-guards", "", 0), NK_EFORMAT);
}

static void test_relay_names(void **state)
{
    struct tor_relay_name r;
    (void)state;
    assert_true(tor_relay_name_read(&r, "$" FP, 41));
    assert_true(r.fingerprint && !r.nickname);
    assert_true(tor_relay_name_read(&r, "$" FP "=x", 43));
    assert_int_equal(r.nickname_len, 1);
    assert_true(tor_relay_name_read(&r, "nick", 4) && !r.fingerprint);
    assert_false(tor_relay_name_read(&r, "", 0));
    assert_false(tor_relay_name_read(&r, "$" FP "~", 42));
    assert_false(tor_relay_name_read(&r, "$" FP "0", 42));
    assert_false(tor_relay_name_read(&r, "twentycharactersofit", 20));
    assert_false(tor_relay_name_read(&r, "a.b", 3));
}

static void test_filters(void **state)
{
    static const struct {
        const char *filter;
        bool match;
    } cases[] = {
        {"status=BUILT", true},
        {"status!=BUILT", false},
        {"status=FAILED|BUILT", true},
        {"status=BUIL", false},
        {"status~UIL", true},
        {"build_flags=NEED_UPTIME", true},
        {"build_flags=NEED", false},
        {"path=a2", true},
        {"path=A2", true},
        {"path=$" FP, true},
        {"path=" FP, true},
        {"path=" FP2, false},
        {"path=$" FP "~other", true},
        {"path=b2", false},
        {"reason=", true},
        {"purpose=", false},
        {"reason!=X", true},
        {"socks_username=u\"1", true},
        {"PURPOSE=GENERAL", true},
        {"socks_username~\"", true},
        {"path~a2", true},
    };
    const char *line = "7 BUILT $" FP "~a2 BUILD_FLAGS=NEED_CAPACITY,NEED_UPTIME PURPOSE=GENERAL "
                       "SOCKS_USERNAME=\"u\\\"1\"";
    struct tor_event e;
    struct tor_filter f;
    struct nk_diag diag;
    (void)state;
    assert_int_equal(tor_event_parse_line(&e, "circuit-status", line, strlen(line)), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(tor_filter_parse(&f, cases[i].filter, &diag), 0);
        if (tor_filter_match(&f, &e) != cases[i].match)
            fail_msg("%s", cases[i].filter);
    }
    assert_int_equal(tor_filter_parse(&f, "status", &diag), NK_EUSAGE);
    assert_int_equal(tor_filter_parse(&f, "=x", &diag), NK_EUSAGE);
    assert_int_equal(tor_filter_parse(&f, "status!x", &diag), NK_EUSAGE);
}

static void test_ns(void **state)
{
    static const char text[] =
        "s Orphan\n"
        "r r0 FaKCk9J7xeWT0esjYOVdc1pnAuU YHflWUwa/DQhdHoJj4Y/AjrR4BY 2038-01-01 00:00:00 "
        "127.0.0.1 "
        "21030 0\na [::1]:21030\ns Exit Fast\nw Bandwidth=79 Unmeasured=1\np accept 1-65535\n"
        "r broken x\ns Guard\n"
        "r r1 FaKCk9J7xeWT0esjYOVdc1pnAuU 2038-01-01 00:00:00 127.0.0.2 1 2\ns Guard\nx y\n";
    struct tor_ns_walk w;
    struct tor_ns r;
    (void)state;
    tor_ns_begin(&w, text, sizeof text - 1);
    assert_true(tor_ns_next(&w, &r));
    assert_string_equal(r.fingerprint, "15A28293D27BC5E593D1EB2360E55D735A6702E5");
    assert_true(tor_ns_has_flag(&r, "exit") && !tor_ns_has_flag(&r, "Guard"));
    assert_int_equal(r.or_port, 21030);
    assert_int_equal(r.bandwidth, 79);
    assert_false(r.measured);
    assert_int_equal(r.address6.n, strlen("[::1]:21030"));
    assert_true(tor_ns_next(&w, &r));
    assert_memory_equal(r.nickname.p, "r1", 2);
    assert_int_equal(r.dir_port, 2);
    assert_true(tor_ns_has_flag(&r, "Guard"));
    assert_false(tor_ns_next(&w, &r));
}

/* --- recordings ------------------------------------------------------------------------------ */

static size_t replay(const char *name)
{
    char path[NK_PATH_MAX];
    struct nk_diag diag;
    struct nk_buf file, out;
    struct tor_test_replies t;
    size_t events = 0;
    nk_buf_init(&file, OUT_MAX);
    assert_int_equal(nk_path_join(path, sizeof path, TOR_RECORDINGS, name), 0);
    assert_int_equal(nk_file_read(path, 0, &file, &diag), 0);
    tor_test_replies_init(&t, nk_buf_ptr(&file), nk_buf_len(&file));
    const struct tor_reply *r;
    while ((r = tor_test_replies_next(&t)) != NULL) {
        struct tor_event e;
        struct nk_json_doc *doc;
        if (r->lines[0].code < TOR_EVENT)
            continue;
        assert_int_equal(tor_event_parse(&e, r), 0);
        assert_true(e.known && !e.cut);
        assert_null(tor_event_get(&e, "rest"));
        assert_null(tor_event_get(&e, "words"));
        json_of(&e, &out);
        assert_int_equal(nk_json_parse(&doc, nk_buf_ptr(&out), nk_buf_len(&out), &diag), 0);
        nk_json_doc_free(doc);
        nk_buf_reset(&out);
        assert_int_equal(tor_event_text(&e, &out), 0);
        assert_true(nk_buf_len(&out) >= e.name_len);
        nk_buf_clear(&out);
        events++;
    }
    tor_test_replies_clear(&t);
    nk_buf_clear(&file);
    return events;
}

static void test_recordings(void **state)
{
    size_t events = 0;
    const struct dirent *d;
    (void)state;
    DIR *dir = opendir(TOR_RECORDINGS);
    if (!dir) {
        print_message("no " TOR_RECORDINGS ": recorded events are not read\n");
        return;
    }
    while ((d = readdir(dir)) != NULL) {
        if (strstr(d->d_name, ".rx.txt"))
            events += replay(d->d_name);
    }
    closedir(dir);
    assert_true(events >= LEAST_RECORDED);
}

int nk_test_tor_event(void);
int nk_test_tor_event(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),      cmocka_unit_test(test_text),
        cmocka_unit_test(test_info_lines), cmocka_unit_test(test_relay_names),
        cmocka_unit_test(test_filters),    cmocka_unit_test(test_ns),
        cmocka_unit_test(test_recordings),
    };
    return cmocka_run_group_tests_name("tor/event", tests, NULL, NULL);
}
