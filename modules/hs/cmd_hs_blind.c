/* SPDX-License-Identifier: MIT */
/* netkit hs blind: a service's key in a time period. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cli.h"
#include "base/cmd.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/json.h"
#include "base/onion.h"
#include "base/utc.h"
#include "hs/blind.h"
#include "hs/format.h"

#define PERIODS_MOST 10000000 /* the year 29349: no time overflows */

struct blind_conf {
    int64_t period, minutes;
    char *time, *output;
};

static const struct nk_opt opts[] = {
    {.name = "period",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct blind_conf, period),
     .arg = "N",
     .def = "-1",
     .min = -1,
     .max = PERIODS_MOST,
     .help = "Number of the time period; -1: the one of --time"},
    {.name = "time",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct blind_conf, time),
     .arg = "TIME",
     .help = "A time in the period: 2016-04-13T11:00:00Z, or seconds since 1970; default: now"},
    {.name = "period-length",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct blind_conf, minutes),
     .arg = "MINUTES",
     .def = "1440",
     .min = HS_PERIOD_MINUTES_MIN,
     .max = HS_PERIOD_MINUTES_MAX,
     .help = "Length of a period (consensus parameter hsdir-interval)"},
    {.name = "output",
     .short_name = 'o',
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct blind_conf, output),
     .arg = "FILE",
     .flags = NK_OPT_MAY_MISS,
     .help = "Write the blinded secret key, as arti keeps it, to this new file; needs a file with "
             "the service's secret key"},
    NK_OPT_END};

static int parse_time(const char *text, int64_t *out, struct nk_diag *diag)
{
    if (nk_parse_i64(text, out) == 0 && *out >= 0) {
        return 0;
    }
    if (!strchr(text, 'T') || nk_parse_utc(text, out) < 0) {
        return nk_fail(diag, NK_EUSAGE,
                       "--time: '%s' is neither like 2016-04-13T11:00:00Z nor a number of seconds",
                       text);
    }
    return 0;
}

static int find_period(struct nk_cmd_ctx *ctx, struct hs_period *out)
{
    const struct blind_conf *c = ctx->conf;
    int64_t at = (int64_t)time(NULL);
    if (c->period >= 0 && c->time) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--period and --time exclude each other");
    }
    if (c->period >= 0) {
        *out = (struct hs_period){.number = (uint64_t)c->period, .minutes = (uint32_t)c->minutes};
        return 0;
    }
    int rc = c->time ? parse_time(c->time, &at, &ctx->diag) : 0;
    if (rc == 0 &&
        (hs_period_at(out, at, (uint32_t)c->minutes) < 0 || out->number > PERIODS_MOST)) {
        rc = nk_fail(&ctx->diag, NK_EUSAGE, "--time: there are no time periods then");
    }
    return rc;
}

/* An address as it is, else a file. */
static int find_key(struct nk_cmd_ctx *ctx, struct hs_item *out)
{
    const char *what = ctx->argv[0];
    const struct hs_hints hints = {.format = HS_DETECT, .kind = HS_IDENTITY};
    uint8_t pub[HS_PUBLIC_KEY];
    struct nk_diag why = {0};
    if (nk_onion_parse(pub, what, strlen(what), &why) == 0) {
        struct hs_identity k;
        int rc = hs_identity_from_public(&k, pub, &ctx->diag);
        if (rc == 0) {
            hs_item_from_identity(out, &k);
        }
        return rc;
    }
    int rc = hs_format_load(what, &hints, out, &ctx->diag);
    if (rc == -ENOENT) {
        rc = nk_fail(&ctx->diag, why.code, "%s (nor is '%s' a file)", why.text, what);
    }
    return rc;
}

