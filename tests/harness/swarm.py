"""swarm.py - many keep-alive HTTP clients in one thread, each with one request in flight."""
# SPDX-License-Identifier: Apache-2.0
#
# An actor decides what to send and learns what became of it:
#   next()       bytes of a request, or None when it has nothing to send at present
#   done(reply)  the whole reply arrived
#   lost()       the connection broke while the request was out: nobody knows whether it ran
import selectors
import socket
import time

from harness.http import ReplyParser


class _Wire:
    def __init__(self, actor):
        self.actor = actor
        self.socket = None
        self.parser = None
        self.busy = False
        self.unsent = b""


class Swarm:
    """Drives the actors against one address. A broken connection is opened again for the next request."""

    def __init__(self, address, actors, rate=None):
        self.address = address
        self.rate = rate  # requests per second of all together; None: as fast as it goes
        self.sent = 0
        self._wires = [_Wire(actor) for actor in actors]
        self._selector = selectors.DefaultSelector()
        # With a rate the requests go out in bursts, so that many are in flight at the same time.
        self._burst = max(1, len(self._wires) // 2)
        self._tokens = 0.0
        self._turn = 0  # whose turn it is, so that everybody comes to send
        self._tokens_at = time.monotonic()

    def close(self):
        for wire in self._wires:
            self._drop(wire)
        self._selector.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, seconds):
        """Sends and receives for so long; requests may still be in flight afterwards."""
        deadline = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if now >= deadline:
                return
            self._send_all(now)
            self._receive(min(deadline - now, self._pause()))

    def finish(self, timeout_s):
        """Goes on until no actor has anything to send and nothing is in flight. False when the time was too short."""
        deadline = time.monotonic() + timeout_s
        while True:
            now = time.monotonic()
            waiting = self._send_all(now)
            if not waiting and not any(wire.busy for wire in self._wires):
                return True
            if now >= deadline:
                return False
            self._receive(min(deadline - now, 0.1, self._pause()))

    def drop_all(self):
        """Breaks every connection, as after the death of the server: what is in flight is lost."""
        for wire in self._wires:
            self._lose(wire)

    # ---- one round ----

    def _pause(self):
        return 0.5 if self.rate is None else min(0.5, self._burst / self.rate)

    def _send_all(self, now):
        """True when something was sent or has to wait for its turn."""
        active = False
        if self.rate is not None:
            self._tokens = min(self._tokens + (now - self._tokens_at) * self.rate, 2 * len(self._wires))
            self._tokens_at = now
            if self._tokens < self._burst:
                return True
        for _ in self._wires:
            wire = self._wires[self._turn]
            self._turn = (self._turn + 1) % len(self._wires)
            if wire.busy:
                continue
            if self.rate is not None and self._tokens < 1:
                return True
            data = wire.actor.next()
            if data is None:
                continue
            self._tokens -= 1
            self.sent += 1
            self._send(wire, data)
            active = True
        return active

    def _send(self, wire, data):
        wire.busy = True
        try:
            if wire.socket is None:
                self._connect(wire)
            count = wire.socket.send(data)
        except BlockingIOError:
            count = 0
        except OSError:
            self._lose(wire)
            return
        wire.unsent = data[count:]
        if wire.unsent:
            self._selector.modify(wire.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, wire)

    def _connect(self, wire):
        # Loopback connects at once or is refused at once.
        wire.socket = socket.create_connection(self.address, timeout=5)
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.socket.setblocking(False)
        wire.parser = ReplyParser()
        self._selector.register(wire.socket, selectors.EVENT_READ, wire)

    def _receive(self, timeout):
        if not self._selector.get_map():
            time.sleep(timeout)
            return
        for key, events in self._selector.select(timeout):
            wire = key.data
            if wire.socket is not key.fileobj:
                continue
            try:
                if events & selectors.EVENT_WRITE:
                    self._continue_sending(wire)
                if events & selectors.EVENT_READ:
                    self._read(wire)
            except OSError:
                self._lose(wire)

    def _continue_sending(self, wire):
        wire.unsent = wire.unsent[wire.socket.send(wire.unsent) :]
        if not wire.unsent:
            self._selector.modify(wire.socket, selectors.EVENT_READ, wire)

    def _read(self, wire):
        data = wire.socket.recv(65536)
        if not data:
            self._lose(wire)
            return
        wire.parser.feed(data)
        reply = wire.parser.next()
        if reply is None:
            return
        wire.busy = False
        if reply.headers.get("connection", "").lower() == "close":
            self._drop(wire)
        wire.actor.done(reply)

    def _drop(self, wire):
        if wire.socket is not None:
            self._selector.unregister(wire.socket)
            wire.socket.close()
            wire.socket = None
        wire.busy = False
        wire.unsent = b""

    def _lose(self, wire):
        was_busy = wire.busy
        if wire.socket is not None:
            self._drop(wire)
        wire.busy = False
        if was_busy:
            wire.actor.lost()
