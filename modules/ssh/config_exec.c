/* SPDX-License-Identifier: MIT */
/* Programs that Match exec names, for those who have asked for that. */
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ssh/config.h"
#include "ssh/config_words.h"

extern char **environ;

/* 0 with *pid, or an errno. */
static int start(char **words, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    int rc = posix_spawn_file_actions_init(&files);
    if (rc != 0) {
        return rc;
    }
    rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    rc = rc != 0
             ? rc
             : posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    rc = rc != 0 ? rc : posix_spawnp(pid, words[0], &files, NULL, words, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

bool ssh_config_exec(void *arg, const char *command)
{
    char *words[SSH_CONFIG_WORDS + 1], *copy = strdup(command);
    int n = copy && !strpbrk(command, "|&;<>()$`*?[]~\n") ? ssh_config_split(copy, words) : -1;
    int rc = EINVAL, status = -1;
    pid_t pid;
    if (n > 0) {
        words[n] = NULL;
        rc = start(words, &pid);
    }
    while (rc == 0 && waitpid(pid, &status, 0) < 0) {
        rc = errno == EINTR ? 0 : errno;
    }
    if (rc != 0) {
        nk_warn((struct nk_log *)arg, "ssh", "Match exec %s: %s", command,
                n > 0 ? nk_strerror(-rc) : "this needs a shell, which is not used");
    }
    free(copy);
    return rc == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