static int write_secret(struct nk_cmd_ctx *ctx, const struct hs_item *key,
                        const struct hs_period *p, const char *path)
{
    struct hs_identity blinded;
    struct hs_item item;
    struct nk_buf text;
    if (!key->identity.has_secret) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--output: %s does not have the secret key",
                       ctx->argv[0]);
    }
    int rc = hs_blind_secret(&blinded, &key->identity, p);
    if (rc < 0) {
        return nk_fail_sys(&ctx->diag, rc, "%s", ctx->argv[0]);
    }
    nk_buf_init_secret(&text, HS_FORMAT_MAX);
    hs_item_from_identity(&item, &blinded);
    rc = hs_format_write(&item, HS_ARTI_PRIVATE, &text, &ctx->diag);
    if (rc == 0 && !ctx->globals->dry_run) {
        rc = nk_file_write(path, 0, nk_buf_ptr(&text), nk_buf_len(&text), &ctx->diag);
    }
    nk_buf_clear(&text);
    hs_item_wipe(&item);
    hs_identity_wipe(&blinded);
    return rc;
}

static const char *utc(char out[NK_UTC_SIZE], int64_t seconds)
{
    (void)nk_format_utc(out, seconds); /* "" for years that have no such form */
    return out;
}

/* name and value of everything that is printed, in one order for people and for JSON */
static int print(struct nk_cmd_ctx *ctx, const uint8_t pub[HS_PUBLIC_KEY],
                 const struct hs_period *p, const struct hs_blinded *b)
{
    char address[NK_ONION_SIZE], begin[32], end[32], hex[2 + HS_REPLICAS][NK_HEX_SIZE(HS_DIGEST)];
    const int64_t from = hs_period_begin(p);
    nk_onion_format(address, pub);
    nk_hex_encode(hex[0], b->pub, sizeof(b->pub));
    nk_hex_encode(hex[1], b->subcredential, sizeof(b->subcredential));
    for (unsigned i = 0; i < HS_REPLICAS; i++) {
        nk_hex_encode(hex[2 + i], b->index[i], sizeof(b->index[i]));
    }
    (void)utc(begin, from);
    (void)utc(end, from + (int64_t)p->minutes * 60);
    if (!ctx->globals->json) {
        printf("address        %s\nperiod         %" PRIu64 ", %u minutes: %s to %s\n"
               "blinded key    %s\nsubcredential  %s\nindex 1        %s\nindex 2        %s\n",
               address, p->number, p->minutes, begin, end, hex[0], hex[1], hex[2], hex[3]);
        return 0;
    }
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, 4096);
    nk_json_init(&j, &out, true);
    nk_json_object(&j);
    nk_json_kv_u64(&j, "schema", 1);
    nk_json_kv_str(&j, "address", address);
    nk_json_kv_u64(&j, "period", p->number);
    nk_json_kv_u64(&j, "period_minutes", p->minutes);
    nk_json_kv_str(&j, "begins", begin);
    nk_json_kv_str(&j, "ends", end);
    nk_json_kv_str(&j, "blinded_key", hex[0]);
    nk_json_kv_str(&j, "subcredential", hex[1]);
    nk_json_key(&j, "index");
    nk_json_array(&j);
    for (unsigned i = 0; i < HS_REPLICAS; i++) {
        nk_json_str(&j, hex[2 + i]);
    }
    nk_json_close(&j);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &ctx->diag);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct blind_conf *c = ctx->conf;
    struct hs_item key = {0};
    struct hs_period period = {0};
    struct hs_blinded blinded;
    int rc = find_period(ctx, &period);
    rc = rc < 0 ? rc : find_key(ctx, &key);
    if (rc == 0 && (rc = hs_blind(&blinded, hs_item_pub(&key), &period)) < 0) {
        nk_fail_sys(&ctx->diag, rc, "%s", ctx->argv[0]);
    }
    if (rc == 0 && c->output) {
        rc = write_secret(ctx, &key, &period, c->output);
    }
    rc = rc < 0 ? rc : print(ctx, hs_item_pub(&key), &period, &blinded);
    hs_item_wipe(&key);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_blind;
const struct nk_cmd nk_cmd_hs_blind = {
    .synopsis = "[--period N | --time TIME] [-o FILE] ADDRESS|FILE",
    .summary = "Show what a service's key becomes in a time period",
    .opts = opts,
    .conf_size = sizeof(struct blind_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
