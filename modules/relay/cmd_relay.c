/* SPDX-License-Identifier: MIT */
/* netkit relay: serve endpoints in the foreground; also the rows of [relay] and [group NAME]. */
#include "base/cmd.h"
#include "core/app.h"
#include "core/service.h"
#include "relay/access.h"
#include "relay/relay.h"
#include "relay/wire_tlspyo.h"

#define RELAY_TIME_MAX (INT64_C(366) * 24 * 3600 * 1000) /* of a group's times: a year */
#define DRAIN_MS 10000                                   /* tlspyo's own patience when it stops */
#define ROW(field) .offset = NK_FIELD(struct relay_conf, field)
#define GROUP_ROW(field) .offset = NK_FIELD(struct relay_group_conf, field)

static const char *const connections[] = {"TLS", "TCP", NULL};
static const char *const client_cert_choices[] = {"required", "optional", NULL};
static const char *const accept_choices[] = {"auto", "any", "listed", NULL};
static const char *const wires[] = {"auto", "native", "tlspyo", NULL};
static const char *const engines[] = {"log", "memory", NULL};
static const char *const syncs[] = {"always", "interval", "off", NULL};
static const char *const damages[] = {"refuse", "quarantine", NULL};

static const struct nk_opt relay_opts[] = {
    {.name = "listen",
     .type = NK_OPT_LISTEN,
     ROW(listen),
     .arg = "LISTEN",
     .def = RELAY_DEFAULT_LISTEN,
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "Where endpoints connect: a transport only, TLS is added by 'connection'"},
    {.name = "connection",
     .type = NK_OPT_ENUM,
     ROW(connection),
     .arg = "TLS|TCP",
     .def = "TLS",
     .choices = connections,
     .help = "TLS, or plain TCP for this machine alone (tlspyo's words)"},
    {.name = "allow-plain",
     .type = NK_OPT_BOOL,
     ROW(allow_plain),
     .def = "no",
     .help = "Allow plain TCP beyond this machine, where everybody on the way reads the password"},
    {.name = "cert",
     .type = NK_OPT_PATH,
     ROW(cert),
     .arg = "FILE",
     .flags = NK_OPT_RELOAD,
     .help = "Certificate (PEM); default: credentials/certificate.pem in the state directory, made "
             "at the first start"},
    {.name = "key",
     .type = NK_OPT_PATH,
     ROW(key),
     .arg = "FILE",
     .flags = NK_OPT_RELOAD,
     .help = "Private key (PEM); default: credentials/key.pem, or the file given as cert"},
    {.name = "client-ca",
     .type = NK_OPT_PATH,
     ROW(client_ca),
     .arg = "FILE",
     .flags = NK_OPT_RELOAD,
     .help = "Require client certificates signed by this CA (PEM); see client-cert"},
    {.name = "client-cert",
     .type = NK_OPT_ENUM,
     ROW(client_cert),
     .arg = "required|optional",
     .def = "required",
     .choices = client_cert_choices,
     .flags = NK_OPT_RELOAD,
     .help = "With client-ca: must every client show a certificate, or may it come without one and "
             "log in with a password or key?"},
    {.name = "password-file",
     .type = NK_OPT_PATH,
     ROW(password_file),
     .arg = "FILE",
     .flags = NK_OPT_RELOAD,
     .help =
         "File with the password of endpoints; default: credentials/password, made at the first "
         "start"},
    {.name = "header-size",
     .type = NK_OPT_INT,
     ROW(header_size),
     .arg = "N",
     .def = "10",
     .min = RELAY_HEADER_MIN,
     .max = RELAY_HEADER_MAX,
     .help = "Digits of tlspyo's frame header; the same number as the endpoints' header_size"},
    {.name = "max-object",
     .type = NK_OPT_SIZE,
     ROW(max_object),
     .arg = "SIZE",
     .def = "64M",
     .min = 1,
     .max = INT64_MAX / 4,
     .help = "Largest object; 64 KiB more are allowed for what pickling adds"},
    {.name = "max-memory",
     .type = NK_OPT_SIZE,
     ROW(max_memory),
     .arg = "SIZE",
     .def = "2G",
     .min = 1,
     .max = INT64_MAX / 4,
     .help = "Memory for all objects; when it is reached producers wait"},
    {.name = "max-backlog",
     .type = NK_OPT_SIZE,
     ROW(max_backlog),
     .arg = "SIZE",
     .def = "64M",
     .min = 1,
     .max = INT64_MAX / 4,
     .help = "Bytes that may wait for one endpoint; beyond it broadcasts to its groups wait"},
    {.name = "max-connections",
     .type = NK_OPT_INT,
     ROW(max_connections),
     .arg = "N",
     .def = "16384",
     .min = 1,
     .max = INT32_MAX,
     .help = "Endpoints at one time"},
    {.name = "max-guests",
     .type = NK_OPT_INT,
     ROW(max_guests),
     .arg = "N",
     .def = "256",
     .min = 1,
     .max = INT32_MAX,
     .help = "Connections of one address that have not shown the password; a newer one takes the "
             "place of the oldest"},
    {.name = "max-groups",
     .type = NK_OPT_INT,
     ROW(max_groups),
     .arg = "N",
     .def = "65536",
     .min = 1,
     .max = INT32_MAX,
     .flags = NK_OPT_RELOAD,
     .help = "Groups at one time"},
    {.name = "accept-groups",
     .type = NK_OPT_ENUM,
     ROW(accept_groups),
     .arg = "auto|any|listed",
     .def = "auto",
     .choices = accept_choices,
     .flags = NK_OPT_RELOAD,
     .help =
         "Which groups exist: any name, or those with a [group NAME] section only; auto: listed "
         "when there is such a section"},
    {.name = "wire",
     .type = NK_OPT_ENUM,
     ROW(wire),
     .arg = "auto|native|tlspyo",
     .def = "auto",
     .choices = wires,
     .help = "Which protocols are spoken: netkit's own, tlspyo's, or (auto) whichever an endpoint "
             "begins with"},
    {.name = "engine",
     .type = NK_OPT_ENUM,
     ROW(engine),
     .arg = "log|memory",
     .def = "log",
     .choices = engines,
     .help =
         "Where objects are kept: in a log below the state directory, which survives the end of "
         "the relay and of the machine, or in memory"},
    {.name = "sync",
     .type = NK_OPT_ENUM,
     ROW(sync),
     .arg = "always|interval|off",
     .def = "always",
     .choices = syncs,
     .help = "When the log is forced to the disk: before an object is acknowledged, every "
             "sync-interval, or when the system likes (a crash of the machine, not of the relay, "
             "then loses what was acknowledged last)"},
    {.name = "sync-interval",
     .type = NK_OPT_DURATION,
     ROW(sync_interval),
     .arg = "TIME",
     .def = "1s",
     .min = 1,
     .max = 3600000,
     .help = "With sync = interval"},
    {.name = "log-damage",
     .type = NK_OPT_ENUM,
     ROW(log_damage),
     .arg = "refuse|quarantine",
     .def = "refuse",
     .choices = damages,
     .help = "When a file of the log is damaged or missing: do not start, or put it aside (its "
             "objects are lost) and start with the rest"},
    {.name = "hello-timeout",
     .type = NK_OPT_DURATION,
     ROW(hello_timeout),
     .arg = "TIME",
     .def = "10s",
     .min = 1,
     .max = 86400000,
     .flags = NK_OPT_HIDDEN,
     .help = "From connecting to being logged in"},
    {.name = "ping-interval",
     .type = NK_OPT_DURATION,
     ROW(ping_interval),
     .arg = "TIME",
     .def = "30s",
     .min = 1,
     .max = 86400000,
     .flags = NK_OPT_HIDDEN,
     .help = "Silence after which an endpoint is asked for a sign of life"},
    {.name = "ping-timeout",
     .type = NK_OPT_DURATION,
     ROW(ping_timeout),
     .arg = "TIME",
     .def = "90s",
     .min = 1,
     .max = 86400000,
     .flags = NK_OPT_HIDDEN,
     .help = "Silence after which it is taken for dead and its unread objects go to others"},
    {.name = "stall-timeout",
     .type = NK_OPT_DURATION,
     ROW(stall_timeout),
     .arg = "TIME",
     .def = "10s",
     .min = 1,
     .max = 86400000,
     .flags = NK_OPT_HIDDEN,
     .help = "How long an endpoint beyond max-backlog may read nothing before it is closed"},
    {.name = "session-grace",
     .type = NK_OPT_DURATION,
     ROW(session_grace),
     .arg = "TIME",
     .def = "5s",
     .min = 0,
     .max = 3600000,
     .flags = NK_OPT_HIDDEN,
     .help = "How long a native endpoint that lost its connection keeps its unread objects"},
    NK_OPT_END};

