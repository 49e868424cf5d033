/* SPDX-License-Identifier: MIT */
/*
 * err - error codes, the diagnostic that travels with them, and exit codes.
 *
 * Every function that can fail returns an int (or ssize_t): 0 or positive on success, negative on
 * failure. System errors are -errno; netkit's own codes are NK_E* at or below -10000.
 */
#ifndef NK_BASE_ERR_H
#define NK_BASE_ERR_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

/* X(name, value, exit code, text) - the one list from which enum, names and texts are made. */
#define NK_ERR_LIST(X)                                                                             \
    X(NK_EPROTO, -10001, NK_EXIT_PROTOCOL, "the peer broke the protocol")                          \
    X(NK_ETRUNC, -10002, NK_EXIT_PROTOCOL, "the stream ended before its end was announced")        \
    X(NK_EAUTH, -10003, NK_EXIT_DENIED, "authentication or permission refused")                    \
    X(NK_EVERIFY, -10004, NK_EXIT_DENIED, "the peer's identity could not be verified")             \
    X(NK_EUSAGE, -10005, NK_EXIT_USAGE, "wrong usage")                                             \
    X(NK_ECONFIG, -10006, NK_EXIT_CONFIG, "wrong configuration")                                   \
    X(NK_ELIMIT, -10007, NK_EXIT_FAILED, "a configured limit was reached")                         \
    X(NK_ENONAME, -10008, NK_EXIT_UNAVAILABLE, "the host name could not be resolved")              \
    X(NK_ETOOBIG, -10009, NK_EXIT_FAILED, "the data are larger than allowed")                      \
    X(NK_EFORMAT, -10010, NK_EXIT_FAILED, "the data are malformed")                                \
    X(NK_EVERSION, -10011, NK_EXIT_FAILED, "the format or protocol version is not supported")      \
    X(NK_ELOCKED, -10012, NK_EXIT_TEMPFAIL, "already in use by another instance")                  \
    X(NK_ECLOSED, -10013, NK_EXIT_UNAVAILABLE, "closed")                                           \
    X(NK_EINTERNAL, -10014, NK_EXIT_INTERNAL, "internal error")                                    \
    X(NK_EUNSUPPORTED, -10015, NK_EXIT_FAILED, "not supported here")                               \
    X(NK_ENOCMD, -10016, NK_EXIT_NOTFOUND, "no such command")                                      \
    X(NK_EBADMODE, -10017, NK_EXIT_DENIED, "unsafe file owner or mode")                            \
    X(NK_EOUTPUT, -10018, NK_EXIT_IO, "writing the output failed")

/* Exit codes, the same for every command (`netkit help exit-codes`). */
enum nk_exit {
    NK_EXIT_OK = 0,
    NK_EXIT_FAILED = 1,
    NK_EXIT_USAGE = 2,
    NK_EXIT_UNAVAILABLE = 69, /* peer or service not reachable */
    NK_EXIT_INTERNAL = 70,
    NK_EXIT_CANTCREAT = 73,
    NK_EXIT_IO = 74,
    NK_EXIT_TEMPFAIL = 75, /* timeout or busy: worth a retry */
    NK_EXIT_PROTOCOL = 76,
    NK_EXIT_DENIED = 77, /* authentication, verification, permission, file mode */
    NK_EXIT_CONFIG = 78,
    NK_EXIT_NOEXEC = 126,
    NK_EXIT_NOTFOUND = 127,
    NK_EXIT_SIGNAL = 128 /* + signal number */
};

#define NK_ERR_ENUM(name, value, exitcode, text) name = (value),
enum nk_err { NK_ERR_LIST(NK_ERR_ENUM) NK_ERR_LAST = -10999 };
#undef NK_ERR_ENUM

#define NK_EAGAIN (-EAGAIN) /* not now: wait for the event */

#define NK_DIAG_TEXT 320
#define NK_DIAG_HINT 200

/* What happened, in words. Filled by the function that found the error; owned by the caller. */
struct nk_diag {
    int code;                /* the same value the function returned */
    char text[NK_DIAG_TEXT]; /* what and where, one line, no trailing newline */
    char hint[NK_DIAG_HINT]; /* what to do next; may be empty */
};

/* nk_strerror - static text for any negative code (NK_E* or -errno). Never NULL. */
const char *nk_strerror(int code);

/* nk_err_name - symbolic name ("NK_EPROTO", "ECONNREFUSED"), static, for logs and JSON; "OK" for
 * values >= 0, "EUNKNOWN" for numbers without a name. */
const char *nk_err_name(int code);

/* nk_exit_code - the process exit status for an error code; 0 for values >= 0. */
int nk_exit_code(int code);

/*
 * nk_fail - fill diag (may be NULL) with code and a formatted text, clear its hint, return code,
 * so that `return nk_fail(diag, NK_ECONFIG, "...")` is one statement. Text longer than the buffer
 * is cut. Control bytes of arguments are replaced by '?', so peer data cannot forge lines.
 */
int nk_fail(struct nk_diag *diag, int code, const char *fmt, ...)
    __attribute__((cold, format(printf, 3, 4)));

/* nk_fail_sys - like nk_fail, appending ": <text of code>"; code is -errno or NK_E*. */
int nk_fail_sys(struct nk_diag *diag, int code, const char *fmt, ...)
    __attribute__((cold, format(printf, 3, 4)));

/* nk_hint - set the hint of diag (may be NULL). */
void nk_hint(struct nk_diag *diag, const char *fmt, ...)
    __attribute__((cold, format(printf, 2, 3)));

/* nk_fail_context - put "<fmt>: " in front of the text of diag; keeps code and hint; returns the
 * code. diag must be one that was filled; with NULL the code is not known: returns NK_EINTERNAL. */
int nk_fail_context(struct nk_diag *diag, const char *fmt, ...)
    __attribute__((cold, format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* The analyser does not see into err.c; it must know that a failure is negative. */
#define nk_fail(...) ((void)nk_fail(__VA_ARGS__), NK_EINTERNAL)
#define nk_fail_sys(...) ((void)nk_fail_sys(__VA_ARGS__), NK_EINTERNAL)
#define nk_fail_context(...) ((void)nk_fail_context(__VA_ARGS__), NK_EINTERNAL)
#endif

#endif
