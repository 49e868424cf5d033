/* SPDX-License-Identifier: MIT */
/*
 * config - the settings for one host, as ssh_config(5) has them: from options of the command line,
 * the user's file and the system's, in this order; of each keyword the first value counts.
 *
 * Understood are Host, Match (host, originalhost, user, localuser, exec, final, all), Include, the
 * keywords in the table of config_keys.c, and IgnoreUnknown. What OpenSSH knows and netkit has no
 * use for is passed over silently; keywords that nobody knows are warned about. A value that a
 * known keyword cannot have is an error, in files as on the command line.
 *
 * Names of hosts and users that could mean something to a shell, or be taken for an option, are
 * refused, wherever they come from.
 */
#ifndef SSH_CONFIG_H
#define SSH_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/opt.h"
#include "ssh/algo.h"
#include "ssh/forward.h"
#include "ssh/host_policy.h"

#define SSH_CONFIG_FILE_MAX ((size_t)1024 * 1024) /* bytes of a file */

enum {
    SSH_CONFIG_DEPTH = 16,           /* files that include each other */
    SSH_CONFIG_FILES = 1024,         /* all that are read for one host */
    SSH_CONFIG_TEXT_MAX = 64 * 1024, /* bytes of a value with its tokens replaced */
    SSH_CONFIG_NONE = -1             /* "none", where a number may be none */
};

enum ssh_family { SSH_FAMILY_ANY, SSH_FAMILY_INET, SSH_FAMILY_INET6 };
enum ssh_session { SSH_SESSION_DEFAULT, SSH_SESSION_NONE, SSH_SESSION_SUBSYSTEM };
enum ssh_tty { SSH_TTY_AUTO, SSH_TTY_NO, SSH_TTY_YES, SSH_TTY_FORCE };
enum ssh_update { SSH_UPDATE_NO, SSH_UPDATE_YES, SSH_UPDATE_ASK };
enum ssh_gateway { SSH_GATEWAY_NO, SSH_GATEWAY_YES };
enum ssh_log_level {
    SSH_LOG_QUIET,
    SSH_LOG_FATAL,
    SSH_LOG_ERROR,
    SSH_LOG_INFO,
    SSH_LOG_VERBOSE,
    SSH_LOG_DEBUG1,
    SSH_LOG_DEBUG2,
    SSH_LOG_DEBUG3
};

/* Who asks, and for what. Everything is borrowed for the call. */
struct ssh_config_ask {
    const char *host;           /* as it was given on the command line */
    const char *user;           /* -l, or what stood before @; NULL: the configuration says */
    int port;                   /* -p; 0: the configuration says */
    const char *file;           /* -F: read this file only; "none": no file. NULL: ~/.ssh/config and
                                   /etc/ssh/ssh_config */
    const char *const *options; /* -o: "Keyword=value" or "Keyword value"; first one first */
    size_t noptions;
    struct nk_log *log; /* for warnings; may be NULL */
    /* Match exec: did the command succeed? NULL: it is not run, does not match, and is warned
     * about. ssh_config_exec is one. */
    bool (*exec)(void *arg, const char *command);
    void *exec_arg;
};

/*
 * The settings. Texts are NULL, lists empty and numbers as said where nothing is set and there is
 * no default. Tokens (%h ...), ~ and ${NAME} are replaced, except in proxy_command, remote_command
 * and the texts of ssh_config_print.
 */