/* in the order of enum relay_policy */
static const char *const policies[] = {"auto",        "block",      "conflate",
                                       "drop-oldest", "disconnect", NULL};

static const struct nk_opt group_opts[] = {
    {.name = "match",
     .type = NK_OPT_STRING,
     GROUP_ROW(match),
     .arg = "TEXT",
     .flags = NK_OPT_RELOAD,
     .help = "The group's real name, where it is not NAME"},
    {.name = "max-count",
     .type = NK_OPT_INT,
     GROUP_ROW(max_count),
     .arg = "N",
     .def = "-1",
     .min = -1,
     .max = INT32_MAX,
     .flags = NK_OPT_RELOAD,
     .help = "Endpoints that may be in it at one time; -1: no limit"},
    {.name = "max-consumables",
     .type = NK_OPT_INT,
     GROUP_ROW(max_consumables),
     .arg = "N",
     .def = "-1",
     .min = -1,
     .max = INT64_MAX,
     .flags = NK_OPT_RELOAD,
     .help = "Produced objects that may wait in it, see policy; -1: no limit"},
    {.name = "max-bytes",
     .type = NK_OPT_SIZE,
     GROUP_ROW(max_bytes),
     .arg = "SIZE",
     .def = "0",
     .max = INT64_MAX / 4,
     .flags = NK_OPT_RELOAD,
     .help = "Bytes of produced objects that may wait in it, see policy; 0: no limit"},
    {.name = "policy",
     .type = NK_OPT_ENUM,
     GROUP_ROW(policy),
     .arg = "auto|block|conflate|drop-oldest|disconnect",
     .def = "auto",
     .choices = policies,
     .flags = NK_OPT_RELOAD,
     .help = "When a member or the queue is full: block: producers wait; conflate: the newest "
             "broadcast takes the place of what waits; drop-oldest; disconnect: the slow member "
             "goes, and producing is refused; auto: broadcasts block, the queue drops its oldest"},
    {.name = "backlog-count",
     .type = NK_OPT_INT,
     GROUP_ROW(backlog_count),
     .arg = "N",
     .def = "0",
     .max = INT32_MAX,
     .flags = NK_OPT_RELOAD,
     .help = "Broadcasts that may wait for one member; 0: no limit"},
    {.name = "backlog-bytes",
     .type = NK_OPT_SIZE,
     GROUP_ROW(backlog_bytes),
     .arg = "SIZE",
     .def = "0",
     .max = INT64_MAX / 4,
     .flags = NK_OPT_RELOAD,
     .help = "Bytes of broadcasts that may wait for one member; 0: max_backlog of [relay]"},
    {.name = "ttl",
     .type = NK_OPT_DURATION,
     GROUP_ROW(ttl),
     .arg = "TIME",
     .def = "0s",
     .max = RELAY_TIME_MAX,
     .flags = NK_OPT_RELOAD,
     .help = "Life of produced objects that come without their own; 0: for ever"},
    {.name = "lease",
     .type = NK_OPT_DURATION,
     GROUP_ROW(lease),
     .arg = "TIME",
     .def = "0s",
     .max = RELAY_TIME_MAX,
     .flags = NK_OPT_RELOAD,
     .help =
         "How long a consumer may keep an object without acknowledging it, or asking for more "
         "time, before it goes to the next (1s at least); tlspyo Endpoints may for ever; 0: all "
         "may"},
    {.name = "max-deliveries",
     .type = NK_OPT_INT,
     GROUP_ROW(max_deliveries),
     .arg = "N",
     .def = "0",
     .max = INT32_MAX,
     .flags = NK_OPT_RELOAD,
     .help = "How often an object is handed out before it is given up; 0: no limit"},
    {.name = "dead-letter",
     .type = NK_OPT_STRING,
     GROUP_ROW(dead_letter),
     .arg = "TEXT",
     .flags = NK_OPT_RELOAD,
     .help = "Group (its real name) that gets what is given up; without it that is dropped"},
    NK_OPT_END};

