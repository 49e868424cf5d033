/* SPDX-License-Identifier: MIT */
/* tor - what other modules may use of the Tor controller. */
#ifndef TOR_TOR_H
#define TOR_TOR_H

#include "tor/cli.h"
#include "tor/client_auth.h"
#include "tor/conn.h"
#include "tor/control.h"
#include "tor/instance.h"
#include "tor/progress.h"
#include "tor/wire.h"

#endif
