# SPDX-License-Identifier: MIT
"""What modules/ssh signs with private keys, and has a real ssh-agent sign, is verified by ssh-keygen (tests/peers/
ssh_signer.c)."""

import os
import pathlib
import signal
import subprocess

import pytest

import support
from support import need_command
from test_ssh_guide import compiled
from test_ssh_key import keygen, tool

KEYS = [(["-t", "ed25519"], ["ssh-ed25519"]), (["-t", "ecdsa", "-b", "256"], ["ecdsa-sha2-nistp256"]),
        (["-t", "ecdsa", "-b", "384"], ["ecdsa-sha2-nistp384"]),
        (["-t", "ecdsa", "-b", "521"], ["ecdsa-sha2-nistp521"]),
        (["-t", "rsa", "-b", "2048"], ["rsa-sha2-256", "rsa-sha2-512"])]
MESSAGE = b"what is signed\n" * 100


@pytest.fixture(scope="module")
def signer():
    return compiled("ssh_signer")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Key files and their algorithms."""
    folder = tmp_path_factory.mktemp("keys")
    return [(keygen(folder / algorithms[0], *kind, comment=algorithms[0]), algorithms) for kind, algorithms in KEYS]


@pytest.fixture(scope="module")
def agent(keys, tmp_path_factory):
    """The socket of a real ssh-agent that has all keys."""
    need_command("ssh-agent")
    socket = tmp_path_factory.mktemp("agent") / "an agent, 100%"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        support.wait_until(socket.exists)
        tool("ssh-add", "-q", *[path for path, _ in keys], env=dict(os.environ, SSH_AUTH_SOCK=str(socket)))
        yield socket
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait()


def sign(signer, *args):
    done = subprocess.run([signer, *map(str, args)], input=MESSAGE, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def verify(folder, key, signature, message=MESSAGE):
    (folder / "allowed").write_text("me " + pathlib.Path(f"{key}.pub").read_text())
    (folder / "signature").write_bytes(signature)
    return subprocess.run(["ssh-keygen", "-Y", "verify", "-f", folder / "allowed", "-I", "me", "-n", "test", "-s",
                           folder / "signature"], input=message, capture_output=True, timeout=30).returncode == 0


def test_private_keys(signer, keys, tmp_path):
    for key, algorithms in keys:
        for algorithm in algorithms:
            signature = sign(signer, "key", algorithm, key)
            assert verify(tmp_path, key, signature), algorithm
            assert not verify(tmp_path, key, signature, MESSAGE + b"x")


def test_agent(signer, keys, agent, tmp_path):
    """The session is bound to a host key first, whose signature the agent checks."""
    for key, algorithms in keys:
        for algorithm in algorithms:
            signature = sign(signer, "agent", algorithm, algorithms[0], agent, keys[0][0])
            assert verify(tmp_path, key, signature), algorithm
    done = subprocess.run([signer, "agent", "ssh-ed25519", "nobody", agent, keys[0][0]], input=b"",
                          capture_output=True, text=False, timeout=30)
    assert done.returncode == 1 and b"No such file" in done.stderr
