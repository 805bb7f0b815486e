"""test_streams.py - replies that are streamed: pieces at once, slow and absent readers, what breaks off, what is kept."""
# SPDX-License-Identifier: Apache-2.0
import re
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from harness.apps import make_app
from harness.case import NodeCase, main
from harness.http import Client, request_bytes

SOURCE = Path(__file__).parent / "fn" / "streams.c"
FUNCTIONS = re.findall(r"^STEAD_FUNCTION\((\w+)\)", SOURCE.read_text(), re.MULTILINE)


class Streams(NodeCase):
    @classmethod
    def prepare(cls):
        functions = [{"name": name, "timeout_ms": 60000} for name in FUNCTIONS]
        cls.node.deploy(make_app(cls.work / "streams", "streams", SOURCE, functions))

    def value(self, name):
        return int(self.assert_ok(self.node.get(f"/streams/get?name={name}")).text)

    def metric(self, name):
        text = self.node.get("/metrics").text
        return int(re.search(rf"^{name} (\d+)$", text, re.MULTILINE).group(1))

    def open(self, target):
        client = Client(self.node.address)
        self.addCleanup(client.close)
        client.send(request_bytes("GET", target))
        return client

    def broken(self, target):
        """What a client gets of a stream that has no end."""
        client = self.open(target)
        client.head()
        lines = []
        with self.assertRaises(ConnectionError):
            for line in client.lines():
                lines.append(line)
        return lines

    def test_pieces_arrive_with_status_and_headers_and_the_rest_comes_after_the_commit(self):
        reply = self.node.get("/streams/count?n=3")
        self.assertEqual((201, "1\n2\n3\nend\n"), (reply.status, reply.text))
        self.assertEqual("chunked", reply.headers["transfer-encoding"])
        self.assertEqual("count", reply.headers["x-kind"])
        self.assertRegex(reply.headers["stead-invocation"], r"^[0-9a-f]{32}$")

    def test_the_connection_goes_on_after_a_stream(self):
        with Client(self.node.address) as client:
            for n in (1, 5):
                self.assertEqual(n + 1, client.get(f"/streams/count?n={n}").text.count("\n"))

    def test_events_have_the_form_that_browsers_read(self):
        reply = self.assert_ok(self.node.get("/streams/events"))
        self.assertEqual("text/event-stream", reply.headers["content-type"])
        self.assertEqual("id: 1\ndata: one\ndata: two\n\nevent: price\nid: 2\ndata: 42\n\n", reply.text)

    def test_a_failure_after_the_first_piece_breaks_the_stream_and_keeps_nothing(self):
        cut = self.metric("stead_http_streams_cut_total")
        for how in ("fail", "crash", "status"):
            with self.subTest(how):
                self.assertEqual([b"begun"], self.broken(f"/streams/breaks?how={how}"))
        self.assertEqual(0, self.value("kept"))
        self.assertEqual(cut + 3, self.metric("stead_http_streams_cut_total"))

    def test_a_conflict_after_the_first_piece_breaks_the_stream_and_is_not_repeated(self):
        before = self.value("n")
        self.assertEqual([f"read {before}".encode()], self.broken("/streams/conflicts"))
        self.assertEqual(before + 1, self.value("n"))

    def test_a_slow_reader_slows_its_function_only(self):
        slow = self.open("/streams/flood?n=500")
        slow.head()
        for _ in range(20):
            self.assert_ok(self.node.post("/streams/bump"))
        self.assertEqual(500 * 65536, sum(len(part) for part in iter(slow._read_chunk, b"")))

    def test_a_reader_that_leaves_ends_the_function(self):
        gone = self.open("/streams/flood?n=1000000")
        gone.head()
        gone.close()
        deadline = time.monotonic() + 20
        while self.value("gone") == 0:
            self.assertLess(time.monotonic(), deadline)

    def test_callers_that_take_a_reply_whole_get_it_whole(self):
        self.assertEqual("[1\n2\n3\nend\n]", self.assert_ok(self.node.get("/streams/asks")).text)
        for _ in range(2):
            reply = self.node.post("/streams/count?n=2", headers={"Idempotency-Key": "s1"})
            self.assertEqual((201, "1\n2\nend\n"), (reply.status, reply.text))
            self.assertNotIn("transfer-encoding", reply.headers)

    def test_http_1_0_gets_the_pieces_up_to_the_end_of_the_connection(self):
        client = Client(self.node.address)
        self.addCleanup(client.close)
        client.send(b"GET /streams/count?n=2 HTTP/1.0\r\n\r\n")
        client.head()
        self.assertEqual([b"1", b"2", b"end"], list(client.lines()))


if __name__ == "__main__":
    main()
