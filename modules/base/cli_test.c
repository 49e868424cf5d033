/* SPDX-License-Identifier: MIT */
#include "base/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int never(struct nk_cmd_ctx *ctx)
{
    (void)ctx;
    return 0;
}

static const struct nk_cmd leaf = {.summary = "Leaf", .max_args = -1, .run = never};
static const struct nk_cmd none = {.summary = "None", .max_args = 0, .run = never};
static const struct nk_opt service_rows[] = {
    {.name = "service", .short_name = 'n', .type = NK_OPT_STRING, .arg = "SVC"},
    {.name = "all", .short_name = 'a', .type = NK_OPT_FLAG},
    NK_OPT_END};
static const struct nk_opt other_rows[] = {{.name = "all", .type = NK_OPT_STRING, .arg = "X"},
                                           NK_OPT_END};
static const struct nk_cmd of_service = {
    .summary = "Of a service", .opts = service_rows, .max_args = -1, .run = never};
static const struct nk_cmd other = {
    .summary = "Other", .opts = other_rows, .max_args = -1, .run = never};
static const struct nk_cmd raw = {
    .summary = "Raw", .max_args = -1, .flags = NK_CMD_RAW, .run = never};
static const struct nk_cmd hidden = {.summary = "Hidden", .flags = NK_CMD_HIDDEN, .run = never};

static const struct nk_cmd_entry table[] = {
    {"config check", "x", &none},
    {"config show", "x", &none},
    {"hsc generate-key", "x", &leaf},
    {"hsc key get", "x", &leaf},
    {"hss auth-clients list", "x", &of_service},
    {"hss onion-address", "x", &of_service},
    {"hss other", "x", &other},
    {"relay", "x", &none},
    {"relay status", "x", &none},
    {"secretive", "x", &hidden},
    {"ssh", "x", &raw},
    {"ssh-key", "x", &leaf},
    {"ssh-key scan", "x", &leaf},
    {"tls", "x", &leaf},
};
static const struct nk_cmds cmds = {table, sizeof(table) / sizeof(table[0])};

#define MAX_WORDS 16

