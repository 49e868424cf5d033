/* SPDX-License-Identifier: MIT */
/* config_words - inside of config: a line of ssh_config as its keyword and words. */
#ifndef SSH_CONFIG_WORDS_H
#define SSH_CONFIG_WORDS_H

#include <stddef.h>

enum { SSH_CONFIG_WORDS = 256 /* of a line: a bound */ };

/*
 * ssh_config_keyword - cut the keyword off the line, which is changed: up to white space or one
 * '=', perhaps in quotes. *rest is what follows, without white space around it. NULL: the line is
 * empty or a comment.
 */
char *ssh_config_keyword(char *line, char **rest);

/*
 * ssh_config_split - the words of the text, which is changed in place: separated by blanks; quotes
 * of both kinds keep them, a backslash keeps quotes, itself and, outside of quotes, a blank; # at
 * the beginning of a word ends them all. How many (at most SSH_CONFIG_WORDS), or -1: a quote
 * without its end, or too many words.
 */
int ssh_config_split(char *text, char *words[SSH_CONFIG_WORDS]);

#endif