const struct nk_section relay_section = {
    .name = "relay",
    .summary = "A relay for tlspyo Endpoints and netkit's own",
    .opts = relay_opts,
    .conf_size = sizeof(struct relay_conf),
};

const struct nk_section relay_group_section = {
    .name = "group",
    .named = true,
    .summary = "A group of the relay, with limits",
    .opts = group_opts,
    .conf_size = sizeof(struct relay_group_conf),
    .reload = true,
};

static const struct nk_section *const more_sections[] = {
    &relay_group_section, &relay_identity_section, &relay_acl_section, NULL};

static int run(struct nk_cmd_ctx *ctx)
{
    return nk_service_run_cmd(ctx, &relay_service, DRAIN_MS);
}

const struct nk_cmd nk_cmd_relay = {
    .synopsis = "[--listen LISTEN].. [--connection TLS|TCP] [--cert FILE --key FILE] "
                "[--password-file FILE]",
    .summary = "Serve endpoints: groups, broadcasts, shared queues",
    .description =
        "A relay that unmodified tlspyo Endpoints (Python) and 'netkit endpoint' connect to. "
        "Endpoints join groups; an object is broadcast to all members of a group, or produced into "
        "its queue, from which members take what they ask for.\n\n"
        "At the first start it makes a key, a certificate and a password below the state directory "
        "and says where they are. Endpoints on this machine find them by themselves; others need "
        "the "
        "certificate (or its pin) and the password.\n\n"
        "An endpoint's object is acknowledged when the engine has it. A consumer that goes away "
        "before it acknowledged an object loses it to the next one, in the old order.",
    .examples =
        "netkit relay                                        # on 127.0.0.1:3000 with TLS\n"
        "netkit relay --listen tcp::3000 --header-size 12    # for everybody, tmrl's header\n"
        "netkit relay --connection TCP                       # no TLS, this machine only",
    .section = &relay_section,
    .sections = more_sections,
    .service = &relay_service,
    .run = run,
};
