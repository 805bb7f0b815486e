"""test_sockets.py - WebSocket connections of functions: events, pushes, wrong frames, slow and silent clients."""
# SPDX-License-Identifier: Apache-2.0
import re
import struct
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from harness.apps import make_app
from harness.case import NodeCase, main
from harness.ws import CLOSE, PING, PONG, TEXT, WebSocket, frame

SOURCE = Path(__file__).parent / "fn" / "sockets.c"
FUNCTIONS = re.findall(r"^STEAD_FUNCTION\((\w+)\)", SOURCE.read_text(), re.MULTILINE)


class Sockets(NodeCase):
    @classmethod
    def prepare(cls):
        routes = [
            ("GET", "/rooms/{entity}/ws", "talk", "socket: true"),
            ("GET", "/open/{entity}/ws", "talk", "socket: true", 'origins: ["https://friend.example"]'),
        ]
        cls.node.deploy(make_app(cls.work / "sockets", "sockets", SOURCE, FUNCTIONS, routes))

    def open(self, room, query="", headers=(), path="rooms"):
        socket = WebSocket(self.node.address, f"/{path}/{room}/ws{query}", headers)
        self.addCleanup(socket.close)
        return socket

    def join(self, room):
        socket = self.open(room)
        self.assertEqual(101, socket.status)
        self.assertEqual(f"hello you of {room}", socket.read())
        return socket

    def row(self, room, name):
        return self.assert_ok(self.node.get(f"/sockets/get/{room}?name={name}")).text

    def until_row(self, room, name, value):
        deadline = time.monotonic() + 20
        while self.row(room, name) != value:
            self.assertLess(time.monotonic(), deadline, f"{name} is {self.row(room, name)}")

    def metric(self, name):
        text = self.node.get("/metrics").text
        return int(re.search(rf"^{name} (\d+)$", text, re.MULTILINE).group(1))

    def test_opening_messages_and_the_end_are_invocations_of_the_entity(self):
        socket = self.open("r1", "?who=ann")
        self.assertEqual("hello ann of r1", socket.read())
        socket.send("one")
        self.assertEqual("one", socket.read())
        socket.raw(frame(CLOSE, struct.pack(">H", 4001)))
        self.assertEqual(4001, socket.read_close())
        self.until_row("r1", "last_code", "4001")
        self.assertEqual(("1", "1"), (self.row("r1", "opened"), self.row("r1", "said")))

    def test_messages_sent_at_once_are_answered_in_order(self):
        socket = self.join("r2")
        socket.raw(b"".join(frame(TEXT, b"%d" % i) for i in range(200)))
        self.assertEqual([str(i) for i in range(200)], [socket.read() for _ in range(200)])

    def test_a_message_in_pieces_arrives_whole_and_binary_stays_binary(self):
        socket = self.join("r3")
        socket.raw(frame(TEXT, b"he", fin=False) + frame(PING, b"p") + frame(0, b"llo"))
        self.assertEqual((PONG, b"p"), socket.frame())
        self.assertEqual("hello", socket.read())
        socket.send(bytes(range(256)) * 300)
        self.assertEqual(bytes(range(256)) * 300, socket.read())

    def test_a_push_reaches_all_of_the_entity_and_nobody_else(self):
        a, b, other = self.join("r4"), self.join("r4"), self.join("r5")
        a.send("all hi")
        self.assertEqual(("hi", "hi"), (a.read(), b.read()))
        other.send("x")
        self.assertEqual("x", other.read())

    def test_a_push_to_one_connection_and_to_one_that_is_gone(self):
        socket = self.join("r6")
        socket.send("id")
        ident = socket.read()
        self.assertRegex(ident, r"^[0-9a-f]{32}$")
        self.assert_ok(self.node.post(f"/sockets/push?to={ident}"))
        self.assertEqual("pushed", socket.read())
        socket.close()
        self.until_row("r6", "last_code", "1006")
        lost = self.metric("stead_socket_pushes_lost_total")
        self.assert_ok(self.node.post(f"/sockets/push?to={ident}"))
        self.assertEqual(lost + 1, self.metric("stead_socket_pushes_lost_total"))

    def test_a_failure_is_told_and_pushes_nothing(self):
        socket = self.join("r7")
        for word, code in (("fail", "function_error"), ("crash", "function_crashed")):
            socket.send(word)
            self.assertIn(f'"code":"{code}"', socket.read())
        socket.send("still there")
        self.assertEqual("still there", socket.read())

    def test_a_refusal_at_the_beginning_closes_the_connection(self):
        socket = self.open("r8", "?who=nobody")
        self.assertIn("not you", socket.read())
        self.assertEqual(1008, socket.read_close())

    def test_wrong_frames_end_the_connection_with_their_code(self):
        wrong = {
            1002: [frame(TEXT, b"x", mask=None), frame(3, b"x"), frame(PING, b"x", fin=False)],
            1007: [frame(TEXT, b"\xff")],
            1009: [b"\x82\xff" + struct.pack(">Q", 1 << 62) + b"maska"],
        }
        for code, frames in wrong.items():
            for data in frames:
                with self.subTest(code=code, data=data):
                    socket = self.join("r9")
                    socket.raw(data)
                    self.assertEqual(code, socket.read_close())

    def test_a_flood_of_pings_is_ended(self):
        socket = self.join("r10")
        socket.raw(frame(PING) * 300)
        self.assertEqual(1008, socket.read_close())

    def test_a_client_that_does_not_read_is_left_and_others_go_on(self):
        left = self.metric("stead_sockets_overflowed_total")
        slow, other = self.join("r11"), self.join("r12")
        self.assert_ok(self.node.post("/sockets/flood/r11"))
        self.until_row("r11", "closed", "1")
        self.assertEqual(left + 1, self.metric("stead_sockets_overflowed_total"))
        other.send("fine")
        self.assertEqual("fine", other.read())
        slow.close()

    def test_what_is_no_handshake_is_told(self):
        self.assert_error(self.node.get("/rooms/r13/ws"), 426, "malformed_request", "websocket")
        for name, value in (("Sec-WebSocket-Version", "8"), ("Sec-WebSocket-Key", "short"), ("Connection", "close")):
            with self.subTest(name):
                self.assertEqual(400, self.open("r13", headers={name: value}).status)

    def test_pages_of_other_origins_are_refused(self):
        host = {"Host": "app.example"}
        for path, origin, status in (
            ("rooms", "https://app.example", 101),
            ("rooms", "https://evil.example", 403),
            ("open", "https://friend.example", 101),
            ("open", "https://app.example", 403),
        ):
            with self.subTest(path=path, origin=origin):
                self.assertEqual(status, self.open("r14", headers={**host, "Origin": origin}, path=path).status)

    def test_headers_of_a_client_do_not_make_a_connection(self):
        headers = {"Stead-Connection": "forged", "Stead-Event": "message"}
        self.assert_error(self.node.request("POST", "/sockets/push", headers=headers), 400, "invalid_argument")


class Stopping(NodeCase):
    @classmethod
    def prepare(cls):
        routes = [("GET", "/rooms/{entity}/ws", "talk", "socket: true")]
        cls.node.deploy(make_app(cls.work / "sockets", "sockets", SOURCE, FUNCTIONS, routes))

    def test_a_node_that_stops_says_goodbye(self):
        socket = WebSocket(self.node.address, "/rooms/r1/ws")
        self.addCleanup(socket.close)
        socket.read()
        self.node.term()
        self.assertEqual(1001, socket.read_close())
        socket.close()
        self.node.wait()


if __name__ == "__main__":
    main()
