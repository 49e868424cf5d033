# SPDX-License-Identifier: MIT
"""Fixtures of the end-to-end tests. NETKIT names the binary (default ./netkit); NK_REQUIRE_PEERS=1
turns a missing peer into a failure instead of a loud skip."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import pathlib

import pytest

import relay_support
import support
from support import missing_peer as missing

sys.path.insert(0, str(support.ROOT / "tests" / "peers"))
import ssh_servers as real_servers  # noqa: E402  (tests/peers is no package)
import tor_network as private_network  # noqa: E402


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # processes of pytest-xdist inherit it
        # netkit leaves ignored what was ignored when it was started, as by nohup; the tests send these
        for number in (signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not os.access(support.NETKIT, os.X_OK):
        pytest.exit(f"{support.NETKIT} is not there: run ./build.sh, or set NETKIT", returncode=2)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """With pytest-xdist (--dist loadgroup) a file's tests run in one process, which shares its fixtures; private Tor
    networks are few: one for the files of onion services, one for the others. These two take longest, so they begin
    first, and next what names itself long."""
    items.sort(key=lambda item: (0 if "tor_network" in item.fixturenames
                                 else 1 if getattr(item.module, "BEGIN_EARLY", False) else 2))
    for item in items:
        shared = item.path.name
        if "tor_network" in item.fixturenames:
            shared = "onion services" if "onion" in shared else "tor"
        item.add_marker(pytest.mark.xdist_group(shared))


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.stats.get("skipped", []):
        terminalreporter.write_line(f"SKIPPED {report.nodeid}: {report.longrepr[2]}", yellow=True)


@pytest.fixture
def work():
    """A private directory (0700) that is gone afterwards; unlike tmp_path it has a short name, which
    unix sockets need."""
    path = tempfile.mkdtemp(prefix="nk-e2e-")
    yield pathlib.Path(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def programs():
    """start(argv, **kw) -> support.Program; whatever still runs afterwards is killed by its pid."""
    started = []

    def start(argv, **kw):
        started.append(support.Program(argv, **kw))
        return started[-1]

    yield start
    for program in reversed(started):
        program.kill()


@pytest.fixture
def relays(programs, work):
    """relays(**kw) -> relay_support.NetkitRelay, each in a directory of its own."""
    made = []

    def start(**kw):
        directory = work / f"relay{len(made)}"
        directory.mkdir()
        made.append(relay_support.NetkitRelay(programs, directory, **kw))
        return made[-1]

    return start


@pytest.fixture
def running():
    """Start `netkit endpoint`; killed afterwards."""
    started = []

    def start(*args, **kw):
        started.append(relay_support.RunningEndpoint(*args, **kw))
        return started[-1]

    yield start
    for program in started:
        program.kill()


@pytest.fixture(scope="session")
def tor_network():
    """A private Tor network that the whole session shares, started by the first test that asks for it (see
    tests/peers/tor_network.py). A test that changes its client's configuration restores it, or takes a client of
    its own: tor_network.tor()."""
    absent = private_network.missing()
    if absent:
        missing(absent)
    with private_network.TorNetwork() as network:
        yield network


@pytest.fixture(scope="session")
def ssh_servers():
    """Real SSH servers that the whole session shares, each started by the first test that asks for it with
    ssh_servers.get(NAME); see tests/peers/ssh_servers.py. A missing one skips its test loudly."""
    absent = real_servers.missing()
    if absent:
        missing(absent)

    class Servers(real_servers.SshServers):
        def start(self, name, lines=()):
            if lacks := real_servers.missing(name):
                missing(lacks)
            return super().start(name, lines)

    with Servers() as servers:
        yield servers


@pytest.fixture(scope="session")
def netkit():
    """The path of the binary."""
    return support.NETKIT


@pytest.fixture(scope="session")
def pid_namespace():
    """The words before a command that make it PID 1 of a namespace of its own."""
    support.need_command("unshare")
    words = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        words.insert(1, "--map-root-user")
    if subprocess.run([*words, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        missing("the right to make a PID namespace")
    return words


@pytest.fixture(scope="session")
def exec_argv(tmp_path_factory):
    """A small program: exec_argv PROGRAM [ARG0 [ARG..]] executes PROGRAM with exactly these
    arguments, also with none at all."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        missing("a C compiler")
    out = tmp_path_factory.mktemp("bin") / "exec_argv"
    source = pathlib.Path(__file__).with_name("exec_argv.c")
    subprocess.run([compiler, "-o", out, source], check=True)
    return out
