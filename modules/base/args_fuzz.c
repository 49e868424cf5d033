/* SPDX-License-Identifier: MIT */
/*
 * Words separated by NUL or line feed: resolved to a command, parsed as options, and merged into a
 * configuration; lines with '=' are also tried as environment variables and -C overrides.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_WORDS 64

struct conf {
    bool flag;
    char *text;
    struct nk_strlist list;
    int64_t number;
    int choice;
};

#define F(field) NK_FIELD(struct conf, field)

static const char *const choices[] = {"one", "two", NULL};
static const struct nk_opt rows[] = {
    {.name = "flag", .short_name = 'f', .type = NK_OPT_FLAG, .offset = F(flag)},
    {.name = "text", .short_name = 't', .type = NK_OPT_PATH, .offset = F(text)},
    {.name = "list",
     .short_name = 'l',
     .type = NK_OPT_STRING,
     .offset = F(list),
     .flags = NK_OPT_REPEAT},
    {.name = "number", .short_name = 'n', .type = NK_OPT_INT, .offset = F(number), .max = 9},
    {.name = "choice", .type = NK_OPT_ENUM, .offset = F(choice), .choices = choices},
    NK_OPT_END};
static const struct nk_section section = {"relay", false, "", rows, sizeof(struct conf), false};
static const struct nk_section named = {"group", true, "", rows, sizeof(struct conf), false};
static const struct nk_section *const sections[] = {&section, &named, NULL};
static const struct nk_cmd cmd = {.opts = rows, .conf_size = sizeof(struct conf), .max_args = -1};
static const struct nk_cmd raw = {.max_args = -1, .flags = NK_CMD_RAW};
static const struct nk_cmd_entry table[] = {
    {"config check", "", &cmd}, {"relay", "", &cmd}, {"relay status", "", &cmd}, {"ssh", "", &raw}};
static const struct nk_cmds cmds = {table, sizeof(table) / sizeof(table[0])};

static void require(int what)
{
    if (!what)
        abort();
}

static void parse(const struct nk_cli_target *t, struct nk_conf *c)
{
    struct nk_args a;
    struct nk_diag diag = {0};
    require(t->argc >= 0 && t->argc < MAX_WORDS);
    int rc = nk_args_parse(&a, t->argc, t->argv, rows, nk_cli_globals, &diag);
    require(rc == 0 || rc == NK_EUSAGE || rc == -ENOMEM);
    require(rc == 0 || *diag.text);
    if (rc == 0) {
        const void *out;
        require(a.noperands <= t->argc && a.operands[a.noperands] == NULL);
        rc = nk_conf_merge(c, rows, sizeof(struct conf), &section, a.own, a.nown, &out, &diag);
        require(rc == 0 || (rc == NK_EUSAGE && *diag.text) || rc == -ENOMEM);
    }
    nk_args_clear(&a);
}

static void run(int argc, char **argv)
{
    struct nk_cli_target t;
    struct nk_diag diag = {0};
    struct nk_conf *c;
    const struct nk_conf_source src = {.env = (const char *const *)argv,
                                       .overrides = (const char *const *)argv,
                                       .sections = sections};
    int rc = nk_conf_load(&c, &src, NULL);
    require(rc == 0 || rc == NK_ECONFIG || rc == -ENOMEM);
    if (rc == -ENOMEM)
        return;
    nk_conf_free(c);
    const struct nk_conf_source none = {.sections = sections};
    if (nk_conf_load(&c, &none, NULL) < 0)
        return;
    rc = nk_cli_resolve(&t, cmds, argc, argv, &diag);
    if (rc == 0) {
        parse(&t, c);
        free(t.argv);
    } else {
        require(*diag.text != '\0');
    }
    nk_conf_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *argv[MAX_WORDS + 1];
    int argc = 0;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    for (size_t i = 0; i < size && argc < MAX_WORDS; i++) {
        if (i == 0 || text[i - 1] == '\0')
            argv[argc++] = text + i;
        if (text[i] == '\n')
            text[i] = '\0';
    }
    argv[argc] = NULL;
    run(argc, argv);
    free(text);
    return 0;
}
