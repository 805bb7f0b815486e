"""test_chat.py - the example chat-room: people in one room hear each other, over WebSocket and in browsers; nothing becomes HTML."""
# SPDX-License-Identifier: Apache-2.0
import json
import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from harness.browser import Browser, chromium
from harness.case import NodeCase, main
from harness.examples import example
from harness.ws import WebSocket

HOSTILE = "<img src=x onerror=\"document.title='broken'\"> & \u00e4\u2713"


class ChatRoom(NodeCase):
    @classmethod
    def prepare(cls):
        cls.node.deploy(example("chat-room"))

    def join(self, room, name):
        socket = WebSocket(self.node.address, f"/rooms/{room}/ws?name={name}")
        self.addCleanup(socket.close)
        self.assertEqual(101, socket.status)
        return socket

    def heard(self, socket):
        message = json.loads(socket.read())
        return message["id"], message["name"], message["text"]


class Clients(ChatRoom):
    def test_what_one_says_all_of_the_room_hear_and_no_other_room(self):
        ann, bob, other = self.join("r1", "Ann"), self.join("r1", "Bob"), self.join("r2", "Eve")
        ann.send("hi all")
        self.assertEqual((1, "Ann", "hi all"), self.heard(bob))
        self.assertEqual((1, "Ann", "hi all"), self.heard(ann))
        bob.send("hi Ann")
        self.assertEqual((2, "Bob", "hi Ann"), self.heard(ann))
        other.send("alone")
        self.assertEqual((1, "Eve", "alone"), self.heard(other))

    def test_who_comes_later_gets_what_was_said(self):
        for i in range(60):
            self.assert_ok(self.node.post("/rooms/r3?name=Ann", b"%d" % i))
        late = self.join("r3", "Late")
        self.assertEqual([(i + 1, "Ann", str(i)) for i in range(10, 60)], [self.heard(late) for _ in range(50)])
        said = json.loads(self.assert_ok(self.node.get("/rooms/r3/messages")).text)
        self.assertEqual(list(range(11, 61)), [message["id"] for message in said])

    def test_everybody_sees_the_same_order(self):
        people = [self.join("r4", f"p{i}") for i in range(3)]
        for i in range(20):
            for person in people:
                person.send(f"{i}")
        seen = [[self.heard(person) for _ in range(60)] for person in people]
        self.assertEqual(list(range(1, 61)), [message[0] for message in seen[0]])
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(seen[0], seen[2])

    def test_a_refusal_is_told_to_its_client_only(self):
        ann, bob = self.join("r5", "Ann"), self.join("r5", "Bob")
        ann.send("x" * 2001)
        self.assertIn("2000", json.loads(ann.read())["error"]["message"])
        ann.send(b"bytes")
        self.assertIn("only texts", json.loads(ann.read())["error"]["message"])
        ann.send("short")
        self.assertEqual((1, "Ann", "short"), self.heard(bob))


class Pages(ChatRoom):
    @classmethod
    def setUpClass(cls):
        if not chromium():
            raise unittest.SkipTest("there is no program `chromium` (Debian package chromium, ./dev setup browser)")
        super().setUpClass()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def open(self, room, name):
        host, port = self.node.address
        page = self.browser.open(f"http://{host}:{port}/rooms/{room}?name={name}")
        self.until(page, "document.getElementById('state')?.textContent", f"connected as {name}")
        return page

    def until(self, page, script, value):
        self.eventually(lambda: page.look(script) == value, lambda: f"{script} is {page.look(script)!r}, not {value!r}")

    def say(self, page, text):
        page.run(f"part('text').value = {json.dumps(text)}; part('say').requestSubmit()")

    def until_shown(self, page, *lines):
        self.until(page, "[...part('messages').children].map(item => item.innerText)", list(lines))

    def test_two_pages_of_a_room_see_each_others_messages(self):
        ann, bob = self.open("p1", "Ann"), self.open("p1", "Bob")
        self.say(ann, "hi Bob")
        self.until_shown(bob, "Ann hi Bob")
        self.say(bob, "hi Ann")
        for page in (ann, bob):
            self.until_shown(page, "Ann hi Bob", "Bob hi Ann")
        self.assertEqual("p1", ann.run("document.title"))
        self.until_shown(self.open("p1", "Late"), "Ann hi Bob", "Bob hi Ann")

    def test_what_is_said_is_shown_as_text_and_never_as_html(self):
        page = self.open("p2", "Ann")
        self.say(page, HOSTILE)
        self.until_shown(page, f"Ann {HOSTILE}")
        self.assertEqual(0, page.run("document.images.length"))
        self.assertEqual("p2", page.run("document.title"))

    def test_a_page_without_a_name_asks_for_it(self):
        host, port = self.node.address
        page = self.browser.open(f"http://{host}:{port}/rooms/p3")
        self.until(page, "document.getElementById('join')?.hidden", False)
        page.run("document.querySelector('#join input').value = 'Zo\u00eb'; part('join').requestSubmit()")
        self.until(page, "document.getElementById('state')?.textContent", "connected as Zo\u00eb")

    def test_a_refusal_is_shown(self):
        page = self.open("p4", "Ann")
        page.run("socket.send('x'.repeat(2001))")
        self.until(page, "part('state').textContent", "a name has at most 40 bytes, a text 2000")


if __name__ == "__main__":
    main()
