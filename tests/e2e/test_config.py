# SPDX-License-Identifier: MIT
"""Every key of netkit.ini works from every place that may set it, and what it says is obeyed."""

import json

import pytest

import support
from relay_support import Bystander, Relay, closed_by_peer
from support import clean_env, run

CONFIG = 78


def all_keys():
    done = run("config", "keys", "--json")
    assert done.returncode == 0, done.stderr
    return [(s, k) for s in json.loads(done.stdout)["sections"] for k in s["keys"]]


KEYS = all_keys()
IDS = [f"{s['section']}.{k['key']}" for s, k in KEYS]
OTHER_VALUE = {
    "bool": lambda k: "yes" if k["default"] == "no" else "no",
    "flag": lambda k: "yes" if k["default"] != "yes" else "no",
    "int": lambda k: str(bound(k, int(k["default"] or 0) + 1)),
    "size": lambda k: "3k",
    "duration": lambda k: "7s",
    "string": lambda k: "some text",
    "path": lambda k: "/some/path",
    "enum": lambda k: [c for c in k["choices"] if c != k["default"]][0] if len(k["choices"]) > 1
    else k["choices"][0],
    "listen": lambda k: "tcp:127.0.0.1:4321",
    "connect": lambda k: "tcp:127.0.0.1:4321",
}


def bound(key, value):
    return max(key.get("min") or value, min(value, key.get("max") or value))


def section_name(section):
    return section["section"] + (" some-name" if section["named"] else "")


def shown(section, key, *args, **kw):
    """The values of a key in `config show`, with their origins."""
    done = run("config", "show", "--json", *args, **kw)
    assert done.returncode == 0, done.stderr
    name = "some-name" if section["named"] else None
    return [(v["value"], v["origin"], v["where"]) for v in json.loads(done.stdout)["values"]
            if (v["section"], v["name"], v["key"]) == (section["section"], name, key["key"])]


@pytest.mark.parametrize("section, key", KEYS, ids=IDS)
def test_key(work, section, key):
    """From the file, from the environment, from -C: each is seen, and the stronger one wins."""
    value = OTHER_VALUE[key["type"]](key)
    want = "***" if key["secret"] else value
    config = work / "netkit.ini"
    head = f"[{section_name(section)}]\n"
    required = "".join(f"{k['key']} = {OTHER_VALUE[k['type']](k)}\n" for k in section["keys"]
                       if k["required"] and k["key"] != key["key"])
    config.write_text(f"{head}{key['key']} = {value}\n{required}", encoding="ascii")
    assert shown(section, key, "-c", config) == [(want, "file", f"{config}:2")]

    config.write_text(head + required, encoding="ascii")
    variable = key["env"].replace("__NAME__", "__SOME_NAME__")
    env = clean_env(**{variable: value})
    assert shown(section, key, "-c", config, env=env) == [(want, "environment", variable)]

    override = f"{section_name(section)}.{key['key']}={value}"
    (found,) = shown(section, key, "-c", config, "-C", override)
    assert found[:2] == (want, "-C")
    (found,) = shown(section, key, "-c", config, "-C", override, env=env)
    assert found[1] == "-C"


@pytest.mark.parametrize("section, key", [(s, k) for s, k in KEYS
                                          if k["type"] in ("int", "size", "duration", "bool", "enum")],
                         ids=[i for i, (s, k) in zip(IDS, KEYS)
                              if k["type"] in ("int", "size", "duration", "bool", "enum")])
def test_wrong_value(work, section, key):
    """Named with its place, wherever it comes from."""
    config = work / "netkit.ini"
    config.write_text(f"[{section_name(section)}]\n{key['key']} = what?\n", encoding="ascii")
    done = run("config", "check", "-c", config)
    assert done.returncode == CONFIG and f"{config}:2: " in done.stderr, done.stderr
    assert key["key"] in done.stderr
    config.write_text(f"[{section_name(section)}]\n", encoding="ascii")
    variable = key["env"].replace("__NAME__", "__SOME_NAME__")
    done = run("config", "check", "-c", config, env=clean_env(**{variable: "what?"}))
    assert done.returncode == CONFIG and variable in done.stderr, done.stderr


def test_shipped_configuration_is_valid_and_complete(work):
    text = run("config", "init").stdout
    config = work / "netkit.ini"
    config.write_text(text, encoding="utf-8")
    assert run("config", "check", "-c", config).returncode == 0
    for section in {s["section"] for s, _ in KEYS}:
        assert f"[{section}" in text, f"[{section}] is not described"


def test_unknown_variables(work):
    """Kubernetes makes NETKIT_RELAY_PORT and the like: ignored; a typing error is not."""
    config = work / "netkit.ini"
    config.write_text("[relay]\n", encoding="ascii")
    quiet = run("config", "check", "-c", config, env=clean_env(
        NETKIT_RELAY_PORT="tcp://10.0.0.1:3000", NETKIT_RELAY_SERVICE_HOST="10.0.0.1"))
    assert quiet.returncode == 0 and "NETKIT" not in quiet.stderr
    loud = run("config", "check", "-c", config, env=clean_env(NETKIT_RELAY__LISEN="tcp::1"))
    assert "NETKIT_RELAY__LISEN" in loud.stderr and "listen" in loud.stderr


# --- what it says is obeyed ------------------------------------------------------------------


@pytest.mark.parametrize("how", ["flag", "env", "file", "override"])
def test_password_file_is_obeyed(programs, work, how):
    """A documented way of setting the password that nobody reads would be an open door."""
    password = work / "password"
    password.write_text("set from just one place 9\n", encoding="ascii")
    password.chmod(0o600)
    config = work / "netkit.ini"
    config.write_text(f"[relay]\npassword_file = {password}\n" if how == "file" else "",
                      encoding="ascii")
    extra = {"flag": ["--password-file", password], "file": ["-c", config],
             "override": ["-C", f"relay.password_file={password}"], "env": []}[how]
    env = clean_env(NETKIT_RELAY__PASSWORD_FILE=str(password)) if how == "env" else None
    relay = Relay(programs, work, *extra, env=env)
    for wrong in ("", "x", "set from just one place 8"):
        with relay.connect() as sock:
            sock.sendall(relay.command("HELLO", None, ("g",), password=wrong))
            assert closed_by_peer(sock)
    relay.password = "set from just one place 9"
    Bystander(relay).close()
    assert relay.program.stop() == 0


def test_listed_groups_only(programs, work):
    """A [group] section closes all other groups; nothing that is added opens one."""
    config = work / "netkit.ini"
    config.write_text("[group bystanders]\n[group one]\nmax_count = 1\n", encoding="ascii")
    relay = Relay(programs, work, "-c", config)
    others = Bystander(relay)
    others.check()
    with relay.endpoint(groups=("one",)) as first:
        first.wait_joined()
        for groups in (("unknown",), ("one",), ("bystanders", "unknown")):
            late = relay.endpoint(groups=groups)
            assert late.closed.wait(support.PATIENCE), groups
    others.close()
    assert relay.program.stop() == 0
