/* SPDX-License-Identifier: MIT */
/* Which keys a text of authorized_keys has: with options, comments, other forms, and nonsense. */
#include "ssh/copy_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ssh/pubfile.h"
#include "torture.h"

int nk_test_ssh_copy_id(void);

#define ONE "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOnyIl6eSRBIV8UuzQdBDsqtjPgDJindFAgX6Uv0Bl8S"
#define TWO "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILzRh9Tl2rvkMCR3bOAkZi5hbD8GkoYcZJdB9xkLQLz9"

static void key(struct ssh_copy_key *k, const char *line)
{
    struct ssh_pubfile f;
    nk_buf_init(&k->blob, SSH_BLOB_MAX);
    nk_buf_init(&k->line, SSH_BLOB_MAX);
    assert_int_equal(ssh_pubfile_parse(line, strlen(line), &f, NULL), 0);
    assert_int_equal(nk_buf_put(&k->blob, nk_buf_ptr(&f.blob), nk_buf_len(&f.blob)), 0);
    ssh_pubfile_clear(&f);
}

static void clear(struct ssh_copy_key *k)
{
    nk_buf_clear(&k->blob);
    nk_buf_clear(&k->line);
}

/* How many of ONE and TWO the text lacks, and which. */
static void expect(const char *text, bool one, bool two)
{
    struct ssh_copy_key k[2];
    key(&k[0], ONE);
    key(&k[1], TWO);
    assert_int_equal(ssh_copy_id_look(text, strlen(text), k, 2), one + two);
    assert_int_equal(k[0].added, one);
    assert_int_equal(k[1].added, two);
    clear(&k[0]);
    clear(&k[1]);
}

static void test_texts(void **state)
{
    (void)state;
    expect("", true, true);
    expect(ONE "\n", false, true);
    expect(ONE, false, true);
    expect(ONE " me@here\r\n" TWO " you\n", false, false);
    expect("# " ONE "\n", true, true);
    expect("\n\n  \n" TWO "\n", true, false);
    expect("restrict,command=\"echo a b\" " ONE " me\n", false, true);
    expect("nonsense\nssh-ed25519 ****\n" TWO, true, false);
    expect("ssh-ed25519 AAAA\n", true, true);
    struct ssh_copy_key k[2];
    key(&k[0], ONE);
    key(&k[1], ONE); /* given twice: once is enough */
    assert_int_equal(ssh_copy_id_look(NULL, 0, k, 2), 1);
    assert_true(k[0].added && !k[1].added);
    clear(&k[0]);
    clear(&k[1]);
}

static int look(void *arg)
{
    struct ssh_copy_key *k = arg;
    int rc = ssh_copy_id_look(TWO "\n" ONE "\n", 2 * sizeof(ONE), k, 1);
    return rc > 0 ? 1 : rc;
}

/* Without memory nothing is taken for missing. */
static void test_torture(void **state)
{
    struct ssh_copy_key k;
    (void)state;
    key(&k, ONE);
    nk_torture(look, &k);
    clear(&k);
}

int nk_test_ssh_copy_id(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_torture)};
    return cmocka_run_group_tests_name("ssh/copy_id", tests, NULL, NULL);
}
