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


async def carry(source, sink):
    """Everything from one to the other; who does not read any more ends it."""
    try:
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    except (OSError, asyncssh.Error):
        pass


async def feed(source, sink):
    await carry(source, sink)
    sink.close()


async def execute(process, home):
    """A command as sshd runs it, or a shell. Its exit status or signal goes back behind all that it wrote: with
    process.redirect the channel gets EOFs both ways and may be closed before."""
    command = process.command or "/bin/sh"
    child = await asyncio.create_subprocess_shell(command, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                  stderr=subprocess.PIPE)
    stdin = asyncio.ensure_future(feed(process.stdin, child.stdin))
    await asyncio.gather(carry(child.stdout, process.stdout), carry(child.stderr, process.stderr))
    code = await child.wait()
    stdin.cancel()
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