struct ssh_config {
    /* the connection */
    char *original_host; /* %n: as given */
    char *host_name;     /* where to connect */
    int64_t port;
    char *user;              /* NULL: nobody knows; -l is needed */
    char *local_user, *home; /* who asks; %u, %d */
    int family;              /* enum ssh_family */
    char *bind_address, *bind_interface;
    int64_t connect_timeout; /* seconds, or SSH_CONFIG_NONE */
    int64_t connection_attempts;
    int64_t alive_interval, alive_count; /* seconds, 0: no; how many may stay unanswered */
    bool tcp_keepalive;
    char *proxy_jump;    /* "[user@]host[:port],..", first hop first; NULL: none */
    char *proxy_command; /* with tokens (ssh_config_expand); NULL: none */
    /* algorithms: lists as given, with their + - ^ in front; NULL: netkit's own */
    char *ciphers, *macs, *kex, *host_key_algorithms, *pubkey_algorithms, *ca_algorithms;
    uint64_t rekey_bytes;   /* 0: as the cipher wants it */
    uint64_t rekey_seconds; /* 0: never for that reason */
    int64_t min_rsa;        /* bits */
    /* the host's key */
    struct nk_strlist user_known_hosts, global_known_hosts;
    int checking; /* enum ssh_checking */
    char *host_key_alias;
    bool hash_known_hosts;
    int update_host_keys; /* enum ssh_update */
    char *revoked_host_keys;
    /* logging in */
    struct nk_strlist identity_files, certificate_files;
    bool identity_given; /* identity_files are not the default ones */
    bool identities_only;
    char *identity_agent; /* a path, "$NAME", "SSH_AUTH_SOCK" or "none"; NULL: $SSH_AUTH_SOCK */
    bool batch;
    int pubkey_auth; /* 0: no; otherwise yes */
    bool password_auth, keyboard_auth;
    char *preferred_authentications;
    int64_t password_prompts;
    /* what is done */
    struct ssh_forwards forwards;
    bool exit_on_forward_failure, clear_forwardings;
    int gateway_ports; /* enum ssh_gateway */
    struct nk_strlist permit_remote_open;
    bool stream_local_unlink;
    int64_t stream_local_mask;           /* umask of sockets that are made */
    int session;                         /* enum ssh_session */
    int request_tty;                     /* enum ssh_tty */
    char *remote_command;                /* with tokens */
    struct nk_strlist send_env, set_env; /* patterns of names; "NAME=VALUE" */
    bool stdin_null, fork;
    char *escape_char;   /* one character, "^X" or "none" */
    char *forward_agent; /* "yes", "no", a path or "$NAME" */
    int log_level;       /* enum ssh_log_level */

    struct ssh_config_origins *origins; /* private: where each value comes from */
    unsigned others;                    /* private: how many more ssh_config_free are owed */
    char *ignore_unknown;               /* patterns of keywords that are not warned about */
};

/*
 * ssh_config_load - the settings for a host. 0 with *out; NK_EUSAGE: a name of a host or user that
 * is refused, a wrong -o; NK_ECONFIG: a wrong line, with file and line, or a file given by -F that
 * is not there; NK_EBADMODE: the user's file could have been written by others; -ENOMEM, errors of
 * reading. ssh_config_ref - one more ssh_config_free is owed. ssh_config_free - NULL is fine.
 */
int ssh_config_load(struct ssh_config **out, const struct ssh_config_ask *ask,
                    struct nk_diag *diag);
struct ssh_config *ssh_config_ref(struct ssh_config *c);
void ssh_config_free(struct ssh_config *c);

/* ssh_config_print - append what `ssh -G` prints: a keyword in lower case and its value, a line
 * each. ssh_config_json - the same as an object of keywords, each with its value and, where
 * something set it, "from": "FILE:LINE" or "command line". ssh_config_origins - the same as text, a
 * line each, with the origin behind it: of a list, that of its first line. 0, -ENOMEM, NK_ETOOBIG.
 */
int ssh_config_print(const struct ssh_config *c, struct nk_buf *out);
void ssh_config_json(const struct ssh_config *c, struct nk_json *j);
int ssh_config_print_origins(const struct ssh_config *c, struct nk_buf *out);

/*
 * ssh_config_proposal - what is offered: everything netkit has, as Ciphers, MACs, KexAlgorithms and
 * HostKeyAlgorithms change it. Names that netkit does not have are left out, with a warning to log
 * (may be NULL). NK_ECONFIG: nothing is left of a list; NK_ETOOBIG. *out is complete in any case.
 */
int ssh_config_proposal(const struct ssh_config *c, struct ssh_proposal *out, struct nk_log *log,
                        struct nk_diag *diag);

/* ssh_config_expand - append text with its tokens replaced: those of OpenSSH's TOKENS (%% %C %d %h
 * %i %j %k %L %l %n %p %r %u). 0, -ENOMEM, NK_ETOOBIG; NK_ECONFIG: another one. */
int ssh_config_expand(const struct ssh_config *c, const char *text, struct nk_buf *out,
                      struct nk_diag *diag);

/* ssh_config_exec - for ask.exec: run the command's words as a program, without a shell, and wait
 * for its end; with standard errors, but without input and output. True: its status is 0. What
 * needs a shell fails, and is told in the log (arg, struct nk_log; may be NULL). */
bool ssh_config_exec(void *arg, const char *command);

/* ssh_config_host - what the policy for the host's key needs, borrowed from c: names, files, modes.
 * What the command line adds (pins, who can be asked) is for the caller. */
void ssh_config_host(const struct ssh_config *c, struct ssh_host_conf *out);

/* ssh_user_check, ssh_host_check - may this be the name of a user, or a host? 0 or NK_EUSAGE.
 * typed: it comes from the command line, where more is refused, as OpenSSH 10.6 does. */
int ssh_user_check(const char *user, bool typed, struct nk_diag *diag);
int ssh_host_check(const char *host, struct nk_diag *diag);

#endif
