/* SPDX-License-Identifier: MIT */
/* What the script says, whole and in pieces; and the script itself, run by the shell here. */
#include "ssh/copy_sh.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

int nk_test_ssh_copy_sh(void);

enum { SIZE = 1000, SAID = 2000 };

/* Feed it in pieces of this size; the step that is reached, and the file in text. */
static enum ssh_copy_sh_step feed(struct ssh_copy_sh *s, const char *said, size_t n, size_t piece,
                                  struct nk_buf *text)
{
    ssh_copy_sh_init(s, SIZE);
    memset(s->token, 'a', sizeof(s->token) - 1);
    nk_buf_init(text, SIZE);
    for (size_t at = 0; at < n; at += piece) {
        size_t some = n - at < piece ? n - at : piece;
        int rc = ssh_copy_sh_feed(s, said + at, some, text);
        while (rc > 0) {
            rc = ssh_copy_sh_feed(s, NULL, 0, text);
        }
        assert_int_equal(rc, 0);
    }
    return s->step;
}

#define TOKEN "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"

static void test_answers(void **state)
{
    static const struct {
        const char *said, *text, *why;
        int step;
    } cases[] = {
        {"", "", "no shell that would do it", SSH_COPY_NOISE},
        {"bash: no\n\n", "", "no shell that would do it: bash: no", SSH_COPY_NOISE},
        {"hello" TOKEN "file\n", "", "cannot write authorized_keys: file", SSH_COPY_TEXT},
        {TOKEN TOKEN, "", "cannot write authorized_keys", SSH_COPY_WRITTEN},
        {"hi\n" TOKEN "a\nb" TOKEN "full\n", "a\nb", "keys: full", SSH_COPY_WRITTEN},
        {TOKEN "a\n" TOKEN TOKEN, "a\n", "", SSH_COPY_WRITTEN + 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (size_t piece = 1; piece < 120; piece++) {
            struct ssh_copy_sh s;
            struct nk_buf text;
            struct nk_diag why;
            assert_int_equal(feed(&s, cases[i].said, strlen(cases[i].said), piece, &text),
                             cases[i].step);
            assert_int_equal(nk_buf_len(&text), strlen(cases[i].text));
            assert_int_equal(nk_buf_u8(&text, 0), 0);
            assert_string_equal((const char *)nk_buf_ptr(&text), cases[i].text);
            assert_int_equal(ssh_copy_sh_why(&s, &why),
                             cases[i].step == SSH_COPY_NOISE ? NK_EUNSUPPORTED : NK_EOUTPUT);
            assert_non_null(strstr(why.text, cases[i].why));
            nk_buf_clear(&text);
            ssh_copy_sh_clear(&s);
        }
    }
}

static void test_too_much(void **state)
{
    struct ssh_copy_sh s;
    struct nk_buf text;
    char much[SIZE + 1];
    (void)state;
    memset(much, 'x', sizeof(much));
    assert_int_equal(feed(&s, much, SIZE, SIZE, &text), SSH_COPY_NOISE);
    assert_int_equal(ssh_copy_sh_feed(&s, much, 1, &text), NK_ETOOBIG);
    nk_buf_clear(&text);
    ssh_copy_sh_clear(&s);
}

static void test_tokens(void **state)
{
    struct ssh_copy_sh a, b;
    (void)state;
    ssh_copy_sh_init(&a, SIZE);
    ssh_copy_sh_init(&b, SIZE);
    assert_int_equal(strlen(a.token), SSH_COPY_TOKEN_SIZE - 1);
    assert_int_equal(strspn(a.token, "0123456789abcdef"), SSH_COPY_TOKEN_SIZE - 1);
    assert_string_not_equal(a.token, b.token);
    assert_null(strpbrk(ssh_copy_sh_command, "\n!")); /* csh's */
    assert_ptr_equal(strchr(strchr(ssh_copy_sh_command, '\'') + 1, '\''),
                     strrchr(ssh_copy_sh_command, '\''));
}

static char *path_of(char *out, const char *home, const char *name)
{
    (void)snprintf(out, 256, "%s/%s", home, name);
    return out;
}

/* Run the command with this on its standard input; what it says. */
static void run(const char *home, const char *input, char said[SAID])
{
    int in[2], out[2], status;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char var[256];
        char *env[] = {var, (char[]){"PATH=/usr/bin:/bin"}, NULL};
        (void)snprintf(var, sizeof(var), "HOME=%s", home);
        (void)dup2(in[0], 0);
        (void)dup2(out[1], 1);
        (void)execle("/bin/sh", "sh", "-c", ssh_copy_sh_command, NULL, env);
        _exit(127);
    }
    assert_true(pid > 0);
    close(in[0]);
    close(out[1]);
    assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
    close(in[1]);
    size_t n = 0;
    for (ssize_t some; n < SAID - 1 && (some = read(out[0], said + n, SAID - 1 - n)) > 0;) {
        n += (size_t)some;
    }
    said[n] = '\0';
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void expect_file(const char *path, const char *text, mode_t mode)
{
    struct nk_buf b;
    struct stat st;
    nk_buf_init(&b, SIZE);
    assert_int_equal(nk_file_read(path, 0, &b, NULL), 0);
    assert_int_equal(nk_buf_len(&b), strlen(text));
    assert_memory_equal(nk_buf_ptr(&b), text, strlen(text));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, mode);
    nk_buf_clear(&b);
}

static void test_script(void **state)
{
    char home[] = "/tmp/nk-copy-sh-XXXXXX", said[SAID], file[256], other[256];
    (void)state;
    assert_non_null(mkdtemp(home));
    run(home, "", said); /* we are gone at once */
    assert_string_equal(said, "");
    run(home, "T\n", said); /* only looked at */
    assert_string_equal(said, "T\nT\n");
    assert_int_equal(access(path_of(file, home, ".ssh"), F_OK), -1);
    run(home, "T\n4\nabc\n", said);
    assert_string_equal(said, "T\nT\nT\n");
    expect_file(path_of(file, home, ".ssh/authorized_keys"), "abc\n", 0600);
    assert_int_equal(chmod(file, 0666), 0);
    run(home, "T\n9\nabc", said); /* the connection was lost on the way */
    assert_string_equal(said, "T\nabc\nT\n");
    run(home, "T\n$(touch x)\nabc", said); /* no number */
    assert_null(strstr(said + 8, "T\n"));
    assert_int_equal(access(path_of(other, home, "x"), F_OK), -1);
    expect_file(file, "abc\n", 0666);
    assert_int_equal(rename(file, path_of(other, home, "elsewhere of it")), 0);
    assert_int_equal(symlink("../elsewhere of it", file), 0);
    run(home, "T\n2\nd\n", said);
    assert_string_equal(said, "T\nabc\nT\nT\n");
    expect_file(other, "abc\nd\n", 0644);
    struct stat st;
    assert_int_equal(lstat(file, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(access(path_of(other, home, "elsewhere of it.nk-T"), F_OK), -1);
    assert_int_equal(nk_remove_tree(home), 0);
}

int nk_test_ssh_copy_sh(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers), cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_tokens), cmocka_unit_test(test_script)};
    return cmocka_run_group_tests_name("ssh/copy_sh", tests, NULL, NULL);
}
