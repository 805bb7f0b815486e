"""http.py - HTTP/1.1 as bytes: build requests, read replies; strict, so that a wrong reply fails a test."""
# SPDX-License-Identifier: Apache-2.0
import socket


class ProtocolError(Exception):
    """The peer sent something that is not a valid HTTP/1.1 reply."""


class Reply:
    """One whole reply."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # names in lower case; repeated ones joined with ", "
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def error(self):
        """The error of a failed request as {"code", "message", ...}."""
        import json

        return json.loads(self.body)["error"]

    def __repr__(self):
        return f"Reply({self.status}, {self.headers}, {self.body[:300]!r})"


def request_bytes(method, target, body=b"", headers=()):
    """A request; a body or a method that usually has one gets a Content-Length."""
    lines = [f"{method} {target} HTTP/1.1"]
    given = dict(headers)
    if "Host" not in given:
        lines.append("Host: stead.test")
    lines += [f"{name}: {value}" for name, value in given.items()]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


class ReplyParser:
    """Takes bytes as they come, gives whole replies."""

    def __init__(self):
        self._bytes = bytearray()
        self._head = None  # (status, headers) once the head is complete

    @property
    def empty(self):
        return not self._bytes and self._head is None

    def feed(self, data):
        self._bytes += data

    def next(self, head_only=False, at_end=False):
        """The next whole reply or None. `head_only`: the reply to a HEAD request. `at_end`: the peer has closed."""
        while True:
            if self._head is None and not self._take_head():
                return None
            status, headers = self._head
            if status != 100:
                break
            self._head = None
        if head_only or status in (204, 304):
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body = self._take_chunked()
        elif "content-length" in headers:
            body = self._take(int(headers["content-length"]))
        elif at_end:
            body = self._take(len(self._bytes))
        else:
            body = None
        if body is None:
            return None
        self._head = None
        return Reply(status, headers, body)

    def _take(self, size):
        if len(self._bytes) < size:
            return None
        body = bytes(self._bytes[:size])
        del self._bytes[:size]
        return body

    def _take_head(self):
        end = self._bytes.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = bytes(self._bytes[:end]).decode("latin-1").split("\r\n")
        del self._bytes[: end + 4]
        version, _, rest = lines[0].partition(" ")
        code = rest.split(" ", 1)[0]
        if version != "HTTP/1.1" or len(code) != 3 or not code.isdigit():
            raise ProtocolError(f"not a status line: {lines[0]!r}")
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip() or not name:
                raise ProtocolError(f"not a header: {line!r}")
            name, value = name.lower(), value.strip()
            headers[name] = headers[name] + ", " + value if name in headers else value
        if "content-length" in headers and "transfer-encoding" in headers:
            raise ProtocolError("both Content-Length and Transfer-Encoding")
        self._head = (int(code), headers)
        return True

    def _take_chunked(self):
        at, body = 0, bytearray()
        while True:
            line = self._bytes.find(b"\r\n", at)
            if line < 0:
                return None
            size = int(bytes(self._bytes[at:line]).split(b";")[0], 16)
            end = line + 2 + size
            if len(self._bytes) < end + 2:
                return None
            if self._bytes[end : end + 2] != b"\r\n":
                raise ProtocolError("a chunk does not end where it says")
            body += self._bytes[line + 2 : end]
            at = end + 2
            if size == 0:
                del self._bytes[:at]
                return bytes(body)


class Client:
    """A keep-alive connection, connected at the first request. `address` is (host, port) or the path of a unix socket."""

    def __init__(self, address, timeout_s=30.0):
        self.address = address
        self.timeout_s = timeout_s
        self._socket = None
        self._parser = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def connect(self):
        if self._socket is None:
            family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.settimeout(self.timeout_s)
            try:
                sock.connect(self.address)
            except OSError:
                sock.close()
                raise
            if family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket, self._parser = sock, ReplyParser()
        return self._socket

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, data):
        """Bytes as they are."""
        self.connect().sendall(data)

    def finish_sending(self):
        self._socket.shutdown(socket.SHUT_WR)

    def read(self, head_only=False):
        """The next reply; ConnectionError when the peer closes before it is whole."""
        sock = self.connect()
        while True:
            reply = self._parser.next(head_only)
            if reply is not None:
                if reply.headers.get("connection", "").lower() == "close":
                    self.close()
                return reply
            data = sock.recv(65536)
            if not data:
                reply = self._parser.next(head_only, at_end=True)
                self.close()
                if reply is not None:
                    return reply
                raise ConnectionError("the connection was closed before a whole reply")
            self._parser.feed(data)

    def closed_by_peer(self):
        """Waits until the peer closes; False when it sends something instead."""
        if self._socket is None:
            return True
        try:
            return self._parser.empty and self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def lines(self):
        """The body of a streamed reply, line by line, until the peer ends it. The head must be read by `head()`."""
        pending = b""
        chunked = self._stream_chunked
        while True:
            data = self._read_chunk() if chunked else self._read_some()
            if not data:
                return
            pending += data
            *whole, pending = pending.split(b"\n")
            yield from whole

    def head(self):
        """Status and headers of a reply whose body is a stream."""
        while not self._parser._take_head():
            self._parser.feed(self._receive())
        status, headers = self._parser._head
        self._stream_chunked = headers.get("transfer-encoding") == "chunked"
        return status, headers

    def _receive(self):
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the connection was closed before a whole reply")
        return data

    def _read_some(self):
        held = bytes(self._parser._bytes)
        self._parser._bytes.clear()
        return held or self._socket.recv(65536)

    def _read_chunk(self):
        buffer = self._parser._bytes
        while b"\r\n" not in buffer:
            buffer += self._receive()
        line = buffer.index(b"\r\n")
        size = int(bytes(buffer[:line]), 16)
        while len(buffer) < line + 2 + size + 2:
            buffer += self._receive()
        data = bytes(buffer[line + 2 : line + 2 + size])
        del buffer[: line + 2 + size + 2]
        return data

    def request(self, method, target, body=b"", headers=()):
        self.send(request_bytes(method, target, body, headers))
        return self.read(head_only=method == "HEAD")

    def get(self, target, headers=()):
        return self.request("GET", target, headers=headers)

    def post(self, target, body=b"", headers=()):
        return self.request("POST", target, body, headers)
