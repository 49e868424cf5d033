/* SPDX-License-Identifier: MIT */
#include "tor/torrc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tor/wire.h"

#define PORT_DIGITS 5
#define PORT_MAX 65535

/* Options that would take tor out of our hands, and what does the same. */
static const struct {
    const char *name, *instead;
} reserved[] = {{"DataDirectory", "use --data-dir"},
                {"User", "use --user"},
                {"DisableNetwork", "netkit switches the network on when it owns the process"},
                {"RunAsDaemon", "netkit watches over the process"},
                {"__OwningControllerProcess", "netkit owns the process"}};

static bool is_port(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n > 0 && n <= PORT_DIGITS && text[n] == '\0' && strtoul(text, NULL, 10) <= PORT_MAX;
}

/* Bytes that end a line of torrc, or that tor refuses. */
static bool has_controls(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' && *text != '\t') {
            return true;
        }
    }
    return false;
}

int tor_torrc_socks_check(const char *socks, struct nk_diag *diag)
{
    if (strcmp(socks, "auto") == 0 || strcmp(socks, "unix") == 0 || is_port(socks) ||
        (strncmp(socks, "unix:/", 6) == 0 && !has_controls(socks))) {
        return 0;
    }
    nk_fail(diag, NK_EUSAGE, "SOCKS cannot be offered at '%s'", socks);
    nk_hint(diag, "possible: auto, a port of this machine, 0 for none, unix, unix:/PATH; other "
                  "addresses by --torrc 'SocksPort ..'");
    return NK_EUSAGE;
}

int tor_torrc_line_check(const char *line, struct nk_diag *diag)
{
    const char *word = line + strspn(line, " \t");
    size_t n = strcspn(word, " \t");
    if (n == 0 || has_controls(line)) {
        return nk_fail(diag, NK_EUSAGE, "torrc: '%s' is not one line of a configuration", line);
    }
    if (line[strlen(line) - 1] == '\\') {
        return nk_fail(diag, NK_EUSAGE, "torrc: '%s' goes on in a next line, which there is not",
                       line);
    }
    for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++) {
        if (strlen(reserved[i].name) == n && strncasecmp(word, reserved[i].name, n) == 0) {
            nk_fail(diag, NK_EUSAGE, "torrc: %s is set by netkit itself", reserved[i].name);
            nk_hint(diag, "%s", reserved[i].instead);
            return NK_EUSAGE;
        }
    }
    return 0;
}

/* "Option prefix"VALUE"\n" with the value quoted as tor unquotes it. */
static int put_path(struct nk_buf *out, const char *option, const char *path, const char *flags)
{
    int rc = nk_buf_puts(out, option);
    rc = rc < 0 ? rc : tor_wire_quote_arg(out, path, strlen(path));
    return rc < 0 ? rc : nk_buf_printf(out, "%s\n", flags);
}

/* ExtendedErrors: a failed connection then says why (SOCKS replies F0 to F7). */
static int put_socks(struct nk_buf *out, const struct tor_torrc *t)
{
    if (strncmp(t->socks, "unix", 4) == 0) {
        const char *path = t->socks[4] ? t->socks + 5 : t->socks_path;
        return put_path(out, "SocksPort unix:", path, " ExtendedErrors");
    }
    const bool none = strtoul(t->socks, NULL, 10) == 0 && strcmp(t->socks, "auto") != 0;
    return none ? nk_buf_puts(out, "SocksPort 0\n")
                : nk_buf_printf(out, "SocksPort %s ExtendedErrors\n", t->socks);
}

static int put_own(struct nk_buf *out, const struct tor_torrc *t)
{
    int rc = put_path(out, "DataDirectory ", t->data_dir, "");
    rc = rc < 0 ? rc : put_path(out, "ControlSocket unix:", t->control, "");
    rc = rc < 0 ? rc : put_socks(out, t);
    rc = rc < 0 ? rc
                : nk_buf_printf(out,
                                "CookieAuthentication 1\nDisableNetwork %d\nRunAsDaemon 0\n"
                                "Log notice stdout\n",
                                !t->enabled);
    if (rc == 0 && !t->keep_disk) {
        rc = nk_buf_puts(out, "AvoidDiskWrites 1\n");
    }
    if (rc == 0 && t->owner) {
        rc = nk_buf_printf(out, "__OwningControllerProcess %ld\n", (long)t->owner);
    }
    return rc;
}

/* Everything the user gave, before anything is made. */
static int check(const struct tor_torrc *t, struct nk_diag *diag)
{
    int rc = tor_torrc_socks_check(t->socks, diag);
    for (size_t i = 0; rc == 0 && t->lines && i < t->lines->n; i++) {
        rc = tor_torrc_line_check(t->lines->v[i], diag);
    }
    return rc;
}

int tor_torrc_write(struct nk_buf *out, const struct tor_torrc *t, struct nk_diag *diag)
{
    int rc = check(t, diag);
    if (rc < 0) {
        return rc;
    }
    rc = put_own(out, t);
    for (size_t i = 0; rc == 0 && t->lines && i < t->lines->n; i++) {
        rc = nk_buf_printf(out, "%s\n", t->lines->v[i]);
    }
    return rc < 0 ? nk_fail_sys(diag, rc, "torrc") : 0;
}
