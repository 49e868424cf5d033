/* SPDX-License-Identifier: MIT */
#include "relay/password.h"

#include <ctype.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"

#define RANDOM_BYTES 20 /* 160 bits, of which the first 26 base32 digits are kept */
#define RANDOM_DIGITS 26

#define LENGTH_MIN 12       /* shorter ones can be searched whatever they are made of */
#define BITS_MIN 64         /* guessing entropy below which we warn */
#define DISTINCT_MIN 6      /* "aaaaaaaaaaaaaaaa" is long, too */
#define CLASS_LOWER_BITS 47 /* tenths of a bit per character: log2(26) */
#define CLASS_TWO_CASE_BITS 57
#define CLASS_ALNUM_BITS 60
#define CLASS_DIGIT_BITS 33
#define CLASS_ANY_BITS 66

/* Fragments of passwords that guessing programs try first; lower case. */
static const char *const known_words[] = {"password", "passwort", "motdepasse", "123456",
                                          "qwerty",   "azerty",   "letmein",    "changeme",
                                          "secret",   "admin",    "netkit",     "tlspyo"};

static int check_contents(const char *path, const struct nk_secret *pw, struct nk_diag *diag)
{
    if (pw->len > RELAY_PASSWORD_MAX) {
        return nk_fail(diag, NK_ECONFIG, "%s: the password is longer than %d bytes", path,
                       RELAY_PASSWORD_MAX);
    }
    if (memchr(pw->data, '\n', pw->len) || memchr(pw->data, '\0', pw->len)) {
        int code = nk_fail(diag, NK_ECONFIG, "%s: more than one line", path);
        nk_hint(diag, "put the password alone into the file");
        return code;
    }
    if (!nk_utf8_valid(pw->data, pw->len)) {
        return nk_fail(diag, NK_ECONFIG, "%s: the password is not valid UTF-8", path);
    }
    return 0;
}

int relay_password_load(const char *path, struct nk_secret *out, struct nk_diag *diag)
{
    struct nk_secret pw = {0};
    int status = nk_file_read_secret(path, true, &pw, diag);
    if (status == 0) {
        status = check_contents(path, &pw, diag);
    }
    if (status < 0) {
        nk_secret_clear(&pw);
        return status;
    }
    nk_secret_clear(out);
    *out = pw;
    return 0;
}

/* True when the lower-cased password contains word. */
static bool contains_word(const struct nk_secret *pw, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= pw->len; i++) {
        size_t k = 0;
        while (k < n && tolower(pw->data[i + k]) == word[k]) {
            k++;
        }
        if (k == n) {
            return true;
        }
    }
    return false;
}

/* Tenths of a bit that one character of this alphabet is worth. */
static unsigned character_bits(const struct nk_secret *pw)
{
    bool lower = false, upper = false, digit = false, other = false;
    for (size_t i = 0; i < pw->len; i++) {
        uint8_t c = pw->data[i];
        lower |= c >= 'a' && c <= 'z';
        upper |= c >= 'A' && c <= 'Z';
        digit |= c >= '0' && c <= '9';
        other |= !isalnum(c);
    }
    if (other) {
        return CLASS_ANY_BITS;
    }
    if (digit && (lower || upper)) {
        return CLASS_ALNUM_BITS;
    }
    if (lower && upper) {
        return CLASS_TWO_CASE_BITS;
    }
    return digit ? CLASS_DIGIT_BITS : CLASS_LOWER_BITS;
}

static size_t distinct_characters(const struct nk_secret *pw)
{
    bool seen[UINT8_MAX + 1] = {false};
    size_t n = 0;
    for (size_t i = 0; i < pw->len; i++) {
        n += !seen[pw->data[i]];
        seen[pw->data[i]] = true;
    }
    nk_wipe(seen, sizeof(seen));
    return n;
}

const char *relay_password_weakness(const struct nk_secret *pw)
{
    if (pw->len == 0) {
        return "is empty";
    }
    for (size_t i = 0; i < sizeof(known_words) / sizeof(known_words[0]); i++) {
        if (contains_word(pw, known_words[i])) {
            return "contains one of the words that are tried first";
        }
    }
    if (pw->len < LENGTH_MIN) {
        return "has fewer than 12 characters";
    }
    if (distinct_characters(pw) < DISTINCT_MIN) {
        return "repeats a few characters";
    }
    if (pw->len * character_bits(pw) < BITS_MIN * 10) {
        return "has too few characters for the kinds it is made of";
    }
    return NULL;
}

int relay_password_create(const char *path, struct nk_diag *diag)
{
    uint8_t random[RANDOM_BYTES];
    char text[NK_BASE32_SIZE(RANDOM_BYTES)];
    nk_random(random, sizeof(random));
    nk_base32_encode(text, random, sizeof(random));
    text[RANDOM_DIGITS] = '\n';
    int status = nk_file_write(path, 0, text, RANDOM_DIGITS + 1, diag);
    nk_wipe(random, sizeof(random));
    nk_wipe(text, sizeof(text));
    return status;
}
