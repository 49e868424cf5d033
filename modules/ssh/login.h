/* SPDX-License-Identifier: MIT */
/*
 * login - what a user has to log in with: keys in files and in an agent, a password, answers.
 * Answers the questions of a connection (conn.h) as ssh_config(5) wants it, and asks the user on
 * the terminal where nothing else is left.
 */
#ifndef SSH_LOGIN_H
#define SSH_LOGIN_H

#include "base/secret.h"
#include "ssh/config.h"
#include "ssh/conn.h"

struct ssh_login;

struct ssh_login_conf {
    struct nk_app *app;
    struct nk_log *log;               /* may be NULL */
    const struct ssh_config *config;  /* borrowed; its user is set */
    const struct nk_secret *password; /* instead of asking: for the password, and for questions that
                                       * are answered without echo. NULL: none. Borrowed */
    /* "PATTERN=FILE": questions of the server that the pattern of * and ? matches (in any case) are
     * answered with the secret in the file. May be NULL. Borrowed */
    const struct nk_strlist *answers;
    bool no_input; /* nobody can be asked */
};

/* ssh_login_new - reads the keys' files and connects to the agent. Files that are not there, or no
 * keys, are told in the log. 0, NK_EBADMODE and others for a file that was asked for by name,
 * -ENOMEM. */
int ssh_login_new(const struct ssh_login_conf *conf, struct ssh_login **out, struct nk_diag *diag);

/* ssh_login_free - wipes what it has; NULL is fine. */
void ssh_login_free(struct ssh_login *l);

/* ssh_login_key - the one key that is worth trying before any question, or NULL. */
struct ssh_private *ssh_login_key(const struct ssh_login *l);

/* ssh_login_methods - the methods that may be used, best first, for conf.methods of a connection.
 */
const char *ssh_login_methods(const struct ssh_login *l);

/* ssh_login_distrust - the server's key is another one than is known: nothing that it could use
 * elsewhere is given to it (ssh_host_policy). */
void ssh_login_distrust(struct ssh_login *l);

/* ssh_login_answer - a question of the connection: answered with ssh_conn_give, now or later. */
void ssh_login_answer(struct ssh_login *l, struct ssh_conn *c, const struct ssh_question *q);

#endif
