/* SPDX-License-Identifier: MIT */
/*
 * Stands in for libFuzzer's main: runs a fuzz target over the files of the directories named on the
 * command line, and over mutations of each that are the same in every run. Without a corpus the
 * target still gets short inputs of every byte value.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1u << 20)
#define MUTATIONS 200

/* xorshift64 (Marsaglia 2003): a fixed sequence is wanted here, not a good one */
static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The input is copied to an allocation of its exact size, so that reading past it is caught. */
static void run_exact(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t mutate(uint8_t *data, size_t size, uint64_t *state)
{
    size_t at = (size_t)(next(state) % size);
    switch (next(state) % 4) {
    case 0:
        data[at] ^= (uint8_t)(1u << next(state) % 8);
        return size;
    case 1:
        data[at] = (uint8_t)next(state);
        return size;
    case 2:
        return at; /* truncate */
    default:
        memmove(data + at, data + at + 1, size - at - 1);
        return size - 1;
    }
}

static void run_with_mutations(const uint8_t *data, size_t size)
{
    uint64_t state = 0x9e3779b97f4a7c15u ^ size;
    uint8_t *work = malloc(size ? size : 1);
    if (!work) {
        abort();
    }
    run_exact(data, size);
    for (int i = 0; i < MUTATIONS && size > 0; i++) {
        memcpy(work, data, size);
        size_t n = mutate(work, size, &state);
        for (uint64_t more = next(&state) % 3; more > 0 && n > 0; more--) {
            n = mutate(work, n, &state);
        }
        run_exact(work, n);
    }
    free(work);
}

static int run_file(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
        return -1;
    }
    uint8_t *data = malloc(INPUT_MAX);
    if (!data) {
        abort();
    }
    run_with_mutations(data, fread(data, 1, INPUT_MAX, f));
    free(data);
    return fclose(f);
}

static int run_dir(const char *dir, unsigned *count)
{
    struct dirent *entry;
    DIR *d = opendir(dir);
    int rc = 0;
    if (!d) {
        return errno == ENOENT ? 0 : -1;
    }
    while ((entry = readdir(d)) && rc == 0) {
        if (entry->d_name[0] != '.') {
            rc = run_file(dir, entry->d_name);
            ++*count;
        }
    }
    closedir(d);
    return rc;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    if (sodium_init() < 0) {
        return 70;
    }
    run_exact((const uint8_t *)"", 0);
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t data[4] = {(uint8_t)byte, (uint8_t)byte, 0, 0xff};
        for (size_t size = 1; size <= sizeof(data); size++) {
            run_exact(data, size);
        }
    }
    for (int i = 1; i < argc; i++) {
        if (run_dir(argv[i], &count) != 0) {
            return 1;
        }
    }
    fprintf(stderr, "%s: %u files\n", argv[0], count);
    return 0;
}
