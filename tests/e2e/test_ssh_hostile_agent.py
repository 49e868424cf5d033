# SPDX-License-Identifier: MIT
"""An ssh-agent that breaks one rule at a time: what is wrong is said, other keys are tried, nothing is kept."""

import pathlib
import resource
import subprocess

import pytest
import support
from cryptography.hazmat.primitives import serialization
from ssh_agent_hostile import FAULTS, HostileAgent
from ssh_hostile import HostileServer

MEMORY = 16 << 20  # bytes that netkit may allocate
SANITIZED_MEMORY = 400  # MiB it may use with AddressSanitizer
SANITIZED = b"__asan_init" in pathlib.Path(support.NETKIT).read_bytes()
FAILED, TIMEOUT = 255, 75

# What is said; None: it does no harm.
EXPECTED = {
    "honest": None,
    "comment": None,
    "gone": "the agent: ",
    "huge": "longer than 262144 bytes",
    "large": "longer than 262144 bytes",
    "zero": "the agent's answer is empty",
    "short": "the agent's answer is malformed",
    "count": "4294967295 keys; at most 2048",
    "many": "keys; at most 2048",
    "empty-key": "",
    "other": "a message of type 14",
    "twice": "does not sign",
    "sign-wrong": "permission denied",
    "sign-name": "did not sign with ssh-ed25519",
    "sign-short": "the agent's answer is malformed",
    "sign-huge": "longer than 262144 bytes",
    "sign-refused": "does not sign",
    "sign-gone": "does not sign",
}
SILENT = ("silent", "sign-silent")


@pytest.fixture(name="login")
def fixture_login(work):
    """login(SERVER, PROGRAM, WORDS..): what becomes of it with the agent at work/agent."""

    def run(server, program, *words):
        (work / "known_hosts").write_text(server.known_hosts_line(), encoding="ascii")
        argv = [support.NETKIT, *program, "-F", "none", "-o", f"UserKnownHostsFile={work}/known_hosts", "-o",
                "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes", "-o", "PreferredAuthentications=publickey",
                *words]
        env = support.clean_env(HOME=str(work), SSH_AUTH_SOCK=str(work / "agent"),
                                ASAN_OPTIONS=f"hard_rss_limit_mb={SANITIZED_MEMORY}")
        limit = None if SANITIZED else lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        # pylint: disable-next=subprocess-popen-preexec-fn
        return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              preexec_fn=limit, timeout=support.PATIENCE, check=False, env=env)

    return run


@pytest.mark.parametrize("fault", sorted(EXPECTED))
def test_fault(login, work, fault):
    words = EXPECTED[fault]
    with HostileServer() as server, HostileAgent(work / "agent", fault):
        done = login(server, ["ssh", "-p", server.port, "-o", "BatchMode=yes"], "me@127.0.0.1", "cat")
        assert done.returncode == (0 if words is None else FAILED) and (words or "") in done.stderr, (done, server.reached)
        assert words is None or "permission denied" in done.stderr
        assert "\x1b" not in done.stderr and "Sanitizer" not in done.stderr and "runtime error" not in done.stderr


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_another_key(login, work, fault):
    """A key in a file that is asked for by name does not need the agent, whatever that does."""
    support.need_command("ssh-keygen")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / "key"], check=True)
    with HostileServer() as server, HostileAgent(work / "agent", fault):
        done = login(server, ["ssh", "-p", server.port, "-o", "BatchMode=yes"], "-i", work / "key", "me@127.0.0.1", "cat")
        assert done.returncode == 0, (done, server.reached)


@pytest.mark.parametrize("named", ["key", "key.pub"])
@pytest.mark.parametrize("fault", ["honest", "sign-wrong", "sign-gone", "gone"])
def test_key_of_a_file_in_the_agent(login, work, fault, named):
    """The agent has the key whose public half is named: it signs, the private half is not needed."""
    support.need_command("ssh-keygen")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / "key"], check=True)
    key = serialization.load_ssh_private_key((work / "key").read_bytes(), None)
    (work / "key").unlink()
    with HostileServer() as server, HostileAgent(work / "agent", fault, key):
        done = login(server, ["ssh", "-p", server.port, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"], "-i", work / named,
                     "me@127.0.0.1", "cat")
        assert done.returncode == (0 if fault == "honest" else FAILED), (done, server.reached)
        assert (fault == "gone") == ("nobody has the private half" in done.stderr), done.stderr


@pytest.mark.parametrize("fault", SILENT)
def test_silence(login, work, fault):
    """Whoever waits for it does so no longer than is allowed."""
    with HostileServer() as server, HostileAgent(work / "agent", fault):
        done = login(server, ["sftp", "get", "--timeout", "500ms", "--no-input", "-P", server.port], "me@127.0.0.1:x", work / "x")
        assert done.returncode == TIMEOUT and "time allowed" in done.stderr, done


def test_every_fault_is_tried():
    assert set(FAULTS) == set(EXPECTED) | set(SILENT)
