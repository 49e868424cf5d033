/* SPDX-License-Identifier: MIT */
/*
 * acl - what an identity may do with which groups. Pure. Without any rule everybody who is logged
 * in may do everything, as with tlspyo; with the first rule everything that no rule allows is
 * refused. Rules only add rights. Filled, then shared and never changed.
 */
#ifndef NK_RELAY_ACL_H
#define NK_RELAY_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum relay_right {
    RELAY_MAY_PRODUCE = 1,   /* put objects into the group's queue */
    RELAY_MAY_BROADCAST = 2, /* send to all members; also decides whether a retained object stays */
    RELAY_MAY_CONSUME = 4,   /* be a member: broadcasts, and objects of the queue */
    RELAY_MAY_ADMIN = 8      /* purge, kick */
};
#define RELAY_MAY_ALL 15u

#define RELAY_ACL_EVERYBODY "*"
#define RELAY_ACL_PATTERN_MAX 1024 /* bytes; a group's name has no more */
#define RELAY_ACL_RULES_MAX 65536

struct relay_acl;

/* relay_acl_new - no rules yet, one reference. NULL when memory is missing. */
struct relay_acl *relay_acl_new(void);

/* relay_acl_ref - one more reference; returns a. relay_acl_unref - the last one frees; NULL is
 * fine. */
struct relay_acl *relay_acl_ref(struct relay_acl *a);
void relay_acl_unref(struct relay_acl *a);

/* relay_acl_add - identity ("*": everybody) has these rights (enum relay_right) in the groups whose
 * whole name matches pattern: `*` any bytes, `?` one character of UTF-8. NK_ECONFIG (empty or too
 * long, no rights, too many rules), -ENOMEM. */
int relay_acl_add(struct relay_acl *a, const char *identity, const char *pattern, unsigned rights);

/* relay_acl_rights - all rights of identity in the group with this name (len bytes, any). a may be
 * NULL: no rules. For sessions that keep the answer per group they opened, until a reload. */
unsigned relay_acl_rights(const struct relay_acl *a, const char *identity, const void *group,
                          size_t len);

/* relay_acl_allows - does that include `right`? */
bool relay_acl_allows(const struct relay_acl *a, const char *identity, const void *group,
                      size_t len, enum relay_right right);

/* relay_acl_rules - how many there are. */
size_t relay_acl_rules(const struct relay_acl *a);

/* relay_acl_parse_rights - "produce,broadcast" (blanks around commas are fine) -> *rights. 0, or
 * NK_ECONFIG with diag naming the unknown word. */
int relay_acl_parse_rights(const char *text, unsigned *rights, struct nk_diag *diag);

/* relay_acl_right_name - "produce", "broadcast", "consume", "admin". */
const char *relay_acl_right_name(enum relay_right right);

/* relay_acl_match - does the whole of text match pattern? At most len * plen steps. */
bool relay_acl_match(const char *pattern, size_t plen, const char *text, size_t len);

#endif
