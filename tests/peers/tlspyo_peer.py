#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An independent tlspyo peer: Endpoint and Relay, with nothing but Python's standard library.

It speaks tlspyo's wire protocol as unmodified tlspyo programs do (frames of an ASCII length, the
password in every frame towards the relay, pickled tuples), so that netkit can be tested against it
where tlspyo itself cannot be installed. Received pickles are read with an unpickler that refuses
every class, so nothing that a peer sends is executed.

As a module:

    with Endpoint("127.0.0.1:3000", password="pw", groups=("a",), ca="certificate.pem") as e:
        e.wait_joined(5)
        e.broadcast("hello", "a")
        print(e.pop(timeout=5))

As a program (see --help): `endpoint` reads commands from stdin and prints JSON lines; `relay` serves.
All I/O of a process runs on one background asyncio loop.
"""

import argparse
import asyncio
import base64
import collections
import contextlib
import io
import json
import pickle
import queue
import signal
import ssl
import sys
import threading

DEFAULT_HEADER_SIZE = 10
DEFAULT_NAME = "default"  # the name in the certificates that tlspyo generates
CLOSE_TIMEOUT = 10.0


# --- framing and pickles ---------------------------------------------------------------------


class Refused(ValueError):
    """A pickle wanted a class or function."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise Refused(f"pickle wants {module}.{name}")

    def persistent_load(self, pid):
        raise Refused("pickle wants a persistent object")


def loads(data):
    """Unpickle plain data (numbers, strings, bytes, containers); Refused for anything else."""
    return _PlainUnpickler(io.BytesIO(data)).load()


def frame(payload, header_size=DEFAULT_HEADER_SIZE, password=b""):
    """HEADER (decimal length of payload, padded right with blanks), password, payload."""
    header = b"%d" % len(payload)
    if len(header) > header_size:
        raise ValueError("payload too long for the header")
    return header.ljust(header_size) + password + payload


async def read_frame(reader, header_size, password=b"", limit=1 << 32):
    """One payload; raises IncompleteReadError at the end, ValueError for a bad frame."""
    head = await reader.readexactly(header_size + len(password))
    digits = head[:header_size].rstrip(b" ")
    if not digits.isdigit() or int(digits) > limit:
        raise ValueError("bad header")
    if head[header_size:] != password:
        raise ValueError("wrong password")
    return await reader.readexactly(int(digits))


def split_address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port)


# --- the background loop ---------------------------------------------------------------------


class _Loop:
    """One asyncio loop in a daemon thread, started at first use."""

    def __init__(self):
        self._lock = threading.Lock()
        self._loop = None

    def get(self):
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True).start()
            return self._loop

    def run(self, coroutine, timeout=None):
        return asyncio.run_coroutine_threadsafe(coroutine, self.get()).result(timeout)

    def call(self, fn, *args):
        self.get().call_soon_threadsafe(fn, *args)


LOOP = _Loop()


