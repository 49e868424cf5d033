#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""AsyncSSH as a server for tests: one account, commands, SFTP, forwards. Started by ssh_servers.py."""

import argparse
import asyncio
import os
import subprocess

import asyncssh


class Account(asyncssh.SSHServer):
    """One user with keys and a password; every forward is allowed."""

    def __init__(self, args):
        self.args = args

    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return username == self.args.user and password == self.args.password

    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        return True

    def server_requested(self, listen_host, listen_port):
        return True

    def unix_connection_requested(self, dest_path):
        return True

    def unix_server_requested(self, listen_path):
        return True


async def execute(process, home):
    """A command as sshd runs it, or a shell; its exit status or signal goes back."""
    command = process.command or "/bin/sh"
    child = await asyncio.create_subprocess_shell(command, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                  stderr=subprocess.PIPE)
    # without an EOF of its own: a channel with EOFs both ways is closed before the status could be sent
    await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr, send_eof=False)
    code = await child.wait()
    await process.stdout.drain()
    if code < 0:
        process.exit_with_signal({9: "KILL", 15: "TERM"}.get(-code, "HUP"))
    else:
        process.exit(code)


async def serve(args):
    os.chdir(args.home)
    server = await asyncssh.listen(
        "127.0.0.1", args.port, server_factory=lambda: Account(args), server_host_keys=args.host_key,
        authorized_client_keys=args.authorized_keys, process_factory=lambda p: execute(p, args.home), encoding=None,
        sftp_factory=True)
    await server.wait_closed()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host-key", action="append", required=True)
    for name in ("user", "password", "authorized-keys", "home"):
        parser.add_argument("--" + name, required=True)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
