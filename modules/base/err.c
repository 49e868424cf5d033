/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* what the header tells the analyser instead of these functions */
#undef nk_fail
#undef nk_fail_sys
#undef nk_fail_context

/* Every errno value of Linux that has a name of its own (EWOULDBLOCK, EDEADLOCK and ENOTSUP are
 * other names of values in the list). */
/* clang-format off */
#define ERRNO_LIST(X)                                                                              \
    X(EPERM) X(ENOENT) X(ESRCH) X(EINTR) X(EIO) X(ENXIO) X(E2BIG) X(ENOEXEC) X(EBADF) X(ECHILD)    \
    X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT) X(ENOTBLK) X(EBUSY) X(EEXIST) X(EXDEV) X(ENODEV)       \
    X(ENOTDIR) X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) X(ENOTTY) X(ETXTBSY) X(EFBIG) X(ENOSPC)     \
    X(ESPIPE) X(EROFS) X(EMLINK) X(EPIPE) X(EDOM) X(ERANGE) X(EDEADLK) X(ENAMETOOLONG) X(ENOLCK)   \
    X(ENOSYS) X(ENOTEMPTY) X(ELOOP) X(ENOMSG) X(EIDRM) X(ECHRNG) X(EL2NSYNC) X(EL3HLT) X(EL3RST)   \
    X(ELNRNG) X(EUNATCH) X(ENOCSI) X(EL2HLT) X(EBADE) X(EBADR) X(EXFULL) X(ENOANO) X(EBADRQC)      \
    X(EBADSLT) X(EBFONT) X(ENOSTR) X(ENODATA) X(ETIME) X(ENOSR) X(ENONET) X(ENOPKG) X(EREMOTE)     \
    X(ENOLINK) X(EADV) X(ESRMNT) X(ECOMM) X(EPROTO) X(EMULTIHOP) X(EDOTDOT) X(EBADMSG)             \
    X(EOVERFLOW) X(ENOTUNIQ) X(EBADFD) X(EREMCHG) X(ELIBACC) X(ELIBBAD) X(ELIBSCN) X(ELIBMAX)      \
    X(ELIBEXEC) X(EILSEQ) X(ERESTART) X(ESTRPIPE) X(EUSERS) X(ENOTSOCK) X(EDESTADDRREQ)            \
    X(EMSGSIZE) X(EPROTOTYPE) X(ENOPROTOOPT) X(EPROTONOSUPPORT) X(ESOCKTNOSUPPORT) X(EOPNOTSUPP)   \
    X(EPFNOSUPPORT) X(EAFNOSUPPORT) X(EADDRINUSE) X(EADDRNOTAVAIL) X(ENETDOWN) X(ENETUNREACH)      \
    X(ENETRESET) X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS) X(EISCONN) X(ENOTCONN) X(ESHUTDOWN)      \
    X(ETOOMANYREFS) X(ETIMEDOUT) X(ECONNREFUSED) X(EHOSTDOWN) X(EHOSTUNREACH) X(EALREADY)          \
    X(EINPROGRESS) X(ESTALE) X(EUCLEAN) X(ENOTNAM) X(ENAVAIL) X(EISNAM) X(EREMOTEIO) X(EDQUOT)     \
    X(ENOMEDIUM) X(EMEDIUMTYPE) X(ECANCELED) X(ENOKEY) X(EKEYEXPIRED) X(EKEYREVOKED)               \
    X(EKEYREJECTED) X(EOWNERDEAD) X(ENOTRECOVERABLE) X(ERFKILL) X(EHWPOISON)
/* clang-format on */

struct own_error {
    int code;
    int exit_code;
    const char *name;
    const char *text;
};

static const struct own_error own_errors[] = {
#define ROW(name, value, exitcode, text) {value, exitcode, #name, text},
    NK_ERR_LIST(ROW)
#undef ROW
};

struct errno_name {
    int number;
    const char *name;
};

static const struct errno_name errno_names[] = {
#define ROW(name) {name, #name},
    ERRNO_LIST(ROW)
#undef ROW
};

/* Exit codes of system errors; everything else is NK_EXIT_FAILED. */
static const struct {
    int number;
    int exit_code;
} errno_exits[] = {
    {ECONNREFUSED, NK_EXIT_UNAVAILABLE},
    {ECONNRESET, NK_EXIT_UNAVAILABLE},
    {ECONNABORTED, NK_EXIT_UNAVAILABLE},
    {EHOSTUNREACH, NK_EXIT_UNAVAILABLE},
    {EHOSTDOWN, NK_EXIT_UNAVAILABLE},
    {ENETUNREACH, NK_EXIT_UNAVAILABLE},
    {ENETDOWN, NK_EXIT_UNAVAILABLE},
    {ENETRESET, NK_EXIT_UNAVAILABLE},
    {EADDRINUSE, NK_EXIT_UNAVAILABLE},
    {EADDRNOTAVAIL, NK_EXIT_UNAVAILABLE},
    {ESHUTDOWN, NK_EXIT_UNAVAILABLE},
    {EACCES, NK_EXIT_DENIED},
    {EPERM, NK_EXIT_DENIED},
    {EIO, NK_EXIT_IO},
    {ENOSPC, NK_EXIT_IO},
    {EDQUOT, NK_EXIT_IO},
    {EROFS, NK_EXIT_IO},
    {EFBIG, NK_EXIT_IO},
    {EPIPE, NK_EXIT_IO},
    {EEXIST, NK_EXIT_CANTCREAT},
    {ETIMEDOUT, NK_EXIT_TEMPFAIL},
    {EAGAIN, NK_EXIT_TEMPFAIL},
    {EBUSY, NK_EXIT_TEMPFAIL},
};

