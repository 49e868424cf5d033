/* SPDX-License-Identifier: MIT */
/* The options that every command takes. */
#include "base/cli.h"
#include "base/log.h"

#define G(field) NK_FIELD(struct nk_globals, field)

static const char *const log_formats[] = {
    [NK_LOG_AUTO] = "auto", [NK_LOG_TEXT] = "text",       [NK_LOG_JSON] = "json",
    [NK_LOG_JOURNAL] = "journal", [NK_LOG_JOURNAL + 1] = NULL};
static const char *const colors[] = {"auto", "always", "never", NULL};
static const char *const progress[] = {"auto", "bar", "plain", "json", "none", NULL};

const struct nk_opt nk_cli_globals[] = {
    {.name = "config", .short_name = 'c', .type = NK_OPT_PATH, .offset = G(config), .arg = "FILE",
     .help = "Configuration file, - for standard input. Without it: $NETKIT_CONFIG, "
             "$CREDENTIALS_DIRECTORY/netkit.ini, /etc/netkit/netkit.ini"},
    {.name = "set", .short_name = 'C', .type = NK_OPT_STRING, .offset = G(overrides),
     .arg = "SECTION.KEY=VALUE", .flags = NK_OPT_REPEAT,
     .help = "Set one key of the configuration, as in -C 'relay.header_size=12' or "
             "-C 'group jobs.max_count=4'"},
    {.name = "state-dir", .type = NK_OPT_PATH, .offset = G(state_dir), .arg = "DIR",
     .help = "Where netkit keeps credentials, logs and locks. Without it: $NETKIT_STATE_DIR, "
             "$STATE_DIRECTORY, /var/lib/netkit for root, else $XDG_STATE_HOME/netkit"},
    {.name = "json", .type = NK_OPT_FLAG, .offset = G(json),
     .help = "Results and errors as JSON"},
    {.name = "progress", .type = NK_OPT_ENUM, .offset = G(progress), .choices = progress,
     .help = "How to show progress on stderr"},
    {.name = "progress-fd", .type = NK_OPT_INT, .offset = G(progress_fd), .arg = "N", .def = "2",
     .min = 0, .max = 65535, .help = "Descriptor for --progress=json"},
    {.name = "quiet", .short_name = 'q', .type = NK_OPT_FLAG, .offset = G(quiet),
     .help = "Log errors only"},
    {.name = "verbose", .short_name = 'v', .type = NK_OPT_FLAG, .offset = G(verbose),
     .help = "Log more; twice: everything"},
    {.name = "log-format", .type = NK_OPT_ENUM, .offset = G(log_format), .choices = log_formats,
     .help = "Form of the log lines"},
    {.name = "color", .type = NK_OPT_ENUM, .offset = G(color), .choices = colors,
     .help = "Colours on a terminal"},
    {.name = "yes", .type = NK_OPT_FLAG, .offset = G(yes),
     .help = "Answer yes to every question"},
    {.name = "dry-run", .type = NK_OPT_FLAG, .offset = G(dry_run),
     .help = "Show what would be done, change nothing"},
    {.name = "no-input", .type = NK_OPT_FLAG, .offset = G(no_input),
     .help = "Never ask; fail where an answer is needed"},
    {.name = "timeout", .type = NK_OPT_DURATION, .offset = G(timeout_ms), .arg = "TIME",
     .help = "Give up after this time"},
    {.name = "help", .short_name = 'h', .type = NK_OPT_FLAG, .help = "Show this help"},
    {.name = "version", .short_name = 'V', .type = NK_OPT_FLAG,
     .help = "Show the version and what it was built from"},
    NK_OPT_END};
