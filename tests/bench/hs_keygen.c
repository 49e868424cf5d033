/* SPDX-License-Identifier: MIT */
/* hs_keygen SECONDS: how many keys libsodium makes per second of processor time, each from a seed
 * of its own, as who looks for an address with nothing but a library would. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double cpu_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    const double limit = argc > 1 ? strtod(argv[1], NULL) : 0;
    unsigned char seed[crypto_sign_SEEDBYTES], pub[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret[crypto_sign_SECRETKEYBYTES];
    unsigned long n = 0, hits = 0;
    if (!(limit > 0) || sodium_init() < 0) {
        fputs("usage: hs_keygen SECONDS\n", stderr);
        return 2;
    }
    randombytes_buf(seed, sizeof(seed));
    const double begun = cpu_seconds();
    double now = begun;
    while (now - begun < limit) {
        for (int i = 0; i < 500; i++, n++) {
            sodium_increment(seed, sizeof(seed));
            crypto_sign_seed_keypair(pub, secret, seed);
            hits += pub[0] == 0;
        }
        now = cpu_seconds();
    }
    fprintf(stderr, "%lu of them begin with 'aa' or so\n", hits);
    printf("%.0f\n", (double)n / (now - begun));
    return 0;
}
