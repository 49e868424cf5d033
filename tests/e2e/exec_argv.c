/* SPDX-License-Identifier: MIT */
/* exec_argv PROGRAM [ARG0 [ARG..]]: execute PROGRAM with exactly the given argv, even an empty one.
 */
#define _GNU_SOURCE /* environ */
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2)
        return 125;
    execve(argv[1], argv + 2, environ);
    perror(argv[1]);
    return 126;
}
