# SPDX-License-Identifier: MIT
"""The wire `netkit-relay/1` (modules/relay/README.md), spoken by hand: a client that says what a test
wants, also what no client should. It logs in by its uid on a unix socket, or by the certificate of
a TLS connection; it knows no passwords."""

import collections
import itertools
import socket
import struct

HELLO, CHALLENGE, AUTH, WELCOME, OPEN, OPENED, CLOSE = 1, 2, 3, 4, 5, 6, 7
BROADCAST, ITEM, CREDIT, DRAIN, DRAINED = 0x10, 0x11, 0x12, 0x13, 0x14
ACK, NACK, EXTEND, RECEIPT, WINDOW, DELIVERIES, SETTLED = 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B
PURGE, PING, PONG, GOAWAY = 0x1C, 0x1E, 0x1F, 0x20

MORE, META, RETAINED, REDELIVERED = 0x01, 0x02, 0x10, 0x20
WANT = MEMBER = 0x01
OK, DUPLICATE, DENIED, FULL, UNKNOWN, INVALID = 0, 1, -1, -2, -6, -9
DONE, LEAVING, LOGIN, PROTOCOL, LIMIT, SLOW, TIMEOUT, KICKED, INTERNAL, RESUMED = range(10)

SEQ_MAX = (1 << 56) - 1
FRAGMENT, MORE_MIN = 262144, 16384

Frame = collections.namedtuple("Frame", "type group seq flags payload")
Opened = collections.namedtuple("Opened", "group status window epoch version")


def frame(kind, payload=b"", group=0, seq=0, flags=0, length=None):
    length = len(payload) if length is None else length
    return (bytes([kind]) + length.to_bytes(3, "little") + struct.pack("<I", group)
            + seq.to_bytes(7, "little") + bytes([flags]) + payload)


def ranges(*pairs):
    return b"".join(struct.pack("<QI", first, count) for first, count in pairs)


class Closed(Exception):
    """The relay has ended the connection; `code` is that of its GOAWAY, or None."""

    def __init__(self, code, text=""):
        super().__init__(f"GOAWAY {code} {text}")
        self.code = code


