/* SPDX-License-Identifier: MIT */
#include "relay/publishers.h"

#include <stdlib.h>
#include <string.h>

uint32_t relay_publisher(struct relay_publishers *p, const char *identity, size_t len)
{
    for (uint32_t i = 0; i < p->n; i++) {
        if (strlen(p->name[i]) == len && memcmp(p->name[i], identity, len) == 0) {
            return i + 1;
        }
    }
    if (p->n >= RELAY_PUBLISHERS_MAX) {
        return 0;
    }
    char **v = realloc(p->name, (p->n + 1) * sizeof(*v));
    if (!v) {
        return 0;
    }
    p->name = v;
    v[p->n] = strndup(identity, len);
    return v[p->n] ? ++p->n : 0;
}

const char *relay_publisher_name(const struct relay_publishers *p, uint32_t number)
{
    return number == 0 || number > p->n ? NULL : p->name[number - 1];
}

void relay_publishers_clear(struct relay_publishers *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        free(p->name[i]);
    }
    free(p->name);
    *p = (struct relay_publishers){0};
}
