# SPDX-License-Identifier: MIT
"""netkit tor conf: options of a running tor, checked before they are sent."""

import contextlib
import json
import signal
import subprocess
import sys

import pytest

from support import NETKIT, Program, ROOT, check_error, missing_peer, run

sys.path.insert(0, str(ROOT / "tests/peers"))
import tor_offline  # noqa: E402


class Conf:
    """A tor without network that has one onion service, and `netkit tor conf` for it."""

    def __init__(self, tor, dirs):
        self.tor, self.dirs = tor, dirs

    def args(self, *args):
        return ["tor", "conf", *args, "--control", str(self.tor.base / "control")]

    def __call__(self, *args, **kw):
        return run(*self.args(*args), **kw)

    def ok(self, *args, **kw):
        done = self(*args, **kw)
        assert done.returncode == 0, (args, done.returncode, done.stderr)
        return done.stdout

    def options(self, *args, **kw):
        return json.loads(self.ok("--json", *args, **kw))["options"]

    def get(self, name):
        """What tor itself says, asked without netkit."""
        return self.tor.control.command(f"GETCONF {name}")


@contextlib.contextmanager
def started(dirs):
    if not tor_offline.TOR:
        missing_peer("the program tor")
    dirs.chmod(0o700)
    with tor_offline.OfflineTor(dirs, services=[dirs / "web"]) as tor:
        yield Conf(tor, dirs)


@pytest.fixture(name="conf")
def _conf(tmp_path):
    with started(tmp_path) as conf:
        yield conf


@pytest.fixture(name="shared", scope="module")
def _shared(tmp_path_factory):
    """For tests that do not mind which options others have set."""
    with started(tmp_path_factory.mktemp("shared")) as conf:
        yield conf


# One option of each type that tor 0.4.9 has: what is given, what tor has then, what is printed, JSON.
TYPES = [
    ("SafeSocks", "yes", "1", "1", True),
    ("ClientPreferIPv6ORPort", "auto", "auto", "auto", "auto"),
    ("ClientPreferIPv6ORPort", "on", "1", "1", True),
    ("MaxClientCircuitsPending", "64", "64", "64", 64),
    ("PathBiasCircThreshold", "-1", "-1", "-1", -1),
    ("MaxCircuitDirtiness", "5 minutes", "300", "5 minutes", 300),
    ("MaxCircuitDirtiness", "1.5 hours", "5400", "90 minutes", 5400),
    ("BandwidthRate", "1.5 MB", "1572864", "1536 KB", 1572864),
    ("PathsNeededToBuildCircuits", "0.75", "0.750000", "0.750000", 0.75),
    ("ExitNodes", "{de},$" + "A" * 40, "{de},$" + "A" * 40, "{de},$" + "A" * 40, ["{de}", "$" + "A" * 40]),
    ("LongLivedPorts", "21,22", "21,22", "21,22", ["21", "22"]),
    ("ContactInfo", 'a "quoted" back\\slash # hash', '"a \\"quoted\\" back\\\\slash # hash"',
     '"a \\"quoted\\" back\\\\slash # hash"', 'a "quoted" back\\slash # hash'),
    ("ContactInfo", " lead", " lead", '" lead"', " lead"),
    ("ContactInfo", "utf é", '"utf \\303\\251"', "utf é", "utf é"),
    ("GeoIPFile", "/nonexistent/geoip", "/nonexistent/geoip", "/nonexistent/geoip", "/nonexistent/geoip"),
    ("Log", "err stderr", "err stderr", "err stderr", "err stderr"),
    ("DNSPort", "0", "0", "0", "0"),
    ("LogTimeGranularity", "2 seconds", "2000", "2 seconds", 2000),
]


