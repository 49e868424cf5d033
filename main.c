/* SPDX-License-Identifier: MIT */
/* netkit's entry: base/cli.h does the work, core lends it what needs the operating system. */
#include <unistd.h>

#include "base/cli.h"
#include "core/launcher.h"
#include "core/registry.h"

int main(int argc, char **argv)
{
    const struct nk_cli_hooks hooks = {
        .launch = nk_launcher_start,
        .launch_end = nk_launcher_free,
        .check_endpoint = nk_endpoint_check,
    };
    /* not exit(): that would join threads that may hang in a resolver */
    _exit(nk_cli_main(argc, argv, &hooks));
}
