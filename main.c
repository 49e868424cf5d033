/* SPDX-License-Identifier: MIT */
/* netkit's entry: base/cli.h does the work, core lends it what needs the operating system. */
#include <unistd.h>

#include "base/cli.h"

int main(int argc, char **argv)
{
    const struct nk_cli_hooks hooks = {0};
    /* not exit(): that would join threads that may hang in a resolver */
    _exit(nk_cli_main(argc, argv, &hooks));
}
