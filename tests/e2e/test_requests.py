"""test_requests.py - what clients get wrong: each mistake has its own status, code and words."""
# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import faults_app
from harness.case import NodeCase, main
from harness.http import request_bytes


class Addresses(NodeCase):
    @classmethod
    def prepare(cls):
        cls.node.deploy(faults_app(cls.work))

    def test_an_unknown_app_is_named(self):
        self.assert_error(self.node.post("/nosuch/echo"), 404, "app_not_found", "nosuch")

    def test_an_unknown_function_is_named(self):
        self.assert_error(self.node.post("/faults/nosuch"), 404, "function_not_found", "nosuch")

    def test_a_path_that_is_no_route_is_told(self):
        for path in ("/", "/faults", "//", "/faults/"):
            with self.subTest(path):
                self.assert_error(self.node.get(path), 404, "route_not_found")

    def test_a_route_of_the_manifest_is_found_with_its_method(self):
        self.assertEqual("1", self.assert_ok(self.node.request("PUT", "/counts/m1")).text.strip())
        self.assertEqual("1", self.assert_ok(self.node.get("/counts/m1")).text.strip())

    def test_an_unknown_method_of_a_route_lists_the_allowed_ones(self):
        reply = self.node.request("DELETE", "/counts/m1")
        self.assert_error(reply, 405, "method_not_allowed")
        self.assertEqual({"GET", "HEAD", "PUT"}, set(reply.headers["allow"].replace(" ", "").split(",")))

    def test_an_entity_of_400_bytes_is_taken_and_one_of_401_refused(self):
        self.assertEqual("e" * 400, self.assert_ok(self.node.post("/faults/echo/" + "e" * 400)).headers["x-entity"])
        self.assert_error(self.node.post("/faults/echo/" + "e" * 401), 400, "entity_invalid", "400")

    def test_an_entity_with_a_zero_byte_is_refused(self):
        self.assert_error(self.node.post("/faults/echo/a%00b"), 400, "entity_invalid", "zero byte")

    def test_an_entity_may_have_slashes_and_any_encoded_byte(self):
        reply = self.node.post("/faults/echo/a/b%20c%2Fd")
        self.assertEqual("a/b c/d", self.assert_ok(reply).headers["x-entity"])

    def test_a_broken_percent_code_is_refused(self):
        for path in ("/faults/echo/%zz", "/faults/echo/%4", "/faults/echo/%"):
            with self.subTest(path):
                self.assertEqual(400, self.node.post(path).status)