@pytest.mark.parametrize("name,given,kept,shown,typed", TYPES)
def test_types(shared, name, given, kept, shown, typed):
    done = shared("set", f"{name.lower()}={given}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{name} {shown}\n"
    assert "not saved" in done.stderr
    assert shared.get(name) == [f"{name}={kept}"]
    option = shared.options("get", name)
    assert [(o["name"], o["set"], o["value"]) for o in option] == [(name, True, typed)]
    assert shared.ok("get", "--raw", name).rstrip("\n") == (typed if isinstance(typed, str) else kept)
    # what is printed can stand in a torrc
    shared.ok("load", "-", input=shared.tor.torrc.read_text() + done.stdout.replace("Log err", "#Log err"))


def test_units_of_ours(shared):
    assert shared.ok("set", "-q", "MaxCircuitDirtiness=90m", "BandwidthRate=80KiB") == (
        "MaxCircuitDirtiness 90 minutes\nBandwidthRate 80 KB\n")
    assert shared.get("BandwidthRate") == ["BandwidthRate=81920"]


@pytest.mark.parametrize("given,words", [
    ("SafeSocks=perhaps", ["SafeSocks", "'perhaps'", "0 or 1"]),
    ("MaxCircuitDirtiness=1 year", ["minute, hour"]),
    ("BandwidthRate=many", ["KB, MB"]),
    ("MaxClientCircuitsPending=-1", ["whole number"]),
    ("PathsNeededToBuildCircuits=nan", ["0.75"]),
    ("ExitNodes={xyz}", ["{country}"]),
    ("MaxCircuitDirtiness=", ["conf reset MaxCircuitDirtiness"]),
    ("HiddenServiceOptions=x", ["list of others"]),
    ("MaxCircuitDirtines=1", ["did you mean MaxCircuitDirtiness?"]),
    ("sockport=1", ["did you mean SocksPort?"]),
    ("ContactInfo", ["write ContactInfo=VALUE"]),
])
def test_refused_before_sending(shared, given, words):
    before = shared.get("ContactInfo MaxCircuitDirtiness")
    check_error(shared("set", "ContactInfo=changed", given), 2, *words)
    assert shared.get("ContactInfo MaxCircuitDirtiness") == before


def test_refused_by_tor(conf):
    check_error(conf("set", "ContactInfo=changed", "MaxClientCircuitsPending=0"), 2, "(513 ", "between 1 and 1024")
    assert conf.get("ContactInfo") == ["ContactInfo"]  # all or nothing
    check_error(conf("set", "DataDirectory=/nonexistent"), 77, "(553 ", "restart tor")
    check_error(conf("set", "HiddenServicePort=80", "--replace"), 2, "(513 ")
    assert conf.get("HiddenServiceOptions")[0] == f"HiddenServiceDir={conf.dirs / 'web'}"


def test_nothing_gets_out_of_its_value(conf):
    value = 'x"\r\nSETCONF Nickname=evil\nContactInfo=y'
    conf.ok("set", f"ContactInfo={value}")
    assert conf.get("Nickname") == ["Nickname"]
    assert conf.options("get", "ContactInfo")[0]["value"] == value
    assert "\n" not in conf.ok("get", "ContactInfo").rstrip("\n")


def test_get(conf):
    assert conf.ok("get", "contactinfo", "exitnodes") == '# ContactInfo is not set\nExitNodes ""\n'
    unset, empty = conf.options("get", "contactinfo", "exitnodes")
    assert unset == {"name": "ContactInfo", "type": "String", "set": False, "value": None}
    assert empty == {"name": "ExitNodes", "type": "RouterList", "set": True, "value": []}
    everything = conf.ok("get")
    assert "DisableNetwork 1\n" in everything and f"HiddenServiceDir {conf.dirs / 'web'}\n" in everything
    assert {o["name"]: o["value"] for o in conf.options("get")}["DisableNetwork"] is True
    check_error(conf("get", "Nosuch", "SocksPort"), 2, "no option 'Nosuch'")


def test_lists_and_services(conf):
    web, more = conf.dirs / "web", conf.dirs / "more"
    services = [f"HiddenServiceDir={more}", "HiddenServicePort=81 127.0.0.1:9"]
    check_error(conf("set", *services), 2, f"end the onion service in {web}", "--append")
    assert conf.ok("set", "-q", "--append", *services) == (
        f"HiddenServiceDir {web}\nHiddenServicePort 80 127.0.0.1:9\n"
        f"HiddenServiceDir {more}\nHiddenServicePort 81 127.0.0.1:9\n")
    assert (more / "hostname").exists()
    both = [f"HiddenServiceDir={web}", "HiddenServicePort=82", *services]
    conf.ok("set", *both)  # nothing is lost: no word is needed
    assert conf.get("HiddenServicePort") == ["HiddenServicePort=82", "HiddenServicePort=81 127.0.0.1:9"]
    conf.ok("set", "--replace", *services)
    assert conf.get("HiddenServiceDir") == [f"HiddenServiceDir={more}"]
    before = len(conf.get("Log"))
    conf.ok("set", "--append", "Log=err stderr")
    assert len(conf.get("Log")) == before + 1
    check_error(conf("set", "ContactInfo=a", "ContactInfo=b"), 2, "twice")
    sent = conf.ok("set", "--dry-run", "--append", "Log=warn stderr")
    assert sent.startswith('SETCONF Log="notice stdout"') and sent.endswith('Log="warn stderr"\n')
    assert len(conf.get("Log")) == before + 1


def test_reset(conf):
    conf.ok("set", "MaxCircuitDirtiness=5m", "ContactInfo=x")
    assert conf.ok("reset", "-q", "maxcircuitdirtiness", "ContactInfo=y") == (
        "MaxCircuitDirtiness 10 minutes\nContactInfo y\n")
    check_error(conf("reset", "MaxCircuitDirtiness=x"), 2, "it takes")


def test_save_and_reload(conf):
    conf.ok("set", "ContactInfo=kept # not a comment")
    dry = conf.ok("save", "--dry-run")
    assert f"--- {conf.tor.torrc}\n" in dry and '+ContactInfo "kept # not a comment"\n' in dry
    assert "ContactInfo" not in conf.tor.torrc.read_text()
    assert conf.ok("save") == f"tor has written {conf.tor.torrc}\n"
    assert json.loads(conf.ok("save", "--json")) == {"schema": 1, "file": str(conf.tor.torrc)}
    conf.ok("set", "ContactInfo=only set")
    conf.tor.reload()  # what was only set is gone, what was saved is there
    assert conf.options("get", "ContactInfo")[0]["value"] == "kept # not a comment"


def test_load(conf, tmp_path):
    torrc = tmp_path / "new"
    torrc.write_text(conf.tor.torrc.read_text() + "\n# comment\nContactInfo loaded\nSafeSocks perhaps\n")
    line = len(torrc.read_text().splitlines())
    check_error(conf("load", torrc), 2, f"{torrc}:{line}: SafeSocks: 'perhaps'")
    torrc.write_text(torrc.read_text().replace("SafeSocks perhaps", "SafeSock 1"))
    check_error(conf("load", torrc), 2, f"{torrc}:{line}: tor has no option 'SafeSock'", "did you mean SafeSocks?")
    torrc.write_text(torrc.read_text().replace("SafeSock 1", "SafeSocks 1"))
    conf.ok("load", "--dry-run", torrc)
    assert conf.get("SafeSocks") == ["SafeSocks=0"]
    conf.ok("load", torrc)
    assert conf.get("SafeSocks ContactInfo") == ["SafeSocks=1", "ContactInfo=loaded"]
    check_error(conf("load", "-", input="DataDirectory /nonexistent\n"), 77, "(553 ")
    check_error(conf("load", tmp_path / "nosuch"), 1, "nosuch")


def test_keys(conf):
    keys = {o["name"]: o for o in conf.options("keys")}
    assert len(keys) > 350
    assert keys["MaxCircuitDirtiness"]["type"] == "TimeInterval"
    assert keys["MaxCircuitDirtiness"]["default"] == 600 and keys["MaxCircuitDirtiness"]["unit"] == "s"
    assert keys["SocksPort"]["list"] and not keys["ContactInfo"]["list"]
    assert "seconds" in keys["MaxCircuitDirtiness"]["takes"]
    assert {o["type"] for o in keys.values()} == {
        "Boolean", "Boolean+Auto", "Integer", "SignedInteger", "TimeInterval", "TimeMsecInterval", "DataSize", "Float",
        "RouterList", "CommaList", "String", "Filename", "LineList", "Dependent", "Virtual"}
    table = conf.ok("keys", "circuitdirt").split()
    assert table == ["MaxCircuitDirtiness", "TimeInterval", "10", "minutes"]
    assert all(o["type"] == "Float" for o in conf.options("keys", "--type", "float"))
    assert conf("keys", "nothinglikethat").returncode == 1


class Following:
    """`netkit tor conf get --follow` and what it prints."""

    def __init__(self, conf, *args):
        self.program = Program([NETKIT, *conf.args(*args)], stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.program.alive():
            self.program.proc.send_signal(signal.SIGTERM)
            assert self.program.wait() == 128 + signal.SIGTERM
        self.program.proc.stdout.close()

    def line(self):
        return self.program.proc.stdout.readline().decode().rstrip("\n")


def test_follow(conf):
    conf.ok("set", "ContactInfo=before")
    with Following(conf, "get", "--follow", "--raw", "ContactInfo") as watch:
        assert watch.line() == "before"
        conf.tor.control.command('SETCONF ContactInfo="a  \\"b" SafeSocks=1')
        assert watch.line() == 'a  "b'
    with Following(conf, "get", "--follow", "--json", "-n", "2", "SafeSocks", "MaxCircuitDirtiness") as watch:
        while watch.line() != "}":
            pass
        conf.tor.control.command("SETCONF SafeSocks=0 MaxCircuitDirtiness=700")
        changes = [json.loads(watch.line()), json.loads(watch.line())]
        assert {c["name"]: c["value"] for c in changes} == {"SafeSocks": False, "MaxCircuitDirtiness": 700}
        assert watch.program.wait() == 0
