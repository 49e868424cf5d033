/* SPDX-License-Identifier: MIT */
/* hs - what other modules may use of the keys of onion services. */
#ifndef NK_HS_HS_H
#define NK_HS_HS_H

#include "hs/apply_cli.h"
#include "hs/auth.h"
#include "hs/auth_cli.h"
#include "hs/changes.h"
#include "hs/client_dir.h"
#include "hs/ctor_dir.h"
#include "hs/format.h"
#include "hs/key.h"
#include "hs/key_cli.h"
#include "hs/legacy.h"
#include "hs/password.h"
#include "hs/place.h"
#include "hs/reread.h"
#include "hs/slug.h"
#include "hs/store.h"
#include "hs/where.h"

#endif
