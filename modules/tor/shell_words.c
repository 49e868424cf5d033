/* SPDX-License-Identifier: MIT */
/* What the shell knows of commands: help, what may follow, what is secret. */
#include <string.h>
#include <strings.h>

#include "tor/shell.h"
#include "tor/wire.h"

/* What the words behind a command are. */
enum follows { NOTHING, INFO, OPTIONS, EVENTS, SIGNALS, COMMANDS, FEATURES, VERSIONS };

static const struct {
    const char *name;
    enum follows follows;
    const char *args, *help;
} commands[] = {
    {"/events", EVENTS, "[NAME..|off]", "Print these events as they come; without NAME: which are"},
    {"/help", COMMANDS, "[COMMAND]", "This help"},
    {"/info", INFO, "KEY..", "GETINFO, values alone"},
    {"/quit", NOTHING, "", "Leave; so do QUIT and ^D"},
    {"ADD_ONION", NOTHING, "KEYTYPE:KEY [Flags=F,..] Port=VIRT[,TARGET]..",
     "Begin an onion service"},
    {"ATTACHSTREAM", NOTHING, "STREAM CIRCUIT [HOP=N]",
     "Put a stream on a circuit; 0: as tor likes"},
    {"AUTHENTICATE", NOTHING, "[PASSWORD|HEX]", "Done already"},
    {"CLOSECIRCUIT", NOTHING, "CIRCUIT [IfUnused]", "Close a circuit"},
    {"CLOSESTREAM", NOTHING, "STREAM REASON", "Close a stream"},
    {"DEL_ONION", NOTHING, "ADDRESS", "End an onion service"},
    {"DROPGUARDS", NOTHING, "", "Forget the guards"},
    {"DROPOWNERSHIP", NOTHING, "", "Tor may outlive this connection"},
    {"DROPTIMEOUTS", NOTHING, "", "Forget the build times of circuits"},
    {"EXTENDCIRCUIT", NOTHING, "CIRCUIT [RELAY,..] [purpose=P]",
     "Build a circuit (0), or go on with one"},
    {"GETCONF", OPTIONS, "KEY..", "Options"},
    {"GETINFO", INFO, "KEY..", "What tor knows"},
    {"HSFETCH", NOTHING, "ADDRESS [SERVER=S..]",
     "Fetch a descriptor; events HS_DESC and HS_DESC_CONTENT tell"},
    {"HSPOST", NOTHING, "[SERVER=S..] HSADDRESS=A (+)", "Upload a descriptor"},
    {"LOADCONF", NOTHING, "(+)", "Another configuration"},
    {"MAPADDRESS", NOTHING, "ADDRESS=ADDRESS..", "What is asked for one goes to another"},
    {"ONION_CLIENT_AUTH_ADD", NOTHING, "ADDRESS x25519:KEY [ClientName=N] [Flags=Permanent]",
     "A key for a service"},
    {"ONION_CLIENT_AUTH_REMOVE", NOTHING, "ADDRESS", "Forget it"},
    {"ONION_CLIENT_AUTH_VIEW", NOTHING, "[ADDRESS]", "Which keys there are"},
    {"POSTDESCRIPTOR", NOTHING, "[purpose=P] [cache=yes|no] (+)", "Give tor a relay's descriptor"},
    {"PROTOCOLINFO", VERSIONS, "[1]", "How one authenticates"},
    {"QUIT", NOTHING, "", "Leave"},
    {"REDIRECTSTREAM", NOTHING, "STREAM ADDRESS [PORT]", "Another target for a stream"},
    {"RESETCONF", OPTIONS, "KEY[=VALUE]..", "Options back to their defaults"},
    {"RESOLVE", NOTHING, "[mode=reverse] ADDRESS", "Look a name up; event ADDRMAP tells"},
    {"SAVECONF", NOTHING, "[FORCE]", "Write the configuration file"},
    {"SETCIRCUITPURPOSE", NOTHING, "CIRCUIT purpose=P", "What a circuit is for"},
    {"SETCONF", OPTIONS, "KEY[=VALUE]..", "Set options"},
    {"SETEVENTS", EVENTS, "[NAME..]", "As /events"},
    {"SIGNAL", SIGNALS, "NAME", "NEWNYM, RELOAD ..: what a signal would do"},
    {"TAKEOWNERSHIP", NOTHING, "", "Tor ends with this connection"},
    {"USEFEATURE", FEATURES, "NAME..", "Extensions, all in force since 0.2.2"},
};

#define COMMANDS_N (sizeof(commands) / sizeof(*commands))

int tor_shell_help(struct nk_buf *out, const char *command)
{
    int rc = 0;
    bool found = false;
    for (size_t i = 0; i < COMMANDS_N && rc == 0; i++) {
        if (!command || strcasecmp(command, commands[i].name) == 0 ||
            strcasecmp(command, commands[i].name + 1) == 0) {
            found = true;
            rc = command ? nk_buf_printf(out, "%s %s\n    %s\n", commands[i].name, commands[i].args,
                                         commands[i].help)
                         : nk_buf_printf(out, "  %-25s %s\n", commands[i].name, commands[i].help);
        }
    }
    if (rc == 0 && !found) {
        rc = nk_buf_puts(out, "there is no such command; /help lists them\n");
    } else if (rc == 0 && !command) {
        rc = nk_buf_puts(
            out,
            "Tab completes. (+) means that a data block follows: begin the line with +, end the\n"
            "block with a line that is a dot. What has keys or passwords in it is not kept.\n");
    }
    return rc;
}