/* Resolve a line; "" stands for argc 0, "_" for an empty word. */
static int resolve(struct nk_cli_target *t, char *store, size_t max, const char *line,
                   struct nk_diag *diag)
{
    char *argv[MAX_WORDS] = {NULL};
    int argc = 0;
    snprintf(store, max, "%s", line);
    for (char *save = NULL, *w = strtok_r(store, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (strcmp(w, "_") == 0)
            *w = '\0';
        argv[argc++] = w;
    }
    *diag = (struct nk_diag){0};
    return nk_cli_resolve(t, cmds, argc, argv, diag);
}

/* "name[!] word word": '!' when there is an entry. */
static void expect(const char *line, const char *want)
{
    struct nk_cli_target t;
    struct nk_diag diag;
    char store[256], got[256];
    if (resolve(&t, store, sizeof(store), line, &diag) < 0)
        fail_msg("%s: %s", line, diag.text);
    size_t n = (size_t)snprintf(got, sizeof(got), "%s%s%s:", t.name, t.entry ? "!" : "",
                                t.help ? "?" : "");
    for (int i = 0; i < t.argc; i++)
        n += (size_t)snprintf(got + n, sizeof(got) - n, " %s", t.argv[i]);
    assert_string_equal(got, want);
    free(t.argv);
}

static void refuse(const char *line, const char *text, const char *hint)
{
    struct nk_cli_target t;
    struct nk_diag diag;
    char store[256];
    assert_int_equal(resolve(&t, store, sizeof(store), line, &diag), NK_ENOCMD);
    assert_string_equal(diag.text, text);
    assert_non_null(strstr(diag.hint, hint));
}

static void by_argv0(void **state)
{
    (void)state;
    static const char *const names[] = {
        "relay",     "nk-relay",  "netkit-relay", "/usr/bin/nk-relay", "./relay", "-relay",
        "-nk-relay", "relay.exe", "nk-relay.exe", "../x.y/relay",      "a//relay"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char line[64];
        snprintf(line, sizeof(line), "%s x", names[i]);
        refuse(line, "there is no command 'relay x'", "relay --help");
        snprintf(line, sizeof(line), "%s status -v", names[i]);
        expect(line, "relay status!: -v");
    }
    expect("nk-ssh-key scan a", "ssh-key scan!: a");
    expect("nk-ssh a", "ssh!: a");
    expect("nk-hsc-generate-key a", "hsc generate-key!: a");
    expect("nk-hsc key get a", "hsc key get!: a");
    expect("hsc-key get a", "hsc key get!: a");
    expect("nk-config", "config:");
}

static void other_names_take_words(void **state)
{
    (void)state;
    static const char *const names[] = {"netkit", "netkit-1.2",  "app",       "init", "NK-RELAY",
                                        "_",      "/entrypoint", "nk-nosuch", "-",    "netkit.exe"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char line[64];
        snprintf(line, sizeof(line), "%s relay status", names[i]);
        expect(line, "relay status!:");
        expect(names[i], ":");
    }
    expect("", ":");
}

static void longest_match(void **state)
{
    (void)state;
    expect("netkit relay", "relay!:");
    expect("netkit relay status", "relay status!:");
    expect("netkit config", "config:");
    expect("netkit hsc key get x y", "hsc key get!: x y");
    expect("netkit hsc-key-get x", "hsc key get!: x");
    expect("netkit tls relay", "tls!: relay");
    expect("netkit ssh-key scan x", "ssh-key scan!: x");
}

static void global_options_anywhere(void **state)
{
    (void)state;
    expect("netkit -v -c f relay --json status -q", "relay status!: -v -c f --json -q");
    expect("netkit --config relay relay", "relay!: --config relay");
    expect("netkit --config=relay relay", "relay!: --config=relay");
    /* an option of the command ends the search for its words */
    expect("netkit relay --listen x status", "relay!: --listen x status");
    expect("netkit relay -- status", "relay!: -- status");
    /* unless it belongs to the commands of a group that is none itself */
    expect("netkit hss -n web onion-address", "hss onion-address!: -n web");
    expect("nk-hss -nweb auth-clients list x", "hss auth-clients list!: -nweb x");
    expect("netkit hss --service=web -v auth-clients --service web list",
           "hss auth-clients list!: --service=web -v --service web");
    expect("netkit hss -a onion-address", "hss onion-address!: -a");
    expect("netkit hss --all onion-address", "hss: --all onion-address");
    expect("netkit hss --nosuch onion-address", "hss: --nosuch onion-address");
    expect("netkit --list", ": --list");
}

static void raw_commands(void **state)
{
    (void)state;
    struct nk_cli_target t;
    struct nk_diag diag;
    char store[256];
    assert_int_equal(
        resolve(&t, store, sizeof(store), "netkit --json ssh -v -c x host --help", &diag), 0);
    assert_int_equal(t.raw, 1);
    assert_string_equal(t.argv[0], "--json");
    assert_string_equal(t.argv[1], "-v");
    assert_int_equal(t.argc, 6);
    free(t.argv);
}

static void help_words(void **state)
{
    (void)state;
    expect("netkit relay help", "relay!?:");
    expect("netkit relay help status", "relay status!?:");
    expect("netkit config help", "config?:");
    expect("netkit config help check", "config check!?:");
    expect("netkit tls help", "tls!: help"); /* it takes operands: may be one */
    refuse("netkit relay help nope", "there is no command 'relay nope'", "relay --help");
}

static void unknown_commands(void **state)
{
    (void)state;
    refuse("netkit rely", "there is no command 'rely'", "did you mean 'relay'?");
    refuse("netkit config chek", "there is no command 'config chek'", "'config check'");
    refuse("netkit relay statsu", "there is no command 'relay statsu'", "'relay status'");
    refuse("netkit _", "there is no command ''", "--help");
    refuse("netkit secretiv", "there is no command 'secretiv'", "--help"); /* hidden */
    refuse("netkit relay x", "there is no command 'relay x'", "relay --help");
}

static void wrapping(void **state)
{
    (void)state;
    struct nk_buf b;
    nk_buf_init(&b, 4096);
    assert_int_equal(nk_help_wrap(&b, 2, 2, "aaaa bbbb\ncccc"), 0);
    assert_string_equal(nk_buf_str(&b), "aaaa bbbb cccc\n");
    nk_buf_reset(&b);
    const char *text = "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 "
                       "0123456789 0123456789";
    assert_int_equal(nk_help_wrap(&b, 0, 4, text), 0);
    assert_string_equal(nk_buf_str(&b),
                        "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 "
                        "0123456789\n    0123456789\n");
    nk_buf_clear(&b);
}

static void state_directory(void **state)
{
    (void)state;
    char out[256];
    unsetenv("NETKIT_STATE_DIR");
    unsetenv("STATE_DIRECTORY");
    nk_cli_state_dir(out, sizeof(out), "given");
    assert_string_equal(out, "given");
    setenv("STATE_DIRECTORY", "/var/lib/a:/var/lib/b", 1);
    nk_cli_state_dir(out, sizeof(out), NULL);
    assert_string_equal(out, "/var/lib/a");
    setenv("NETKIT_STATE_DIR", "/x", 1);
    nk_cli_state_dir(out, sizeof(out), NULL);
    assert_string_equal(out, "/x");
    unsetenv("NETKIT_STATE_DIR");
    unsetenv("STATE_DIRECTORY");
}

int nk_test_base_cli(void);
int nk_test_base_cli(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_argv0),         cmocka_unit_test(other_names_take_words),
        cmocka_unit_test(longest_match),    cmocka_unit_test(global_options_anywhere),
        cmocka_unit_test(raw_commands),     cmocka_unit_test(help_words),
        cmocka_unit_test(unknown_commands), cmocka_unit_test(wrapping),
        cmocka_unit_test(state_directory),
    };
    return cmocka_run_group_tests_name("base/cli", tests, NULL, NULL);
}
