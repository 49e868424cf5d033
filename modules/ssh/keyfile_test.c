/* SPDX-License-Identifier: MIT */
#include "ssh/keyfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "ssh/key_testkit.h"
#include "ssh/pubfile.h"
#include "torture.h"

/* A new folder; its path. */
static char *begin(char folder[64])
{
    snprintf(folder, 64, "/tmp/nk-keyfile-XXXXXX");
    return mkdtemp(folder);
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[NK_PATH_MAX];
    assert_int_equal(nk_path_join(path, sizeof(path), folder, name), 0);
    assert_int_equal(nk_file_write(path, 0, text, strlen(text), NULL), 0);
}

static int open_key(const char *name, struct nk_secret *passphrase, struct nk_diag *diag)
{
    struct ssh_private *k = NULL;
    int rc = ssh_keyfile_open(name, passphrase, true, 0, &k, diag);
    ssh_private_unref(k);
    return rc;
}

static void places(void **state)
{
    (void)state;
    char folder[64], path[NK_PATH_MAX], fd_name[32];
    struct nk_diag diag;
    struct nk_secret pass = {0};
    assert_non_null(begin(folder));
    put(folder, "nk-test-key", ssh_key_samples[0].text);
    put(folder, "locked", ssh_key_samples[1].text);
    assert_int_equal(nk_path_join(path, sizeof(path), folder, "nk-test-key"), 0);
    assert_int_equal(open_key(path, NULL, &diag), 0);
    /* a credential has no path */
    assert_int_equal(open_key("nk-test-key", NULL, &diag), -ENOENT);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    assert_int_equal(open_key("nk-test-key", NULL, &diag), 0);
    unsetenv("CREDENTIALS_DIRECTORY");
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    snprintf(fd_name, sizeof(fd_name), "fd:%d", fileno(f));
    assert_int_equal(open_key(fd_name, NULL, &diag), 0);
    fclose(f);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(open_key(path, NULL, &diag), NK_EBADMODE);
    assert_int_equal(nk_path_join(path, sizeof(path), folder, "locked"), 0);
    assert_int_equal(open_key(path, NULL, &diag), NK_EUSAGE);
    assert_non_null(strstr(diag.text, path));
    assert_int_equal(nk_secret_set(&pass, "wrong", 5), 0);
    assert_int_equal(open_key(path, &pass, &diag), NK_EAUTH);
    assert_int_equal(nk_secret_set(&pass, "secret", 6), 0);
    assert_int_equal(open_key(path, &pass, &diag), 0);
    nk_secret_clear(&pass);
    assert_int_equal(nk_remove_tree(folder), 0);
}

static void certificate_beside(void **state)
{
    (void)state;
    char folder[64], path[NK_PATH_MAX];
    struct nk_diag diag;
    assert_non_null(begin(folder));
    put(folder, "key", ssh_key_samples[0].text);
    put(folder, "key-cert.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f");
    assert_int_equal(nk_path_join(path, sizeof(path), folder, "key"), 0);
    assert_int_equal(open_key(path, NULL, &diag), NK_EFORMAT);
    assert_non_null(strstr(diag.text, "no certificate"));
    assert_int_equal(nk_remove_tree(folder), 0);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* A key, and one with a passphrase. */
static int open_both(void *arg)
{
    const char *folder = arg;
    char path[NK_PATH_MAX];
    struct nk_diag diag;
    struct nk_secret pass = {0};
    int rc = nk_path_join(path, sizeof(path), folder, "key");
    rc = rc < 0 ? rc : open_key(path, NULL, &diag);
    rc = rc < 0 ? rc : nk_path_join(path, sizeof(path), folder, "locked");
    rc = rc < 0 ? rc : nk_secret_set(&pass, "secret", 6);
    rc = rc < 0 ? rc : open_key(path, &pass, &diag);
    nk_secret_clear(&pass);
    return rc;
}

static void without_memory(void **state)
{
    (void)state;
    char folder[64];
    assert_non_null(begin(folder));
    put(folder, "key", ssh_key_samples[0].text);
    put(folder, "locked", ssh_key_samples[1].text);
    assert_true(nk_torture(open_both, folder) > 10);
    assert_int_equal(nk_remove_tree(folder), 0);
}

int nk_test_ssh_keyfile(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),
        cmocka_unit_test(certificate_beside),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("ssh/keyfile", tests, NULL, NULL);
}
