"""service.py - just enough HTTP for the baseline: a keep-alive server and a pool of keep-alive connections."""
# SPDX-License-Identifier: Apache-2.0
import asyncio
import collections


async def _read_message(reader):
    """First line, headers, body; None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    size = int(headers.get("content-length", 0))
    return first, headers, await reader.readexactly(size) if size else b""


def _message(first, headers, body):
    lines = [first, *(f"{name}: {value}" for name, value in headers.items()), f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def serve(handle, listens=None):
    """handle(method, target, headers, body) -> (status, body, headers). Prints the port that it listens on, after
    listens(address) was told."""

    async def connection(reader, writer):
        while (message := await _read_message(reader)) is not None:
            first, headers, body = message
            method, target, _ = first.split(" ")
            status, answer, extra = await handle(method, target, headers, body)
            writer.write(_message(f"HTTP/1.1 {status} X", extra, answer))
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, backlog=1024)
    address = server.sockets[0].getsockname()
    if listens:
        listens(address)
    print(address[1], flush=True)
    await server.serve_forever()


class Pool:
    """Connections to one server, as many as there are requests at the same time."""

    def __init__(self, address):
        self._address = address
        self._idle = collections.deque()

    async def request(self, method, target, body=b"", headers=None):
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        writer.write(_message(f"{method} {target} HTTP/1.1", {"Host": "store"} | (headers or {}), body))
        first, found, answer = await _read_message(reader)
        self._idle.append((reader, writer))
        return int(first.split(" ")[1]), answer, found
