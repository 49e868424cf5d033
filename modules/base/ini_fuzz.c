/* SPDX-License-Identifier: MIT */
/* Any text: keys and sections that come out are within their bounds, and a text without problems is
 * the same to a loader with and without a byte order mark. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct conf {
    struct nk_strlist listen;
    char *cert, *master;
    int64_t header;
    uint64_t size, time;
    bool enabled;
    int engine;
};

#define F(field) NK_FIELD(struct conf, field)

static const char *const engines[] = {"log", "memory", NULL};
static const struct nk_opt rows[] = {
    {.name = "listen", .type = NK_OPT_LISTEN, .offset = F(listen), .flags = NK_OPT_REPEAT},
    {.name = "cert", .type = NK_OPT_PATH, .offset = F(cert)},
    {.name = "master", .type = NK_OPT_STRING, .offset = F(master), .flags = NK_OPT_SECRET},
    {.name = "header-size", .type = NK_OPT_INT, .offset = F(header), .min = 1, .max = 20},
    {.name = "max-object", .type = NK_OPT_SIZE, .offset = F(size), .def = "1M"},
    {.name = "lease", .type = NK_OPT_DURATION, .offset = F(time), .def = "5s"},
    {.name = "enabled", .type = NK_OPT_BOOL, .offset = F(enabled)},
    {.name = "engine", .type = NK_OPT_ENUM, .offset = F(engine), .choices = engines},
    NK_OPT_END};
static const struct nk_section relay = {"relay", false, "", rows, sizeof(struct conf), false};
static const struct nk_section group = {"group", true, "", rows, sizeof(struct conf), false};
static const struct nk_section *const sections[] = {&relay, &group, NULL};

static void require(int what)
{
    if (!what)
        abort();
}

static void on_section(void *owner, unsigned line, const char *header)
{
    (void)owner;
    require(line > 0 && *header && strlen(header) <= NK_INI_MAX_NAME);
}

static void on_key(void *owner, unsigned line, const char *key, const char *value)
{
    (void)owner;
    require(line > 0 && *key && strlen(key) <= NK_INI_MAX_NAME);
    require(strlen(value) <= NK_INI_MAX_LINE);
    for (const char *p = value; *p; p++)
        require((unsigned char)*p >= 0x20 || *p == '\t');
}

static void on_problem(void *owner, unsigned line, const char *text)
{
    require(line > 0 && *text);
    ++*(size_t *)owner;
}

static void walk(const struct nk_conf *c, int rc)
{
    const struct nk_conf_problem *p;
    size_t errors = 0;
    for (size_t i = 0; (p = nk_conf_problem_at(c, i)) != NULL; i++) {
        require(*p->text != '\0');
        errors += !p->warning;
    }
    require((rc == 0) == (errors == 0));
    const char *name;
    for (size_t i = 0; rc == 0 && (name = nk_conf_name_at(c, "group", i)) != NULL; i++)
        require(nk_conf_get(c, "group", name) != NULL);
    struct nk_conf_value v;
    for (size_t i = 0; rc == 0 && nk_conf_value_at(c, i, &v); i++)
        require(v.where != NULL && v.row != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t problems = 0;
    const struct nk_ini_events ev = {on_section, on_key, on_problem, &problems};
    int rc = nk_ini_parse((const char *)data, size, &ev);
    require(size > NK_INI_MAX_TEXT ? rc == NK_ETOOBIG : (rc < 0) == (problems > 0));
    struct nk_conf *c;
    const struct nk_conf_source src = {
        .text = size ? (const char *)data : "", .text_len = size, .sections = sections};
    rc = nk_conf_load(&c, &src, NULL);
    if (rc != -ENOMEM) {
        walk(c, rc);
        nk_conf_free(c);
    }
    return 0;
}
