#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Twisted Conch as a server for tests: one account, commands, SFTP, forwards. Started by ssh_servers.py."""

import argparse
import os
import pathlib
import sys
import warnings

warnings.simplefilter("ignore")  # old ciphers that are deprecated

# pylint: disable=wrong-import-position
from twisted.conch import avatar, interfaces, unix  # noqa: E402
from twisted.conch.checkers import InMemorySSHKeyDB, SSHPublicKeyChecker  # noqa: E402
from twisted.conch.ssh import factory, filetransfer, forwarding, keys, session  # noqa: E402
from twisted.cred import checkers, portal  # noqa: E402
from twisted.internet import reactor  # noqa: E402
from twisted.python import components, filepath, log  # noqa: E402
from zope.interface import implementer  # noqa: E402


class Account(avatar.ConchUser):
    """The one user. Everything runs as the user of the test."""

    def __init__(self, home):
        super().__init__()
        self.home = home
        self.listeners = {}
        self.channelLookup.update({b"session": session.SSHSession,
                                   b"direct-tcpip": forwarding.openConnectForwardingClient})
        self.subsystemLookup[b"sftp"] = filetransfer.FileTransferServer

    def getHomeDir(self):  # noqa: N802
        return filepath.FilePath(self.home)

    def getUserGroupId(self):  # noqa: N802
        return os.getuid(), os.getgid()

    def _runAsUser(self, f, *args, **kw):  # noqa: N802
        calls = f if isinstance(f, (list, tuple)) else [(f, args, kw)]
        result = None
        for call in calls:
            function, *rest = call
            result = function(*(rest[0] if rest else ()), **(rest[1] if len(rest) > 1 else {}))
        return result

    def global_tcpip_forward(self, data):
        host, port = forwarding.unpackGlobal_tcpip_forward(data)
        listener = reactor.listenTCP(
            port, forwarding.SSHListenForwardingFactory(self.conn, (host, port), forwarding.SSHListenServerForwardingChannel),
            interface=host.decode() if isinstance(host, bytes) else host)
        self.listeners[(host, port)] = listener
        if port == 0:
            return 1, listener.getHost().port.to_bytes(4, "big")
        return 1

    def global_cancel_tcpip_forward(self, data):
        listener = self.listeners.pop(forwarding.unpackGlobal_tcpip_forward(data), None)
        if not listener:
            return 0
        listener.stopListening()
        return 1

    def logout(self):
        for listener in self.listeners.values():
            listener.stopListening()


@implementer(interfaces.ISession)
class Commands:
    """Commands of a session, run by a shell."""

    def __init__(self, user):
        self.user, self.process = user, None

    def execCommand(self, proto, command):  # noqa: N802
        self.process = reactor.spawnProcess(proto, "/bin/sh", ["/bin/sh", "-c", command], os.environ, self.user.home)

    def openShell(self, proto):  # noqa: N802
        self.process = reactor.spawnProcess(proto, "/bin/sh", ["-sh"], os.environ, self.user.home)

    def getPty(self, term, size, attrs):  # noqa: N802
        raise NotImplementedError("no terminals here")

    def windowChanged(self, size):  # noqa: N802
        pass

    def eofReceived(self):  # noqa: N802
        if self.process:
            self.process.closeStdin()

    def closed(self):
        if self.process and self.process.pid:
            self.process.loseConnection()


components.registerAdapter(Commands, Account, interfaces.ISession)
components.registerAdapter(unix.SFTPServerForUnixConchUser, Account, interfaces.ISFTPServer)


@implementer(portal.IRealm)
class Realm:
    """Whoever is logged in is the one user."""

    def __init__(self, home):
        self.home = home

    def requestAvatar(self, _name, _mind, *_interfaces):  # noqa: N802
        user = Account(self.home)
        return interfaces.IConchUser, user, user.logout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host-key", action="append", required=True)
    for name in ("user", "password", "authorized-keys", "home"):
        parser.add_argument("--" + name, required=True)
    args = parser.parse_args()
    os.chdir(args.home)
    log.startLogging(sys.stderr, setStdout=False)
    lines = pathlib.Path(args.authorized_keys).read_text(encoding="ascii").splitlines()
    accepted = InMemorySSHKeyDB({args.user.encode(): [keys.Key.fromString(line) for line in lines]})
    passwords = checkers.InMemoryUsernamePasswordDatabaseDontUse(**{args.user: args.password.encode()})
    server = factory.SSHFactory()
    server.portal = portal.Portal(Realm(args.home), [SSHPublicKeyChecker(accepted), passwords])
    host = [keys.Key.fromFile(path) for path in args.host_key]
    server.privateKeys = {key.sshType(): key for key in host}
    server.publicKeys = {key.sshType(): key.public() for key in host}
    reactor.listenTCP(args.port, server, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
