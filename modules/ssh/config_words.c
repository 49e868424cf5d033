/* SPDX-License-Identifier: MIT */
#include "ssh/config_words.h"

#include <stdbool.h>
#include <string.h>

#define BLANKS " \t\r\f\n"

char *ssh_config_keyword(char *line, char **rest)
{
    size_t n = strlen(line);
    while (n > 0 && strchr(BLANKS, line[n - 1])) {
        n--;
    }
    line[n] = '\0';
    line += strspn(line, BLANKS);
    if (!*line || *line == '#') {
        return NULL;
    }
    bool quoted = *line == '"';
    line += quoted;
    char *end = line + strcspn(line, quoted ? "\"" : BLANKS "=");
    char *p = end;
    p += quoted && *p;
    p += strspn(p, BLANKS);
    p += *p == '=';
    p += strspn(p, BLANKS);
    *end = '\0';
    *rest = p;
    return line;
}

/* What a backslash keeps. */
static bool is_escaped(const char *s, char quote)
{
    return *s == '\\' && s[1] && (strchr("'\"\\", s[1]) || (!quote && s[1] == ' '));
}

int ssh_config_split(char *text, char *words[SSH_CONFIG_WORDS])
{
    int n = 0;
    char *s = text;
    for (;;) {
        s += strspn(s, " \t");
        if (!*s || *s == '#') {
            return n;
        }
        if (n == SSH_CONFIG_WORDS) {
            return -1;
        }
        char quote = '\0', *to = s;
        words[n++] = s;
        for (; *s && (quote || !strchr(" \t", *s)); s++) {
            if (is_escaped(s, quote)) {
                *to++ = *++s;
            } else if (quote ? *s == quote : *s == '\'' || *s == '"') {
                quote = quote ? '\0' : *s;
            } else {
                *to++ = *s;
            }
        }
        if (quote) {
            return -1;
        }
        s += *s != '\0';
        *to = '\0';
    }
}