class Bodies(NodeCase):
    @classmethod
    def prepare(cls):
        cls.node.deploy(faults_app(cls.work))

    def test_a_body_arrives_and_returns_whole(self):
        body = bytes(range(256)) * 4096  # 1 MiB
        self.assertEqual(body, self.assert_ok(self.node.post("/faults/echo", body)).body)

    def test_a_chunked_body_arrives_whole(self):
        with self.node.client() as client:
            client.send(b"POST /faults/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            client.send(b"2\r\nde\r\n0\r\n\r\n")
            self.assertEqual(b"abcde", self.assert_ok(client.read()).body)

    def test_a_client_that_waits_for_100_continue_gets_it(self):
        with self.node.client() as client:
            client.send(b"POST /faults/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            self.assertTrue(client.connect().recv(100).startswith(b"HTTP/1.1 100 "))
            client.send(b"ok")
            self.assertEqual(b"ok", self.assert_ok(client.read()).body)

    def test_a_body_beyond_the_limit_is_refused_before_it_is_sent(self):
        with self.node.client() as client:
            client.send(b"POST /faults/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 16777217\r\n\r\n")
            self.assert_error(client.read(), 413, "body_too_large", "limit")

    def test_a_chunked_body_beyond_the_limit_is_refused(self):
        with self.node.client() as client:
            client.send(b"POST /faults/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            block = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
            try:
                for _ in range(17):
                    client.send(block)
            except ConnectionError:
                pass  # the answer came while this was still being sent
            self.assert_error(client.read(), 413, "body_too_large")

    def test_a_head_beyond_the_limit_is_refused(self):
        with self.node.client() as client:
            client.send(b"GET /faults/echo HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70000 + b"\r\n\r\n")
            self.assert_error(client.read(), 431, "headers_too_large")

    def test_too_many_headers_are_refused(self):
        with self.node.client() as client:
            client.send(b"GET /faults/echo HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n")
            self.assert_error(client.read(), 431, "headers_too_large")

    def test_head_has_no_body(self):
        with self.node.client() as client:
            reply = client.request("HEAD", "/faults/get/h")
            self.assertEqual((200, b""), (reply.status, reply.body))
            self.assert_ok(client.get("/faults/get/h"))


MALFORMED = {
    "no request at all": b"hello\r\n\r\n",
    "no version": b"GET /faults/get\r\nHost: x\r\n\r\n",
    "another version": b"GET /faults/get HTTP/2.0\r\nHost: x\r\n\r\n",
    "no Host": b"GET /faults/get HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /faults/get HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a bare LF": b"GET /faults/get HTTP/1.1\nHost: x\n\n",
    "a bare CR in a value": b"GET /faults/get HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
    "a folded line": b"GET /faults/get HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "a space before the colon": b"GET /faults/get HTTP/1.1\r\nHost : x\r\n\r\n",
    "a zero byte": b"GET /faults/get HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    "a length with a sign": b"POST /faults/add HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
    "a negative length": b"POST /faults/add HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\na",
    "a length that is no number": b"POST /faults/add HTTP/1.1\r\nHost: x\r\nContent-Length: 1a\r\n\r\na",
    "a length beyond 64 bits":
        b"POST /faults/add HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\na",
    "two lengths": b"POST /faults/add HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of lengths": b"POST /faults/add HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na",
    "length and chunked":
        b"POST /faults/add HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded transfer coding":
        b"POST /faults/add HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "two codings": b"POST /faults/add HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a chunk size that is no number":
        b"POST /faults/add HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a chunk longer than it says":
        b"POST /faults/add HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
}  # fmt: skip


class Malformed(NodeCase):
    """Answered, closed, and what stands behind the mistake in the same bytes is not run."""

    @classmethod
    def prepare(cls):
        cls.node.deploy(faults_app(cls.work))

    def test_malformed_requests_are_refused_and_nothing_behind_them_is_run(self):
        for i, (name, data) in enumerate(MALFORMED.items()):
            with self.subTest(name), self.node.client(timeout_s=10) as client:
                client.send(data + request_bytes("POST", f"/faults/add/smuggled{i}"))
                reply = client.read()
                if reply.status == 501:
                    self.assert_error(reply, 501, "transfer_coding_unsupported", "chunked")
                elif name == "another version":
                    self.assert_error(reply, 505, "version_unsupported", "HTTP/1.1")
                else:
                    self.assert_error(reply, 400, "malformed_request", "closed")
                self.assertTrue(client.closed_by_peer(), "the connection must be closed")
                self.assertEqual("0", self.node.post(f"/faults/get/smuggled{i}").text.strip())

    def test_an_unknown_transfer_coding_is_told_apart(self):
        with self.node.client() as client:
            client.send(b"POST /faults/add HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n")
            self.assert_error(client.read(), 501, "transfer_coding_unsupported", "chunked")

    def test_half_a_request_and_a_goodbye_harm_nobody(self):
        for size in (1, 10, 40, 60):
            with self.node.client() as client:
                client.send(request_bytes("POST", "/faults/add/half", b"x" * 100)[:size])
        self.assertEqual("0", self.node.post("/faults/get/half").text.strip())

    def test_pipelined_requests_are_answered_in_order(self):
        with self.node.client() as client:
            client.send(b"".join(request_bytes("POST", "/faults/echo", str(i).encode()) for i in range(50)))
            self.assertEqual([str(i) for i in range(50)], [client.read().text for _ in range(50)])


class SlowClients(NodeCase):
    flags = ("--http.request_timeout_ms=300",)

    @classmethod
    def prepare(cls):
        cls.node.deploy(faults_app(cls.work))

    def test_a_request_that_does_not_arrive_whole_in_time_is_given_up(self):
        for data in (b"POST /faults/add HTTP/1.1\r\nHost:", request_bytes("POST", "/faults/add/late", b"abc")[:-1]):
            with self.subTest(data), self.node.client(timeout_s=10) as client:
                client.send(data)
                self.assert_error(client.read(), 408, "request_timeout", "request_timeout_ms")
                self.assertTrue(client.closed_by_peer())


if __name__ == "__main__":
    main()
