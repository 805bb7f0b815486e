"""ws.py - a WebSocket client for tests: frames as they are asked for, right ones and wrong ones."""
# SPDX-License-Identifier: Apache-2.0
import base64
import os
import struct

from harness.http import Client, request_bytes

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode, body=b"", fin=True, mask=b"mask"):
    """`mask` None: not masked, which a client must not do."""
    size = len(body)
    head = bytes([(0x80 if fin else 0) | opcode])
    bit = 0x80 if mask else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if mask:
        head += mask
        body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))
    return head + body


class WebSocket:
    def __init__(self, address, target, headers=(), timeout_s=30.0):
        self.client = Client(address, timeout_s)
        key = base64.b64encode(os.urandom(16)).decode()
        given = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
        self.client.send(request_bytes("GET", target, headers={**given, **dict(headers)}))
        self.status, self.headers = self.client.head()
        self._buffer = self.client._parser._bytes

    def close(self):
        self.client.close()

    def send(self, text):
        body, opcode = (text.encode(), TEXT) if isinstance(text, str) else (text, BINARY)
        self.client.send(frame(opcode, body))

    def raw(self, data):
        self.client.send(data)

    def _take(self, size):
        while len(self._buffer) < size:
            self._buffer += self.client._receive()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def frame(self):
        """The next frame: (opcode, body)."""
        first, second = self._take(2)
        assert first & 0x80 and not second & 0x80, "servers send whole frames without masks"
        size = second
        if size == 126:
            size = struct.unpack(">H", self._take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._take(8))[0]
        return first & 15, self._take(size)

    def read(self):
        """The next message: text or bytes."""
        opcode, body = self.frame()
        assert opcode in (TEXT, BINARY), (opcode, body)
        return body.decode() if opcode == TEXT else body

    def read_close(self):
        """The code of the server's goodbye, which ends the connection."""
        opcode, body = self.frame()
        while opcode != CLOSE:
            opcode, body = self.frame()
        return struct.unpack(">H", body[:2])[0] if body else None
