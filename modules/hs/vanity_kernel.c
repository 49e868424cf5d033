/* SPDX-License-Identifier: MIT */
#include "hs/vanity_kernel.h"

static const struct hs_vanity_kernel *const kernels[] = {
#ifdef __x86_64__
    &hs_vanity_ifma,
#endif
    &hs_vanity_portable,
};
#define KERNELS (sizeof(kernels) / sizeof(*kernels))

const struct hs_vanity_kernel *hs_vanity_kernel_at(unsigned i)
{
    return i < KERNELS ? kernels[i] : NULL;
}

const struct hs_vanity_kernel *hs_vanity_kernel_best(void)
{
    unsigned i = 0;
    while (i + 1 < KERNELS && !kernels[i]->usable()) {
        i++; /* the last one always is */
    }
    return kernels[i];
}
