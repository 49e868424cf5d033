/* SPDX-License-Identifier: MIT */
/* config_keys - inside of config: the table of keywords, and their values as text. */
#ifndef SSH_CONFIG_KEYS_H
#define SSH_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ssh/config.h"

/* What a keyword's value is, and of what type its field. */
enum ssh_config_kind {
    SSH_KIND_BOOL,    /* bool */
    SSH_KIND_ENUM,    /* int: which group of words in `words` */
    SSH_KIND_NUMBER,  /* int64_t, from 0 on */
    SSH_KIND_PORT,    /* int64_t */
    SSH_KIND_TIME,    /* int64_t: seconds; "none" is SSH_CONFIG_NONE */
    SSH_KIND_OCTAL,   /* int64_t */
    SSH_KIND_REKEY,   /* uint64_t of bytes, and seconds in the next field */
    SSH_KIND_TEXT,    /* char * */
    SSH_KIND_PATH,    /* char *: tokens, ~ and ${NAME} are replaced */
    SSH_KIND_REST,    /* char *: the rest of the line as it is; "none" is NULL */
    SSH_KIND_JUMP,    /* char *: as it; and not beside ProxyCommand */
    SSH_KIND_PATHS,   /* struct nk_strlist: all words of one line */
    SSH_KIND_FILES,   /* struct nk_strlist: one word of each line */
    SSH_KIND_WORDS,   /* struct nk_strlist: all words of one line, as they are */
    SSH_KIND_NAMES,   /* struct nk_strlist: all words of each line, as they are */
    SSH_KIND_FORWARD, /* into forwards */
    SSH_KIND_HOST,
    SSH_KIND_MATCH,
    SSH_KIND_INCLUDE
};

struct ssh_config_key {
    const char *name;
    const char *words; /* of SSH_KIND_ENUM: groups "a|b c d|e", the first of a group is printed */
    const char *def;   /* as a line would say it; NULL: none */
    uint16_t offset;   /* in struct ssh_config */
    uint8_t kind;
    uint8_t arg; /* enum ssh_forward_kind; of algorithms: 1 + enum ssh_list */
};

enum { SSH_CONFIG_KEYS = 61 };
extern const struct ssh_config_key ssh_config_keys[SSH_CONFIG_KEYS];

/* Where the values come from; file 0 is nowhere. */
struct ssh_config_origins {
    struct nk_strlist files;
    struct {
        uint32_t line; /* 0: a file without lines: the command line */
        uint16_t file; /* 1 + index in files; 0: not set */
    } of[SSH_CONFIG_KEYS];
};

/* One line's words on their way into a field. */
struct ssh_config_value {
    struct ssh_config *c;
    const struct ssh_config_key *key;
    char **words;
    size_t n;
    const char *rest; /* the line behind the keyword */
    bool apply;       /* false: it is only checked */
    char problem[96];
};

/* ssh_config_key_find - by a name in either case, older names included; NULL when it is not in the
 * table. ssh_config_key_silent - does OpenSSH know it, and netkit has no use for it? */
const struct ssh_config_key *ssh_config_key_find(const char *name);
bool ssh_config_key_silent(const char *name);

/* ssh_config_value_set - 0, NK_ECONFIG with v->problem, -ENOMEM. */
int ssh_config_value_set(struct ssh_config_value *v);

/* ssh_config_value_put - append the n-th value of a keyword; 1, or 0 when there is none (any more),
 * or an error. */
int ssh_config_value_put(const struct ssh_config *c, const struct ssh_config_key *key, size_t n,
                         struct nk_buf *out);

/* ssh_config_values_clear - free what the table's fields hold. */
void ssh_config_values_clear(struct ssh_config *c);

/* ssh_config_field - the field of a keyword, of the type that its kind says. */
static inline void *ssh_config_field(struct ssh_config *c, const struct ssh_config_key *key)
{
    return (char *)c + key->offset;
}

#endif