def client_context(ca):
    """Trust exactly the certificates in `ca`, check the name; no stricter than stock Endpoints."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    return context


def server_context(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


# --- Endpoint --------------------------------------------------------------------------------


class Closed(Exception):
    """The connection has ended."""


class Endpoint:
    """One connection to a relay.

    auto_ack=False leaves deliveries unacknowledged (see ack()); protocol is the pickle protocol
    (2..5); raw=True keeps received objects as pickled bytes; serialize replaces the pickling of
    envelopes, as tlspyo's custom serializers do.
    """

    def __init__(self, address, password="", groups=(), ca=None, name=DEFAULT_NAME,
                 header_size=DEFAULT_HEADER_SIZE, protocol=4, auto_ack=True, raw=False,
                 serialize=None, context=None):
        self.password = password.encode("utf-8")
        self.groups = (groups,) if isinstance(groups, str) else groups
        self.header_size = header_size
        self.protocol = protocol
        self.auto_ack = auto_ack
        self.raw = raw
        self.serialize = serialize or (lambda obj: pickle.dumps(obj, protocol))
        self.received = queue.Queue()  # (stamp, object) in order of arrival
        self.closed = threading.Event()
        self.joined = threading.Event()  # the relay acknowledged our HELLO
        self.reason = None
        self.acks = []  # our stamps in the order in which the relay acknowledged them
        self._stamp = 0
        self._hello_stamp = None
        self._store = []  # commands given before the relay said HELLO
        self._alive = False
        self._outstanding = set()
        self._flushed = threading.Condition()
        self._context = context or (client_context(ca) if ca else None)
        self._name = name
        LOOP.run(self._open(*split_address(address)))

    # -- connection (on the loop) --

    async def _open(self, host, port):
        self._reader, self._writer = await asyncio.open_connection(
            host, port, ssl=self._context, limit=1 << 20,
            server_hostname=self._name if self._context else None)
        self._task = asyncio.get_running_loop().create_task(self._read())

    async def _read(self):
        try:
            while True:
                payload = await read_frame(self._reader, self.header_size)
                stamp, cmd, obj = loads(payload)
                self._handle(stamp, cmd, obj)
                await self._writer.drain()
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError) as e:
            self.reason = e
        except Exception as e:  # a broken relay: tests look at .reason
            self.reason = e
        finally:
            self._writer.close()
            with self._flushed:
                self.closed.set()
                self._flushed.notify_all()
            self.received.put(None)

    def _handle(self, stamp, cmd, obj):
        if cmd == "ACK":
            with self._flushed:
                self.acks.append(stamp)
                self._outstanding.discard(stamp)
                self._flushed.notify_all()
            if stamp == self._hello_stamp:
                self.joined.set()
            return
        if self.auto_ack or cmd != "OBJ":
            self._write((stamp, "ACK", None, None))
        if cmd == "HELLO":
            self._hello_stamp = self._command("HELLO", None, self.groups)
            self._alive = True
            for cmd, dest, obj in self._store:
                self._command(cmd, dest, obj)
            self._store.clear()
        elif cmd == "OBJ":
            self.received.put((stamp, obj if self.raw else loads(obj)))

    def _write(self, envelope):
        self._writer.write(frame(self.serialize(envelope), self.header_size, self.password))

    def _command(self, cmd, dest, obj):
        self._stamp += 1
        with self._flushed:
            self._outstanding.add(self._stamp)
        self._write((self._stamp, cmd, dest, obj))
        return self._stamp

    def _submit(self, cmd, dest, obj):
        if self._alive:
            self._command(cmd, dest, obj)
        else:
            self._store.append((cmd, dest, obj))

    # -- commands (any thread) --

    def send_bytes(self, pickled, dest):
        """dest = {group: n}: n < 0 broadcasts, n > 0 produces n copies."""
        LOOP.call(self._submit, "OBJ", dict(dest), pickled)

    def send(self, obj, dest):
        self.send_bytes(pickle.dumps(obj, self.protocol), dest)

    def broadcast(self, obj, group):
        self.send(obj, {group: -1})

    def produce(self, obj, group, copies=1):
        self.send(obj, {group: copies})

    def notify(self, group, n=1):
        LOOP.call(self._submit, "NTF", group if isinstance(group, dict) else {group: n},
                  pickle.dumps(None, self.protocol))

    def raw_write(self, data):
        """Bytes straight onto the connection, for tests of bad input."""
        LOOP.call(self._writer.write, data)

    def raw_command(self, cmd, dest=None, obj=None):
        """Any command, at once, whatever the state of the connection."""
        LOOP.call(self._command, cmd, dest, obj)

    def ack(self, stamp):
        LOOP.call(self._write, (stamp, "ACK", None, None))

    def pause(self):
        """Stop reading, as a stuck consumer does."""
        LOOP.call(self._writer.transport.pause_reading)

    # -- waiting --

    def wait_joined(self, timeout=CLOSE_TIMEOUT):
        """The relay acknowledged our HELLO. (A refusing relay does so too, and then closes.)"""
        if not self.joined.wait(timeout):
            raise TimeoutError("the relay did not acknowledge HELLO")
        return self

    def pop(self, timeout=CLOSE_TIMEOUT):
        """The oldest received object; queue.Empty after timeout, Closed at the end."""
        return self.pop_stamped(timeout)[1]

    def pop_stamped(self, timeout=CLOSE_TIMEOUT):
        item = self.received.get(timeout=timeout)
        if item is None:
            self.received.put(None)
            raise Closed(str(self.reason))
        return item

    def receive(self, n, timeout=CLOSE_TIMEOUT):
        return [self.pop(timeout) for _ in range(n)]

    def nothing(self):
        """True when no object is waiting, after everything the relay had to send was seen: a
        notify to no group makes the round trip."""
        self.notify({})
        self.flush()
        return self.received.empty()

    def flush(self, timeout=CLOSE_TIMEOUT):
        """Wait until the relay has acknowledged everything; False if it does not in time."""
        done = threading.Event()
        LOOP.call(done.set)  # whatever was submitted before has got its stamp now
        done.wait(timeout)
        with self._flushed:
            self._flushed.wait_for(
                lambda: self.closed.is_set() or not (self._store or self._outstanding), timeout)
            return not (self._store or self._outstanding)

    def stop(self, timeout=CLOSE_TIMEOUT):
        """Flush, then close in order. Returns whether everything had been acknowledged."""
        ok = self.flush(timeout)
        LOOP.run(self._close(), timeout)
        return ok

    async def _close(self):
        self._writer.close()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_TIMEOUT)
        self._task.cancel()
        await asyncio.wait([self._task])

    def abort(self):
        """Vanish, as a killed process does."""
        LOOP.call(self._writer.transport.abort)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.abort()
        else:
            self.stop()


# --- Relay -----------------------------------------------------------------------------------


class _Group:
    def __init__(self):
        self.members = []  # in join order
        self.retained = None
        self.queue = collections.deque()
        self.credit = {}


class _Member:
    """One connection at the relay."""

    def __init__(self, relay, reader, writer):
        self.relay, self.reader, self.writer = relay, reader, writer
        self.state = "HANDSHAKE"
        self.unacked = set()

    def send(self, cmd, obj=None):
        self.relay.stamp += 1
        self.unacked.add(self.relay.stamp)
        self._write((self.relay.stamp, cmd, obj))

    def _write(self, envelope):
        self.writer.write(frame(pickle.dumps(envelope, 4), self.relay.header_size))

    def ack(self, stamp):
        if self.relay.acking.is_set():
            self._write((stamp, "ACK", None))
        else:
            self.relay.held_acks.append((self, stamp))

    async def serve(self):
        self.send("HELLO")
        try:
            while self.state != "CLOSED":
                payload = await read_frame(self.reader, self.relay.header_size,
                                           self.relay.password)
                stamp, cmd, dest, obj = loads(payload)
                if cmd == "ACK":
                    self.unacked.discard(stamp)
                    continue
                self.ack(stamp)
                self._command(cmd, dest, obj)
                await self.writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        except Exception as e:
            self.relay.refusals.append(str(e))
            self.writer.transport.abort()
        finally:
            self.relay.leave(self)
            self.writer.close()

    def _command(self, cmd, dest, obj):
        if cmd == "HELLO":
            groups = (obj,) if isinstance(obj, str) else tuple(obj)
            if self.relay.join(self, groups):
                self.state = "ALIVE"
            else:
                self.relay.refusals.append("group refused")
                self.state = "CLOSED"
        elif self.state != "ALIVE":
            self.relay.dropped += 1  # silently lost, as at a stock relay
        elif cmd == "OBJ":
            self.relay.objects += 1
            self.relay.forward(dest, obj)
        elif cmd == "NTF":
            self.relay.notify(self, dest)
        else:
            self.state = "CLOSED"


class Relay:
    """A relay with the behaviour of the stock one (acknowledge first, then act; credit served in
    join order; a consumer that dies loses what was sent to it).

    accepted = {group: {"max_count": n or None}} restricts groups. hold_acks() and release_acks()
    let a test see what waits for acknowledgements.
    """

    def __init__(self, address="127.0.0.1:0", password="", cert=None, key=None, accepted=None,
                 header_size=DEFAULT_HEADER_SIZE):
        self.password = password.encode("utf-8")
        self.header_size = header_size
        self.accepted = accepted
        self.stamp = 0
        self.objects = 0
        self.dropped = 0
        self.refusals = []
        self.connections = 0
        self.acking = threading.Event()
        self.acking.set()
        self.held_acks = []
        self._groups = {}
        self._members = set()
        context = server_context(cert, key) if cert else None
        LOOP.run(self._listen(*split_address(address), context))

    async def _listen(self, host, port, context):
        self._server = await asyncio.start_server(self._accept, host, port, ssl=context,
                                                  limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        self.address = f"{host}:{self.port}"

    async def _accept(self, reader, writer):
        member = _Member(self, reader, writer)
        self.connections += 1
        self._members.add(member)
        await member.serve()

    def group(self, name):
        if self.accepted is not None and name not in self.accepted:
            return None
        return self._groups.setdefault(name, _Group())

    def join(self, member, groups):
        if self.accepted is not None:
            for name in groups:
                limit = self.accepted.get(name, {"max_count": 0}).get("max_count")
                present = len(self._groups[name].members) if name in self._groups else 0
                if limit is not None and present >= limit:
                    return False
        for name in dict.fromkeys(groups):
            group = self.group(name)
            group.members.append(member)
            group.credit[member] = 0
        for group in self._groups.values():  # in order of creation
            if member in group.credit and group.retained is not None:
                member.send("OBJ", group.retained)
        return True

    def leave(self, member):
        self._members.discard(member)
        for group in self._groups.values():
            if member in group.credit:
                group.members.remove(member)
                del group.credit[member]

    def forward(self, dest, obj):
        for name, n in dest.items():
            group = self.group(name)
            if group is None:
                continue
            if n < 0:
                group.retained = obj
                for member in group.members:
                    member.send("OBJ", obj)
            elif n > 0:
                group.queue.extend([obj] * n)
                self._dispatch(group)

    def notify(self, member, dest):
        for name, n in dest.items():
            group = self._groups.get(name)
            if group is None or member not in group.credit:
                continue
            if n > 0:
                group.credit[member] += n
                self._dispatch(group)
            elif n < 0:
                while group.queue:
                    member.send("OBJ", group.queue.popleft())

    @staticmethod
    def _dispatch(group):
        for member in group.members:
            while group.queue and group.credit[member] > 0:
                group.credit[member] -= 1
                member.send("OBJ", group.queue.popleft())

    # -- for tests (any thread) --

    def hold_acks(self):
        self.acking.clear()

    def release_acks(self):
        LOOP.call(self._release)

    def _release(self):
        self.acking.set()
        for member, stamp in self.held_acks:
            member.ack(stamp)
        self.held_acks.clear()

    def members(self, name):
        group = self._groups.get(name)
        return len(group.members) if group else 0

    def kick_all(self):
        """Cut every connection; listening goes on."""
        LOOP.call(lambda: [m.writer.transport.abort() for m in list(self._members)])

    def stop(self):
        LOOP.run(self._stop(), CLOSE_TIMEOUT)

    async def _stop(self):
        self._server.close()
        for member in list(self._members):
            member.writer.close()
        await asyncio.sleep(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# --- command line ----------------------------------------------------------------------------


def show(**record):
    """One JSON line; bytes appear as {"base64": ...}."""
    def other(value):
        if isinstance(value, (bytes, bytearray)):
            return {"base64": base64.b64encode(value).decode()}
        return repr(value)
    sys.stdout.write(json.dumps(record, default=other) + "\n")
    sys.stdout.flush()


def parse_dest(text, default):
    """"g" or "g=N" as {group: n}."""
    name, sep, n = text.rpartition("=")
    return {name: int(n)} if sep else {text: default}


def read_password(path):
    with open(path, "rb") as f:
        return f.read().decode("utf-8").rstrip("\r\n")


def endpoint_command(endpoint, line, timeout):
    verb, _, rest = line.partition(" ")
    if verb in ("broadcast", "produce"):
        dest, _, text = rest.partition(" ")
        endpoint.send(text, parse_dest(dest, -1 if verb == "broadcast" else 1))
    elif verb == "notify":
        endpoint.notify(parse_dest(rest, 1))
    elif verb == "receive":
        for value in endpoint.receive(int(rest or 1), timeout):
            show(event="object", type=type(value).__name__, value=value)
    elif verb == "flush":
        show(event="flushed", ok=endpoint.flush(timeout))
    elif verb == "nothing":
        show(event="nothing", ok=endpoint.nothing())
    else:
        raise SystemExit(f"tlspyo_peer: unknown command: {line}")


def run_endpoint(args):
    endpoint = Endpoint(args.connect, read_password(args.password_file), tuple(args.group),
                        ca=args.ca, name=args.name, header_size=args.header_size)
    endpoint.wait_joined(args.timeout)
    show(event="joined", groups=args.group)
    for line in sys.stdin:
        if line.strip():
            endpoint_command(endpoint, line.rstrip("\n"), args.timeout)
    ok = endpoint.stop(args.timeout)
    show(event="stopped", flushed=ok)
    return 0 if ok else 1


def run_relay(args):
    relay = Relay(args.listen, read_password(args.password_file), args.cert, args.key,
                  header_size=args.header_size)
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    show(event="listening", address=relay.address)
    stop.wait()
    relay.stop()
    show(event="stopped")
    return 0


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    e = verbs.add_parser("endpoint", help="connect, then obey stdin: broadcast GROUP TEXT, produce "
                         "GROUP[=N] TEXT, notify GROUP[=N], receive N, nothing, flush")
    e.add_argument("--connect", required=True, metavar="HOST:PORT")
    e.add_argument("--ca", help="certificate to trust; without it plain TCP is spoken")
    e.add_argument("--name", default=DEFAULT_NAME, help="name the certificate must carry")
    e.add_argument("--group", action="append", default=[])
    e.add_argument("--timeout", type=float, default=30.0)
    r = verbs.add_parser("relay", help="serve until SIGTERM")
    r.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    r.add_argument("--cert")
    r.add_argument("--key")
    for p in (e, r):
        p.add_argument("--password-file", required=True)
        p.add_argument("--header-size", type=int, default=DEFAULT_HEADER_SIZE)
    args = parser.parse_args(argv)
    return run_endpoint(args) if args.verb == "endpoint" else run_relay(args)


if __name__ == "__main__":
    sys.exit(main())
