/* SPDX-License-Identifier: MIT */
/* work_testkit - for tests that cancel jobs: nk_app_free leaves behind what a thread is still in.
 */
#ifndef NK_CORE_WORK_TESTKIT_H
#define NK_CORE_WORK_TESTKIT_H

#include "core/work.h"

/* nk_kit_work_settle - turn the loop until every thread of the lane has let go of what was
 * submitted before, and that was dropped. */
void nk_kit_work_settle(struct nk_app *app, enum nk_lane lane);

#endif
