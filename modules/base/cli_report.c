/* SPDX-License-Identifier: MIT */
/* What a command line says back: version, output, errors. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/build_info.h"
#include "base/cli.h"
#include "base/json.h"

#define REPORT_MAX 8192

static int version_json(struct nk_buf *out)
{
    struct nk_json j;
    nk_json_init(&j, out, true);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_str(&j, "version", nk_build_info.version);
    nk_json_kv_str(&j, "build", nk_build_info.build_id);
    nk_json_kv_str(&j, "mode", nk_build_info.mode);
    nk_json_kv_str(&j, "compiler", nk_build_info.compiler);
    nk_json_kv_str(&j, "libc", nk_build_info.libc);
    nk_json_key(&j, "libraries");
    nk_json_object(&j);
    for (const struct nk_build_lib *lib = nk_build_info.libs; lib->name; lib++) {
        nk_json_kv_str(&j, lib->name, lib->version);
    }
    nk_json_close(&j);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

int nk_help_version(struct nk_buf *out, bool json)
{
    if (json) {
        return version_json(out);
    }
    int rc = nk_buf_printf(out, "netkit %s\nbuild %s (%s, %s, %s)\n", nk_build_info.version,
                           nk_build_info.build_id, nk_build_info.mode, nk_build_info.compiler,
                           nk_build_info.libc);
    for (const struct nk_build_lib *lib = nk_build_info.libs; lib->name && rc == 0; lib++) {
        rc = nk_buf_printf(out, "%s %s\n", lib->name, lib->version);
    }
    return rc;
}

void nk_cli_print(const struct nk_buf *buf)
{
    if (nk_buf_len(buf) > 0) {
        fwrite(nk_buf_ptr(buf), 1, nk_buf_len(buf), stdout);
    }
}

int nk_cli_put_json(struct nk_json *j, struct nk_diag *diag)
{
    int rc = nk_json_end(j);
    rc = rc < 0 ? rc : nk_buf_u8(j->out, '\n');
    if (rc == 0) {
        nk_cli_print(j->out);
    }
    nk_buf_clear(j->out);
    return rc < 0 ? nk_fail_sys(diag, rc, "the output") : 0;
}

int nk_cli_flush(struct nk_diag *diag)
{
    errno = 0;
    bool failed = ferror(stdout) != 0;
    failed |= fflush(stdout) != 0;
    if (!failed) {
        return 0;
    }
    int err = errno ? errno : EIO;
    if (err == EPIPE) {
        return -EPIPE; /* `| head`: nobody is interested any more */
    }
    return nk_fail(diag, NK_EOUTPUT, "writing to standard output failed: %s", nk_strerror(-err));
}

static void write_stderr(struct nk_buf *b)
{
    const uint8_t *p = nk_buf_ptr(b);
    for (size_t left = nk_buf_len(b); left > 0;) {
        ssize_t n = write(2, p, left);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break; /* nowhere left to complain */
        }
        p += n;
        left -= (size_t)n;
    }
    nk_buf_clear(b);
}

static void json_line(struct nk_buf *b, const char *name, int code, const char *level,
                      const char *text, const char *hint)
{
    struct nk_json j;
    nk_json_init(&j, b, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_str(&j, "level", level);
    nk_json_kv_str(&j, "command", name);
    nk_json_kv_str(&j, "code", nk_err_name(code));
    nk_json_kv_i64(&j, "exit", nk_exit_code(code));
    nk_json_kv_str(&j, "message", text);
    nk_json_kv_str(&j, "hint", hint);
    nk_json_close(&j);
    nk_buf_puts(b, "\n");
}

void nk_cli_report(const char *name, const struct nk_diag *diag, bool json)
{
    struct nk_buf b;
    nk_buf_init(&b, REPORT_MAX);
    const char *text = *diag->text ? diag->text : nk_strerror(diag->code);
    if (json) {
        json_line(&b, name, diag->code, "error", text, *diag->hint ? diag->hint : NULL);
    } else if (*diag->hint) {
        nk_buf_printf(&b, "netkit%s%s: %s (hint: %s)\n", *name ? " " : "", name, text, diag->hint);
    } else {
        nk_buf_printf(&b, "netkit%s%s: %s\n", *name ? " " : "", name, text);
    }
    write_stderr(&b);
}

void nk_cli_report_problems(const char *name, const struct nk_conf *c, bool json)
{
    const struct nk_conf_problem *p;
    for (size_t i = 0; (p = nk_conf_problem_at(c, i)) != NULL; i++) {
        struct nk_buf b;
        nk_buf_init(&b, REPORT_MAX);
        if (json) {
            json_line(&b, name ? name : "", NK_ECONFIG, p->warning ? "warning" : "error", p->text,
                      NULL);
        } else {
            nk_buf_printf(&b, "%s%s%s%s%s\n", name ? "netkit " : "", name ? name : "",
                          name ? ": " : "", p->warning ? "warning: " : "", p->text);
        }
        write_stderr(&b);
    }
}
