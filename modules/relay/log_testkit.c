/* SPDX-License-Identifier: MIT */
#include "relay/log_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "relay/log_file.h"

void relay_log_testkit_make(char dir[RELAY_LOG_TESTKIT_DIR])
{
    snprintf(dir, RELAY_LOG_TESTKIT_DIR, "/tmp/netkit-log-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

void relay_log_testkit_remove(const char *dir)
{
    static const char *const suffixes[] = {"log", "bad", "idx", "tmp"};
    int fd = relay_log_dir_open(dir, false, NULL);
    assert_true(fd >= 0);
    for (size_t s = 0; s < sizeof(suffixes) / sizeof(*suffixes); s++) {
        uint64_t *v;
        size_t n;
        assert_int_equal(relay_log_list(fd, suffixes[s], &v, &n), 0);
        for (size_t i = 0; i < n; i++) {
            char name[RELAY_LOG_FILE_NAME];
            relay_log_file_name(name, v[i], suffixes[s]);
            unlinkat(fd, name, 0);
        }
        free(v);
    }
    relay_log_reserve(fd, false);
    relay_log_clean_take(fd);
    close(fd);
    assert_int_equal(rmdir(dir), 0);
}
