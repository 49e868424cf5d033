# SPDX-License-Identifier: MIT
"""README.md as somebody reads it who is new: what it names is there, and what can be pasted works."""

import functools
import re
import shlex
import subprocess

import pytest

import support
from test_native_faults import Net

README = (support.ROOT / "README.md").read_text(encoding="utf-8")


def pasted():
    """The indented lines that begin with ./netkit or feed it, without comments, continued lines in one."""
    text = re.sub(r"\\\n\s*", "", README)
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return [re.split(r"\s+#", line)[0] for line in lines if re.match(r"(echo .*\| )?\./netkit ", line)]


def block(first):
    """The pasted lines from the one that begins so to the end of its paragraph."""
    paragraph = README[README.index("\n    " + first) + 1:].split("\n\n")[0]
    own = re.sub(r"\\\n\s*", "", paragraph).splitlines()
    return [re.split(r"\s+#", line.strip())[0] for line in own]


@functools.lru_cache
def options_of(words):
    text = support.run("help", *words).stdout + support.run("help", "options").stdout
    return set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", text))


COMMANDS = {tuple(line.split("  ")[0].split()) for line in support.run("list").stdout.splitlines()}


def command_of(words):
    return next((tuple(words[:n]) for n in (3, 2, 1) if tuple(words[:n]) in COMMANDS), None)


@pytest.mark.parametrize("line", pasted())
def test_every_command_and_option_is_known(line):
    words = shlex.split(line[line.index("./netkit") + len("./netkit"):].split(">")[0])
    command = command_of(words)
    assert command or words[0] == "help", line
    if words[0] in ("help", "ssh"):  # the words after ssh are OpenSSH's: test_ssh*.py has them
        return
    own = words[len(command):]
    own = own[:own.index("--")] if "--" in own else own
    known = options_of(command)
    for word in own:
        option = word.split("=")[0]
        if re.match(r"--?[A-Za-z]", option):
            assert option in known, (line, option)


def test_what_it_names_is_there():
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (support.ROOT / link).exists(), link
    layout = README.split("## Layout")[1].split("\n\n")[1]
    named = {line.split()[0] for line in layout.splitlines()}
    assert all((support.ROOT / name).exists() for name in named)
    modules = {f"modules/{p.name}" for p in (support.ROOT / "modules").iterdir() if p.is_dir()}
    assert modules <= named
    verbs = subprocess.run([support.ROOT / "build.sh", "help"], capture_output=True, text=True, check=True).stdout
    for verb in re.findall(r"^    \./build\.sh (\w+)", README, re.M):
        assert re.search(rf"^  {verb}\b", verbs, re.M), verb
    groups = {command[0] for command in COMMANDS if len(command) > 1}
    shown = {command_of(shlex.split(line.split("./netkit", 1)[1].split(">")[0])) for line in pasted()} - {None}
    assert {command[0] for command in shown} >= groups - {"hss", "completion"}, "each group has an example"


@pytest.fixture
def shell(work):
    """Runs a line as it stands, in a directory with nothing but the program."""
    (work / "netkit").symlink_to(support.NETKIT)
    env = support.clean_env(NETKIT_STATE_DIR=str(work / "state"))

    def run(line, **kw):
        done = subprocess.run(["sh", "-c", line], cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=support.PATIENCE, check=False, **kw)
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout

    run.env = env
    return run


def test_quick_start(programs, shell, work):
    """On a loopback of its own, as the relay has its usual port."""
    net = Net(programs)
    relay, = block("./netkit relay\n")
    receive, consume, broadcast, produce = block("./netkit endpoint receive --group jobs --format text")

    def start(line):
        return programs([*net.words, "sh", "-c", f"exec {line}"], cwd=work, env=shell.env, stdout=subprocess.PIPE)

    start(relay).wait_line(r"listening on .*127\.0\.0\.1:3000")
    assert "sha256:" in shell("./netkit cert fingerprint $(./netkit cert dir)/certificate.pem")
    receiver, consumer = start(receive), start(consume)
    for line in (broadcast, produce):
        shell(shlex.join(net.words) + " sh -c " + shlex.quote(line))
    assert receiver.proc.stdout.readline() == b"hello\n"
    assert consumer.proc.stdout.readline() == b"work\n"
    for program in (receiver, consumer):
        program.kill()


def test_certificates(shell):
    support.need_command("openssl")
    new, show, folder, _ = block("./netkit cert new")
    shell(new)
    assert "relay.example" in shell(show) and "sha256:" in shell(show)
    shell("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout alice-key.pem -subj /CN=alice -out alice.csr 2>&1")
    for line in block("./netkit cert ca"):
        shell(line)
    shell("openssl verify -CAfile ca/certificate.pem srv/certificate.pem alice.pem")
    assert folder == "./netkit cert dir"


def test_keys_of_onion_services(shell):
    new, generate, grant, convert, check, _, _ = block("./netkit hs new")
    shell(new)
    address = shell("./netkit hs address web").strip()
    shell(generate.replace("ADDRESS", address))
    shell(grant)
    shell(convert)
    shell(check.replace("/var/lib/tor/web", "web"))


def test_one_file(programs, shell, work):
    init, check, run = block("./netkit config init")
    shell(init)
    shell(check)
    net = Net(programs)
    service = programs([*net.words, "sh", "-c", f"exec {run}"], cwd=work, env=shell.env)
    service.wait_line("listening on")
    assert service.stop() == 0
