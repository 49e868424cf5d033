/* SPDX-License-Identifier: MIT */
#include "ssh/include.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

/* Is c in the class that begins behind '['? *end is what follows it; NULL: it is no class. */
static bool in_class(const char *p, char c, const char **end)
{
    const bool negated = *p == '!' || *p == '^';
    const unsigned char u = (unsigned char)c;
    bool found = false;
    p += negated;
    for (const char *first = p; *p && (*p != ']' || p == first); p++) {
        const unsigned char from = (unsigned char)*p;
        if (p[1] == '-' && p[2] && p[2] != ']') {
            p += 2;
        }
        found = found || (from <= u && u <= (unsigned char)*p);
    }
    *end = *p ? p + 1 : NULL;
    return found != negated;
}

/* Does the first element of the pattern match c? *next is then what follows it. */
static bool match_one(const char *p, char c, const char **next)
{
    if (*p == '[') {
        const char *end;
        const bool found = in_class(p + 1, c, &end);
        if (end) {
            *next = end;
            return found;
        }
    }
    const bool quoted = *p == '\\' && p[1];
    p += quoted;
    *next = p + 1;
    return (*p == '?' && !quoted) || (*p && *p == c);
}

bool ssh_include_match(const char *pattern, const char *name)
{
    const char *p = pattern, *star = NULL, *after = NULL, *next;
    while (*name) {
        if (*p == '*') {
            star = ++p;
            after = name; /* where the star's part ends next */
        } else if (match_one(p, *name, &next)) {
            p = next;
            name++;
        } else if (star) {
            p = star;
            name = ++after;
        } else {
            return false;
        }
    }
    return p[strspn(p, "*")] == '\0';
}

struct search {
    struct nk_strlist *out;
    size_t most;
    char path[NK_PATH_MAX];
};

static int search(struct search *s, size_t n, const char *rest);

/* The names in the directory path[0..n) that match part; each goes on with rest. */
static int search_names(struct search *s, size_t n, const char *part, const char *rest)
{
    s->path[n] = '\0';
    DIR *dir = opendir(n ? s->path : ".");
    const struct dirent *e;
    int rc = !dir && errno == ENOMEM ? -ENOMEM : 0;
    while (dir && rc == 0 && s->out->n < s->most && (e = readdir(dir)) != NULL) {
        const size_t len = strlen(e->d_name);
        if ((*e->d_name != '.' || *part == '.') && n + len < sizeof(s->path) &&
            ssh_include_match(part, e->d_name)) {
            memcpy(s->path + n, e->d_name, len);
            rc = search(s, n + len, rest);
        }
    }
    if (dir) {
        closedir(dir);
    }
    return rc;
}

/* path[0..n) is found; rest of the pattern follows: slashes and a part. */
static int search(struct search *s, size_t n, const char *rest)
{
    struct stat st;
    char part[NK_PATH_MAX];
    const size_t slashes = strspn(rest, "/"), len = strcspn(rest + slashes, "/");
    if (n + slashes + len >= sizeof(s->path)) {
        return 0;
    }
    memcpy(s->path + n, rest, slashes);
    n += slashes;
    if (len == 0) {
        s->path[n] = '\0';
        return lstat(s->path, &st) == 0 ? nk_strlist_add(s->out, s->path, n) : 0;
    }
    memcpy(part, rest + slashes, len);
    part[len] = '\0';
    if (strpbrk(part, "*?[\\")) {
        return search_names(s, n, part, rest + slashes + len);
    }
    memcpy(s->path + n, part, len);
    return search(s, n + len, rest + slashes + len);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int ssh_include_find(struct nk_strlist *out, const char *pattern, size_t most)
{
    struct search s = {.out = out, .most = most};
    const size_t before = out->n;
    int rc = search(&s, 0, pattern);
    if (out->n > before) {
        qsort(out->v + before, out->n - before, sizeof(*out->v), compare);
    }
    return rc;
}