class Peer:
    """One connection. `unread` keeps frames that a test has not asked for yet."""

    def __init__(self, sock, session=bytes(16), producer=0, hello=True, patience=20.0):
        self.sock = sock
        self.sock.settimeout(patience)
        self.session = session
        self.resumed = False
        self.unread = collections.deque()
        self.requests = itertools.count(1)
        self.seqs = collections.defaultdict(lambda: itertools.count(1))
        self.window, self.used = {}, collections.Counter()
        if hello:
            self.greet(session, producer)

    @classmethod
    def unix(cls, path, **kw):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        return cls(sock, **kw)

    # --- frames

    def send(self, *args, **kw):
        self.sock.sendall(frame(*args, **kw))

    def _exactly(self, n):
        data = bytearray()
        while len(data) < n:
            try:
                piece = self.sock.recv(min(n - len(data), 1 << 20))
            except ConnectionError:
                piece = b""
            if not piece:
                raise Closed(None)
            data += piece
        return bytes(data)

    def receive(self):
        """The next frame that the relay sent."""
        first = self._exactly(1)
        if first.isdigit():  # tlspyo's HELLO, on a listener without TLS: a header of 10 digits
            self._exactly(int(first + self._exactly(9)))
            first = self._exactly(1)
        head = first + self._exactly(15)
        payload = self._exactly(int.from_bytes(head[1:4], "little"))
        return Frame(head[0], struct.unpack_from("<I", head, 4)[0],
                     int.from_bytes(head[8:15], "little"), head[15], payload)

    def expect(self, *kinds):
        """The next frame of one of these types; those before it stay unread."""
        for i, f in enumerate(self.unread):
            if f.type in kinds:
                del self.unread[i]
                return f
        while True:
            f = self.expect_new()
            if f.type in kinds:
                return f
            self.unread.append(f)

    def expect_new(self):
        """The next frame that came; PINGs are answered, a GOAWAY is an error."""
        while True:
            f = self.receive()
            if f.type == GOAWAY:
                raise Closed(struct.unpack_from("<I", f.payload)[0], f.payload[4:].decode())
            if f.type == WINDOW:
                self.window[f.group] = struct.unpack("<Q", f.payload)[0]
            if f.type != PING:
                return f
            self.send(PONG, f.payload)

    def closed(self):
        """Wait for the end of the connection: the reason that the relay gave."""
        try:
            while True:
                self.expect()
        except Closed as e:
            try:
                while e.code is not None:  # what is said behind it
                    self.unread.append(self.receive())
            except Closed:
                pass
            return e.code

    def in_order(self):
        """Everything that was said so far has been acted upon; what came of it is in `unread`."""
        self.send(PING, b"order")
        assert self.expect(PONG).payload == b"order"

    def close(self):
        self.sock.close()

    # --- what clients do

    def greet(self, session=bytes(16), producer=0, name=b"peer"):
        self.send(HELLO, b"netkit-relay" + bytes([1, 1, 0, 0]) + struct.pack("<I", 0) + session
                  + struct.pack("<Q", producer) + bytes([len(name)]) + name)
        assert self.expect(CHALLENGE).flags & 1, "not logged in by uid or certificate"
        welcome = self.expect(WELCOME).payload
        self.session = welcome[:16]
        self.resumed = bool(welcome[16])

    def open(self, name, member=True, known=None):
        request = next(self.requests)
        epoch, version = known or (0, 0)
        self.send(OPEN, struct.pack("<BQQ", known is not None, epoch, version) + name.encode(),
                  seq=request, flags=MEMBER if member else 0)
        f = self.expect(OPENED)
        assert f.seq == request
        opened = Opened(f.group, *struct.unpack_from("<iQQQ", f.payload))
        if opened.status == OK:
            self.window[f.group] = opened.window
            self.used[f.group] = 0
        return opened

    def publish(self, kind, group, data, seq=None, flags=0):
        seq = next(self.seqs[group]) if seq is None else seq
        self.send(kind, data, group=group, seq=seq, flags=flags)
        self.used[group] += 16 + len(data)
        return seq

    def publish_in_time(self, kind, group, data):
        """As a good client: not before the window has room."""
        while self.used[group] + 16 + len(data) > self.window[group]:
            self.unread.append(self.expect_new())
        return self.publish(kind, group, data)

    def receipt(self, group, seq):
        """Wait for the receipt up to seq; {seq: status} of what was not simply stored."""
        failed, others = {}, []
        while True:
            f = self.expect(RECEIPT)
            if f.group != group:
                others.append(f)
                continue
            failed.update(struct.iter_unpack("<Qi", f.payload))
            if f.seq >= seq:
                self.unread.extend(others)
                return failed

    def stored(self, kind, group, data, **kw):
        seq = self.publish(kind, group, data, **kw)
        assert not self.receipt(group, seq)
        return seq

    def credit(self, group, items, size=0):
        self.send(CREDIT, struct.pack("<Q", size), group=group, seq=items)

    def settle(self, kind, group, *pairs, ms=0):
        """ACK, NACK or EXTEND of ranges; the status that comes back."""
        head = b"" if kind == ACK else struct.pack("<I", ms)
        number = next(self.requests)
        self.send(kind, head + ranges(*pairs), group=group, seq=number, flags=WANT)
        f = self.expect(SETTLED)
        assert f.seq == number
        return struct.unpack("<i", f.payload)[0]

    def purge(self, group):
        """Empty the group; the status that comes back."""
        number = next(self.requests)
        self.send(PURGE, group=group, seq=number)
        f = self.expect(SETTLED)
        assert f.seq == number
        return struct.unpack("<i", f.payload)[0]

    def _take(self, kind, group):
        """The whole objects among what is unread, as (seq, data)."""
        got, data = [], b""
        for f in [f for f in self.unread if f.type == kind and f.group == group]:
            self.unread.remove(f)
            data += f.payload
            if not f.flags & MORE:
                got.append((f.seq, data))
                data = b""
        assert not data
        return got

    def items(self, group, n):
        """The next n items, as (seq, data)."""
        while sum(f.type == ITEM and f.group == group and not f.flags & MORE
                  for f in self.unread) < n:
            self.unread.append(self.expect_new())
        return self._take(ITEM, group)

    def drain(self, group, most=0):
        self.send(DRAIN, group=group, seq=most)
        self.expect(DRAINED)
        return self._take(ITEM, group)
