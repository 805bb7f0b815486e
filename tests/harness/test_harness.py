"""test_harness.py - the harness against servers that are wrong on purpose: it must notice."""
# SPDX-License-Identifier: Apache-2.0
import socket
import sys
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.http import Client, ProtocolError, ReplyParser, request_bytes
from harness.node import LISTENING, _Lines
from harness.swarm import Swarm


def serve(test, answer):
    """A server on loopback that calls answer(connection) for each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    test.addCleanup(listener.close)

    def run():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    return listener.getsockname()


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            return None
        data += more
    return data


def echo(connection):
    with connection:
        while (data := read_request(connection)) is not None:
            target = data.split(b" ")[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(target), target))


def dies_at_the_third(connection):
    with connection:
        for _ in range(2):
            if read_request(connection) is None:
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        read_request(connection)


class Counting:
    """An actor with `left` requests to send."""

    def __init__(self, left):
        self.left, self.got, self.lost_count = left, [], 0

    def next(self):
        if self.left == 0:
            return None
        self.left -= 1
        return request_bytes("GET", f"/{self.left}")

    def done(self, reply):
        self.got.append(reply.text)

    def lost(self):
        self.lost_count += 1


class Parser(unittest.TestCase):
    def replies(self, data, step):
        parser, replies = ReplyParser(), []
        for at in range(0, len(data), step):
            parser.feed(data[at : at + step])
            while (reply := parser.next()) is not None:
                replies.append((reply.status, reply.body))
        return replies, parser.empty

    def test_replies_are_the_same_in_whatever_pieces_they_come(self):
        data = (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
            b"HTTP/1.1 100 Continue\r\n\r\n"
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
            b"HTTP/1.1 204 No Content\r\n\r\n"
        )
        for step in (1, 2, 7, len(data)):
            self.assertEqual(([(200, b"abc"), (404, b"def"), (204, b"")], True), self.replies(data, step))

    def test_replies_that_are_not_http_are_refused(self):
        for data in (
            b"HTTP/1.0 200 OK\r\n\r\n",
            b"hello\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nName : x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ):
            with self.subTest(data), self.assertRaises(ProtocolError):
                self.replies(data, len(data))


class Clients(unittest.TestCase):
    def test_a_client_keeps_its_connection(self):
        address = serve(self, dies_at_the_third)
        with Client(address) as client:
            self.assertEqual(["ok", "ok"], [client.get("/").text, client.get("/").text])
            with self.assertRaises(ConnectionError):
                client.get("/")
            self.assertEqual("ok", client.get("/").text)

    def test_a_swarm_sends_everything_once_and_gets_everything(self):
        address = serve(self, echo)
        actors = [Counting(20) for _ in range(8)]
        with Swarm(address, actors) as swarm:
            self.assertTrue(swarm.finish(20))
        for actor in actors:
            self.assertEqual([f"/{i}" for i in range(19, -1, -1)], actor.got)

    def test_a_swarm_reports_every_broken_request_as_lost(self):
        address = serve(self, dies_at_the_third)
        actors = [Counting(9) for _ in range(4)]
        with Swarm(address, actors) as swarm:
            self.assertTrue(swarm.finish(20))
        for actor in actors:
            self.assertEqual((6, 3), (len(actor.got), actor.lost_count))

    def test_a_swarm_with_nobody_there_loses_everything(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
        actor = Counting(3)
        with Swarm(address, [actor]) as swarm:
            self.assertTrue(swarm.finish(20))
        self.assertEqual(3, actor.lost_count)

    def test_a_swarm_keeps_to_its_rate(self):
        address = serve(self, echo)
        actors = [Counting(10**6) for _ in range(4)]
        with Swarm(address, actors, rate=100) as swarm:
            swarm.run(0.5)
        self.assertLess(swarm.sent, 70)
        self.assertGreater(swarm.sent, 20)


class Log(unittest.TestCase):
    def test_the_address_is_found_in_the_log(self):
        line = "2026-01-01T00:00:00.000Z info  node.listening address=127.0.0.1:4711 apps=0"
        self.assertEqual(("127.0.0.1", "4711"), LISTENING.search(line).groups())

    def test_waiting_for_a_line_ends_with_the_pipe(self):
        read, write = socket.socketpair()
        lines = _Lines(read.makefile("rb"), echo=False)
        read.close()
        write.sendall(b"one\ntwo\n")
        self.assertEqual("two", lines.wait("t.o", 5).group())
        write.close()
        self.assertIsNone(lines.wait("three", 30))


if __name__ == "__main__":
    unittest.main(verbosity=2)
