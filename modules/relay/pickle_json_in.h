/* SPDX-License-Identifier: MIT */
/* pickle_json_in - a JSON value as the pickle of the Python object that json.loads would make of
 * it: dict, list, str, int, float, bool, None. Protocol 4, without a memo. */
#ifndef NK_RELAY_PICKLE_JSON_IN_H
#define NK_RELAY_PICKLE_JSON_IN_H

#include "base/buf.h"
#include "base/json_read.h"

#define RELAY_JSON_IN_DEPTH 100 /* levels of nesting */

/* relay_pickle_from_json - append the pickle of v to out. 0, NK_ETOOBIG (nested deeper, or out is
 * full), -ENOMEM; out is unchanged on failure. */
int relay_pickle_from_json(struct nk_buf *out, const struct nk_json_value *v);

#endif