static const struct own_error *find_own(int code)
{
    for (size_t i = 0; i < sizeof own_errors / sizeof *own_errors; i++) {
        if (own_errors[i].code == code)
            return &own_errors[i];
    }
    return NULL;
}

static const struct errno_name *find_errno(int code)
{
    for (size_t i = 0; i < sizeof errno_names / sizeof *errno_names; i++) {
        if (errno_names[i].number == -code)
            return &errno_names[i];
    }
    return NULL;
}

const char *nk_strerror(int code)
{
    if (code >= 0)
        return "success";
    const struct own_error *own = find_own(code);
    if (own)
        return own->text;
    /* C libraries differ in these; one text for all builds */
    if (code == -EADDRINUSE)
        return "Address already in use";
    if (code == -ETIMEDOUT)
        return "Connection timed out";
    /* strerror is static text for numbers the C library knows; others would share a buffer. */
    return find_errno(code) ? strerror(-code) : "unknown error";
}

const char *nk_err_name(int code)
{
    if (code >= 0)
        return "OK";
    const struct own_error *own = find_own(code);
    if (own)
        return own->name;
    const struct errno_name *sys = find_errno(code);
    return sys ? sys->name : "EUNKNOWN";
}

int nk_exit_code(int code)
{
    if (code >= 0)
        return NK_EXIT_OK;
    const struct own_error *own = find_own(code);
    if (own)
        return own->exit_code;
    for (size_t i = 0; i < sizeof errno_exits / sizeof *errno_exits; i++) {
        if (errno_exits[i].number == -code)
            return errno_exits[i].exit_code;
    }
    return NK_EXIT_FAILED;
}

/* Drop an UTF-8 sequence that a cut left incomplete at the end of s. */
static void trim_utf8(char *s, size_t len)
{
    size_t back = 0;
    while (back < len && back < 4) {
        unsigned char c = (unsigned char)s[len - 1 - back];
        back++;
        if ((c & 0xc0) == 0x80)
            continue;
        size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        if (need > back)
            s[len - back] = '\0';
        return;
    }
}

/* Control bytes, also the C1 controls in their UTF-8 form (U+0080..U+009F), become '?'. */
static void no_controls(char *s)
{
    for (unsigned char *p = (unsigned char *)s; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = '?';
    }
}

/* Format into out through a buffer of its own, because arguments may point into out. */
static void put_text(char *out, size_t max, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
static void put_text(char *out, size_t max, const char *fmt, va_list ap)
{
    char tmp[NK_DIAG_TEXT];
    int n = vsnprintf(tmp, max < sizeof tmp ? max : sizeof tmp, fmt, ap);
    if (n < 0)
        snprintf(tmp, max, "%s", "(the message could not be formatted)");
    else if ((size_t)n >= max)
        trim_utf8(tmp, max - 1);
    no_controls(tmp);
    memcpy(out, tmp, strlen(tmp) + 1);
}

int nk_fail(struct nk_diag *diag, int code, const char *fmt, ...)
{
    if (!diag)
        return code;
    va_list ap;
    va_start(ap, fmt);
    put_text(diag->text, sizeof diag->text, fmt, ap);
    va_end(ap);
    diag->code = code;
    diag->hint[0] = '\0';
    return code;
}

int nk_fail_sys(struct nk_diag *diag, int code, const char *fmt, ...)
{
    if (!diag)
        return code;
    va_list ap;
    va_start(ap, fmt);
    put_text(diag->text, sizeof diag->text, fmt, ap);
    va_end(ap);
    return nk_fail(diag, code, "%s: %s", diag->text, nk_strerror(code));
}

void nk_hint(struct nk_diag *diag, const char *fmt, ...)
{
    if (!diag)
        return;
    va_list ap;
    va_start(ap, fmt);
    put_text(diag->hint, sizeof diag->hint, fmt, ap);
    va_end(ap);
}

int nk_fail_context(struct nk_diag *diag, const char *fmt, ...)
{
    if (!diag)
        return NK_EINTERNAL;
    char before[NK_DIAG_TEXT];
    char after[NK_DIAG_TEXT];
    va_list ap;
    va_start(ap, fmt);
    put_text(before, sizeof before, fmt, ap);
    va_end(ap);
    memcpy(after, diag->text, sizeof after);
    int n = snprintf(diag->text, sizeof diag->text, "%s: %s", before, after);
    if (n >= (int)sizeof diag->text)
        trim_utf8(diag->text, sizeof diag->text - 1);
    return diag->code;
}
