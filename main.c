/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <sodium.h>

#include "base/build_info.h"

int main(void)
{
    if (sodium_init() < 0) {
        fputs("netkit: the cryptographic library cannot start\n", stderr);
        return 70;
    }
    printf("netkit %s\nbuild %s (%s, %s, %s)\n", nk_build_info.version, nk_build_info.build_id,
           nk_build_info.mode, nk_build_info.compiler, nk_build_info.libc);
    for (const struct nk_build_lib *lib = nk_build_info.libs; lib->name; lib++) {
        printf("%s %s\n", lib->name, lib->version);
    }
    return fflush(stdout) != 0;
}