/* --- Tab ------------------------------------------------------------------------------------ */

static void offer_list(struct tor_edit_choices *out, const struct nk_strlist *list,
                       const char *typed, size_t n)
{
    for (size_t i = 0; i < list->n; i++) {
        tor_edit_offer(out, list->v[i], typed, n);
    }
}

static void offer_following(const struct tor_shell_words *w, enum follows follows,
                            struct tor_edit_choices *out, const char *typed, size_t n)
{
    switch (follows) {
    case INFO:
        offer_list(out, &w->info, typed, n);
        break;
    case EVENTS:
        offer_list(out, &w->events, typed, n);
        break;
    case SIGNALS:
        offer_list(out, &w->signals, typed, n);
        break;
    case OPTIONS:
        for (size_t i = 0; i < w->options.n; i++) {
            tor_edit_offer(out, w->options.v[i].name, typed, n);
        }
        break;
    case COMMANDS:
        for (size_t i = 0; i < COMMANDS_N; i++) {
            tor_edit_offer(out, commands[i].name, typed, n);
        }
        break;
    case FEATURES:
        tor_edit_offer(out, "EXTENDED_EVENTS", typed, n);
        tor_edit_offer(out, "VERBOSE_NAMES", typed, n);
        break;
    case VERSIONS:
        tor_edit_offer(out, "1", typed, n);
        break;
    case NOTHING:
        break;
    }
}

void tor_shell_complete(void *owner, const char *line, size_t cursor, struct tor_edit_choices *out)
{
    const struct tor_shell_words *w = owner;
    const size_t lead = strspn(line, " "), word = strcspn(line + lead, " ");
    out->from = cursor;
    while (out->from > 0 && line[out->from - 1] != ' ') {
        out->from--;
    }
    const char *typed = line + out->from;
    const size_t n = cursor - out->from;
    if (out->from <= lead) {
        offer_following(w, COMMANDS, out, typed, n);
        return;
    }
    for (size_t i = 0; i < COMMANDS_N; i++) {
        if (strlen(commands[i].name) == word &&
            strncasecmp(line + lead, commands[i].name, word) == 0) {
            offer_following(w, commands[i].follows, out, typed, n);
        }
    }
}

/* Words of a value: the first one of each line (info/names), or all of them. */
static int read_words(struct nk_strlist *out, const struct tor_reply *reply, const char *key,
                      bool lines)
{
    struct tor_word value;
    int rc = 0;
    if (!tor_reply_find(reply, key, &value)) {
        return 0;
    }
    const char *p = value.value, *end = p + value.value_len;
    while (p < end && rc == 0 && out->n < TOR_EDIT_CHOICES_MOST) {
        const char *word = p;
        while (p < end && *p != ' ' && *p != '\n') {
            p++;
        }
        size_t n = (size_t)(p - word);
        n -= n > 1 && word[n - 1] == '*' && word[n - 2] == '/'; /* "ns/id/<any>": what is before */
        rc = n > 0 ? nk_strlist_add(out, word, n) : 0;
        const char *eol = lines ? memchr(p, '\n', (size_t)(end - p)) : p;
        p = eol && eol < end ? eol + 1 : end;
    }
    return rc;
}

int tor_shell_words_read(struct tor_shell_words *w, const struct tor_reply *reply)
{
    struct tor_word names;
    tor_shell_words_clear(w);
    if (tor_reply_find(reply, "config/names", &names)) {
        (void)tor_conf_names_read(&w->options, names.value, names.value_len, NULL, 0, NULL);
    }
    int rc = read_words(&w->info, reply, "info/names", true);
    rc = rc < 0 ? rc : read_words(&w->events, reply, "events/names", false);
    return rc < 0 ? rc : read_words(&w->signals, reply, "signal/names", false);
}

void tor_shell_words_clear(struct tor_shell_words *w)
{
    tor_conf_names_clear(&w->options);
    nk_strlist_clear(&w->info);
    nk_strlist_clear(&w->events);
    nk_strlist_clear(&w->signals);
}

/* --- secrets -------------------------------------------------------------------------------- */

static bool has(const char *line, const char *part)
{
    const size_t n = strlen(part);
    for (; strlen(line) >= n; line++) {
        if (strncasecmp(line, part, n) == 0) {
            return true;
        }
    }
    return false;
}

bool tor_shell_is_secret(const char *line)
{
    static const char *const parts[] = {
        "AUTHENTICATE", "AUTHCHALLENGE", "ONION_CLIENT_AUTH_ADD", "x25519:", "ed25519-v3:",
        "rsa1024:",     "password",      "proxyauthenticator",    "private"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        if (has(line, parts[i])) {
            return true;
        }
    }
    return false;
}
