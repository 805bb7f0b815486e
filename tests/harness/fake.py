"""fake.py - a server in place of a node, right or wrong on purpose: proof that a test would notice."""
# SPDX-License-Identifier: Apache-2.0
import socket
import threading
from urllib.parse import parse_qsl, unquote, urlsplit


class FakeRequest:
    def __init__(self, method, target, headers, body):
        parts = urlsplit(target)
        self.method = method
        self.path = unquote(parts.path)
        self.query = dict(parse_qsl(parts.query))
        self.headers = headers
        self.body = body


class FakeNode:
    """Answers each request with `handle(FakeRequest) -> (status, body)`; None breaks the connection instead.

    One lock around `handle`: what it does is atomic.
    """

    def __init__(self, handle):
        self._handle = handle
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            while (request := _read(stream)) is not None:
                with self._lock:
                    answer = self._handle(request)
                if answer is None:
                    return
                status, body = answer
                head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
                try:
                    connection.sendall(head.encode() + body)
                except OSError:
                    return


def _read(stream):
    try:
        line = stream.readline().decode()
        if not line:
            return None
        method, target, _ = line.split(" ")
        headers = {}
        while (line := stream.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return FakeRequest(method, target, headers, stream.read(int(headers.get("content-length", 0))))
    except OSError:
        return None
