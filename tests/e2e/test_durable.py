"""test_durable.py - durable channels: appended once, consumed once and in order, read over HTTP, kept for so long."""
# SPDX-License-Identifier: Apache-2.0
import json
import re
import sys
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from harness.apps import make_app
from harness.case import Case, NodeCase, main

SOURCE = Path(__file__).parent / "fn" / "durable.c"
FUNCTIONS = ["put", "put_nowhere", "count", "tally", "state", "go", "relay", "mark", "marks", {"name": "slow", "timeout_ms": 60000}]
CHANNELS = """channels:
  - { name: orders, kind: durable, http: both }
  - { name: inner, kind: durable }
  - { name: told, kind: durable, http: read }
  - { name: taken, kind: durable, http: append }
  - { name: prices }
"""
SUBSCRIPTIONS = """subscriptions:
  - { channel: orders, function: count, retries: 1 }
  - { channel: orders, function: tally, group: tallying, batch: 10 }
"""


def shop(directory, name="shop", channels=CHANNELS, subscriptions=SUBSCRIPTIONS, head=()):
    app = make_app(Path(directory) / name, name, SOURCE, FUNCTIONS, head=head)
    manifest = app / "stead.yaml"
    manifest.write_text(manifest.read_text() + channels + subscriptions)
    return app


class Waiting:
    def wait_text(self, node, target, text, timeout_s=30):
        deadline = time.monotonic() + timeout_s
        while (said := node.get(target).text) != text:
            self.assertLess(time.monotonic(), deadline, f"{said!r} instead of {text!r}")
            threading.Event().wait(0.02)  # between two questions

    def wait_metric(self, node, line, timeout_s=30):
        deadline = time.monotonic() + timeout_s
        while line not in (said := node.get("/metrics").text.splitlines()):
            self.assertLess(time.monotonic(), deadline, "\n".join(row for row in said if "message" in row or "channel" in row))
            threading.Event().wait(0.02)  # between two questions


class Channels(NodeCase, Waiting):
    @classmethod
    def prepare(cls):
        cls.node.deploy(shop(cls.work))

    def append(self, key, body, **headers):
        return self.node.post(f"/shop/channels/orders?key={key}", body, {k.replace("_", "-"): v for k, v in headers.items()})

    def offset(self, key, body):
        return json.loads(self.assert_ok(self.append(key, body)).text)["offset"]

    def read(self, query):
        return json.loads(self.assert_ok(self.node.get(f"/shop/channels/orders?{query}")).text)

    def test_messages_reach_each_group_once_and_in_order(self):
        for number in range(1, 21):
            self.offset("a1", str(number).encode())
        self.assert_ok(self.node.post("/shop/put?key=a1", b"21"))
        self.wait_text(self.node, "/shop/state/a1", "21 counted, 21 tallied, 0 out of order, last 21\n")

    def test_appends_of_a_failed_invocation_have_never_been(self):
        self.assertEqual(500, self.node.post("/shop/put?key=a2&fail=1", b"1").status)
        self.assert_ok(self.node.post("/shop/put?key=a2", b"2"))
        self.wait_text(self.node, "/shop/state/a2", "1 counted, 1 tallied, 0 out of order, last 2\n")

    def test_the_same_idempotency_key_appends_once(self):
        first = self.append("a3", b"1", Idempotency_Key="k-1")
        again = self.append("a3", b"1", Idempotency_Key="k-1")
        self.assertEqual(self.assert_ok(first).text, self.assert_ok(again).text)
        self.assertEqual("true", again.headers.get("idempotency-replayed"))
        self.assert_error(self.append("a3", b"2", Idempotency_Key="k-1"), 422, "idempotency_mismatch", "k-1")

    def test_a_message_that_fails_becomes_a_dead_letter_and_its_key_goes_on(self):
        poison = self.offset("a4", b"poison")
        self.offset("a4", b"7")
        self.wait_text(self.node, "/shop/state/a4", "1 counted, 2 tallied, 0 out of order, last 7\n")
        said = self.node.wait_log(f"consumers.dead.*offset={poison} .*").group(0)
        self.assertIn("poison at", said)

    def test_readers_get_pages_and_where_they_go_on(self):
        offsets = [self.offset("a5", b"%d" % number) for number in (1, 2, 3)]
        page = self.read(f"from={offsets[0]}&limit=1")
        self.assertEqual([offsets[0]], [row["offset"] for row in page["messages"]])
        self.assertEqual(("a5", "1"), (page["messages"][0]["key"], page["messages"][0]["body"]))
        page = self.read(f"from={page['next']}")
        self.assertIn(offsets[2], [row["offset"] for row in page["messages"]])

    def test_a_reader_waits_for_the_next_message(self):
        last = self.offset("a6", b"1")
        timer = threading.Timer(0.3, self.offset, ("a6", b"2"))
        timer.start()
        page = self.read(f"from={last + 1}&wait=20")
        timer.join()
        self.assertGreaterEqual(len(page["messages"]), 1)
        self.assertEqual([], self.read(f"from={page['next']}")["messages"])

    def test_events_go_on_behind_the_last_that_was_seen(self):
        offsets = [self.offset("a7", b"%d" % number) for number in (1, 2)]
        with self.node.client() as client:
            client.send(
                b"GET /shop/channels/orders HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
                b"Last-Event-ID: %d\r\n\r\n" % offsets[0]
            )
            self.assertEqual("text/event-stream", client.head()[1]["content-type"])
            third = self.offset("a7", b"3")
            seen = []
            for line in client.lines():
                if line.startswith(b"id: "):
                    seen.append(int(line[4:]))
                if third in seen:
                    break
        self.assertEqual(offsets[1], seen[0])
        self.assertEqual(sorted(seen), seen)

    def test_over_http_a_channel_is_read_and_appended_to_only_as_its_manifest_says(self):
        events = {"Accept": "text/event-stream"}
        for channel in ("inner", "told"):
            refused = self.node.post(f"/shop/channels/{channel}", b"x")
            self.assert_error(refused, 403, "permission_denied", channel, "http: ", "`append`")
        for channel in ("inner", "taken"):
            for query, headers in (("", {}), ("?from=0&wait=20", {}), ("", events)):
                refused = self.node.get(f"/shop/channels/{channel}{query}", headers)
                self.assert_error(refused, 403, "permission_denied", channel, "http: ", "`read`")
        self.assert_ok(self.node.post("/shop/channels/taken", b"x"))
        self.assert_ok(self.node.get("/shop/channels/told"))

    def test_operators_read_and_append_whatever_the_manifest_says(self):
        offset = self.node.cli("channel", "append", "shop", "inner", "-d", "for operators").out.strip()
        self.assertIn("for operators", self.node.cli("channel", "tail", "shop", "inner", "--from", offset).out)

    def test_what_cannot_be_is_told(self):
        self.assert_error(self.node.post("/shop/channels/nowhere", b"x"), 404, "channel_not_found", "nowhere")
        self.assert_error(self.node.post("/shop/put_nowhere/k"), 404, "channel_not_found", "nowhere")
        self.assert_error(self.append("a8", b"x" * (1024 * 1024 + 1)), 413, "message_too_large", "1048577")
        self.assert_error(self.append("k" * 401, b"x"), 413, "message_too_large", "401")
        self.assert_error(self.node.get("/shop/channels/orders?from=99999999"), 400, "invalid_argument", "99999999")
        self.assert_error(self.node.get("/shop/channels/orders?limit=x"), 400, "invalid_argument", "limit")
        self.assert_error(self.node.get("/shop/channels/orders?partition=3"), 404, "not_found", "partitions")
        self.assert_error(self.node.request("PUT", "/shop/channels/orders"), 405, "method_not_allowed")


class Operating(Case, Waiting):
    """The same by `stead channel`."""

    def setUp(self):
        self.node = self.make_node()
        self.node.deploy(shop(self.make_dir()))

    def append(self, body, key="k"):
        return int(self.node.cli("channel", "append", "shop", "orders", "-k", key, "-d", body).out)

    def test_channels_and_groups_are_listed(self):
        self.append("1")
        self.wait_text(self.node, "/shop/state/k", "1 counted, 1 tallied, 0 out of order, last 1\n")
        said = self.node.cli("channel", "ls", "shop").out
        for word in ("orders", "durable", "inner", "prices", "live", "count", "tallying"):
            self.assertIn(word, said)
        listed = {row["channel"]: row for row in self.node.cli("channel", "ls", "shop", "--json").json["channels"]}
        self.assertEqual(1, listed["orders"]["partitions"][0]["next"])
        self.assertEqual([0, 0], [group["lag"] for group in listed["orders"]["groups"]])
        self.assertIn('stead_channel_lag{app="shop",partition="0",channel="orders",group="count"} 0', self.node.get("/metrics").text)

    def test_the_newest_messages_are_shown(self):
        for number in range(1, 6):
            self.append(str(number))
        rows = [json.loads(line) for line in self.node.cli("channel", "tail", "shop", "orders", "-n", "2", "--json").out.splitlines()]
        self.assertEqual([("4", 3), ("5", 4)], [(row["body"], row["offset"]) for row in rows])
        self.assertIn("  k  2", self.node.cli("channel", "tail", "shop", "orders", "--from", "1").out)

    def test_a_group_consumes_again_from_an_offset_or_a_time(self):
        for number in range(1, 4):
            self.append(str(number))
        self.wait_text(self.node, "/shop/state/k", "3 counted, 3 tallied, 0 out of order, last 3\n")
        self.node.cli("channel", "replay", "shop", "orders", "count", "--from", "1")
        self.wait_text(self.node, "/shop/state/k", "5 counted, 3 tallied, 1 out of order, last 3\n")
        self.node.cli("channel", "replay", "shop", "orders", "tallying", "--from", "2000-01-01 00:00")
        self.wait_text(self.node, "/shop/state/k", "5 counted, 6 tallied, 1 out of order, last 3\n")
        self.node.restart()
        self.append("4")
        self.wait_text(self.node, "/shop/state/k", "6 counted, 7 tallied, 1 out of order, last 4\n")
        wrong = self.node.cli("channel", "replay", "shop", "orders", "count", "--from", "77", check=False)
        self.assertEqual(1, wrong.code, wrong)
        self.assertIn("77", wrong.err)
        wrong = self.node.cli("channel", "replay", "shop", "orders", "nobody", "--from", "0", check=False)
        self.assertIn("nobody", wrong.err)

    def test_dead_letters_are_listed_tried_again_and_dropped(self):
        poison = self.append("poison")
        self.append("7")
        self.wait_text(self.node, "/shop/state/k", "1 counted, 2 tallied, 0 out of order, last 7\n")
        dead = self.node.cli("channel", "dead", "ls", "shop", "orders", "count", "--json").json["dead"]
        self.assertEqual([(poison, "k", "poison", 2)], [(row["offset"], row["key"], row["body"], row["attempts"]) for row in dead])
        self.assertIn("poison at", dead[0]["error"])
        self.assertIn("1", self.node.cli("channel", "dead", "retry", "shop", "orders", "count").out)
        dead = self.node.cli("channel", "dead", "ls", "shop", "orders", "count", "--json").json["dead"]
        self.assertEqual([3], [row["attempts"] for row in dead])
        self.assertIn("1", self.node.cli("channel", "dead", "drop", "shop", "orders", "count", "--offset", poison).out)
        self.assertEqual([], self.node.cli("channel", "dead", "ls", "shop", "orders", "count", "--json").json["dead"])
        wrong = self.node.cli("channel", "dead", "drop", "shop", "orders", "count", "--offset", poison, check=False)
        self.assertEqual(1, wrong.code, wrong)


class Lives(Case, Waiting):
    def test_what_was_not_consumed_is_consumed_after_a_restart_and_then_the_app_sleeps(self):
        node = self.make_node()
        node.deploy(shop(self.make_dir(), subscriptions=""))
        for number in range(1, 31):
            self.assert_ok(node.post("/shop/channels/orders?key=k", b"%d" % number))
        node.deploy(shop(self.make_dir()))
        node.kill9()
        node.start()
        self.wait_text(node, "/shop/state/k", "30 counted, 30 tallied, 0 out of order, last 30\n")
        node.restart()
        self.wait_text(node, "/shop/state/k", "30 counted, 30 tallied, 0 out of order, last 30\n")

    def test_waiting_readers_do_not_hold_up_a_stop(self):
        node = self.make_node()
        node.deploy(shop(self.make_dir()))
        with node.client() as poll, node.client() as events:
            poll.send(b"GET /shop/channels/orders?wait=30 HTTP/1.1\r\nHost: x\r\n\r\n")
            events.send(b"GET /shop/channels/orders HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
            self.wait_metric(node, "stead_channel_readers 2")
            began = time.monotonic()
            self.assertEqual(0, node.stop())
            self.assertLess(time.monotonic() - began, 8)

    def test_an_app_with_waiting_readers_can_be_removed(self):
        node = self.make_node()
        node.deploy(shop(self.make_dir()))
        with node.client() as poll:
            poll.send(b"GET /shop/channels/orders?wait=30 HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_metric(node, "stead_channel_readers 1")
            node.cli("remove", "shop", "--state")
            self.wait_metric(node, "stead_channel_readers 0")

    def test_messages_beyond_what_is_kept_go_and_readers_are_told_the_range(self):
        node = self.make_node()
        node.deploy(shop(self.make_dir(), channels="channels:\n  - { name: orders, kind: durable, http: both, keep_mb: 1 }\n",
                         subscriptions=""))
        for _ in range(4):
            self.assert_ok(node.post("/shop/channels/orders", b"x" * 500_000))
        self.wait_metric(node, "stead_durable_trimmed_total 2")
        self.assert_error(node.get("/shop/channels/orders?from=0"), 410, "offset_gone", "offset 0", "from 2 on", "next is 4")
        page = json.loads(node.get("/shop/channels/orders").text)
        self.assertEqual([2, 3], [row["offset"] for row in page["messages"]])
        node.restart()
        self.assertEqual(4, json.loads(node.post("/shop/channels/orders", b"x").text)["offset"])

    def test_a_slow_group_is_told_what_it_lost_and_goes_on_with_what_is_kept(self):
        node = self.make_node()
        node.deploy(shop(self.make_dir(), channels="channels:\n  - { name: orders, kind: durable, http: both, keep_mb: 1 }\n  - { name: prices }\n",
                         subscriptions="subscriptions:\n  - { channel: orders, function: slow }\n"))
        self.assert_ok(node.post("/shop/channels/orders?key=k", b"wait"))
        self.wait_metric(node, "stead_durable_in_flight 1")
        for number in range(1, 15):  # more than a group holds in memory, and than the channel keeps
            self.assert_ok(node.post("/shop/channels/orders?key=k", b"%d " % number + b"x" * 1_000_000))
        self.wait_metric(node, "stead_durable_trimmed_total 14")
        lost_log = r"consumers.lost.* app=shop channel=orders group=slow offsets (\d+) to (\d+) "
        node.wait_log("consumers.lost.* to 13 went", 30)  # the one behind it is the oldest that is kept
        ranges = [tuple(map(int, found)) for found in re.findall(lost_log, node.log_text())]
        self.assertGreater(ranges[0][0], 1)
        self.assertEqual([last + 1 for _, last in ranges[:-1]], [first for first, _ in ranges[1:]])
        lost = ranges[-1][1] - ranges[0][0] + 1
        deadline = time.monotonic() + 30
        while (group := self.group(node))["lag"] > 0:
            self.assertLess(time.monotonic(), deadline, group)
            self.assert_ok(node.post("/shop/go"))  # again, for whoever has not subscribed yet
        self.wait_text(node, "/shop/state/k", f"{14 - lost} counted, 0 tallied, 0 out of order, last 14\n")
        self.wait_metric(node, f"stead_durable_lost_total {lost}")
        self.assertEqual((lost, 0), (self.group(node)["lost"], self.group(node)["dead"]))
        gone = node.cli("channel", "replay", "shop", "orders", "slow", "--from", "0", check=False)
        self.assertEqual(1, gone.code, gone)
        self.assertIn("offset 0 of channel 'orders' is not there; it keeps 14 to 14, and 15 is the next", gone.err)

    def group(self, node):
        listed = {row["channel"]: row for row in node.cli("channel", "ls", "shop", "--json").json["channels"]}
        return listed["orders"]["groups"][0]


class Spread(NodeCase, Waiting):
    """The same with state in four partitions."""

    @classmethod
    def prepare(cls):
        cls.node.deploy(shop(cls.work, head=("partitions: 4",)))

    def partition_of(self, key):
        return self.node.cli("explain", "invoke", f"shop/put/{key}", "--json").json["partition"]

    def read(self, partition):
        page = json.loads(self.assert_ok(self.node.get(f"/shop/channels/orders?partition={partition}&limit=1000")).text)
        return [(row.get("key", ""), row["body"]) for row in page["messages"]]

    def elsewhere(self, partition):
        return next(key for key in (f"else{i}" for i in range(100)) if self.partition_of(key) != partition)

    def test_keys_are_spread_and_each_keeps_its_order(self):
        keys = [f"s{i}" for i in range(12)]
        for number in range(1, 6):
            for key in keys:
                self.assert_ok(self.node.post(f"/shop/channels/orders?key={key}", b"%d" % number))
        for key in keys:
            self.wait_text(self.node, f"/shop/state/{key}", "5 counted, 5 tallied, 0 out of order, last 5\n")
        where = {key: self.partition_of(key) for key in keys}
        self.assertGreater(len(set(where.values())), 1)
        rows = [self.read(partition) for partition in range(4)]
        for key in keys:
            self.assertEqual([str(number) for number in range(1, 6)], [body for k, body in rows[where[key]] if k == key])

    def test_a_function_appends_keys_of_its_own_partition_only(self):
        key = self.elsewhere(self.partition_of("s0"))
        refused = self.node.post(f"/shop/put/s0?key={key}", b"1")
        self.assert_error(refused, 409, "foreign_partition", f"key '{key}'", f"partition {self.partition_of(key)}")
        self.assert_ok(self.node.post(f"/shop/put/{key}?key={key}", b"1"))
        self.wait_text(self.node, f"/shop/state/{key}", "1 counted, 1 tallied, 0 out of order, last 1\n")

    def test_messages_without_a_key_are_in_partition_0_where_the_rows_of_the_app_are(self):
        self.assert_ok(self.node.post("/shop/channels/orders", b"1"))
        self.wait_text(self.node, "/shop/state", "1 counted, 1 tallied, 0 out of order, last 1\n")
        self.assert_ok(self.node.post("/shop/put", b"2"))
        self.wait_text(self.node, "/shop/state", "2 counted, 2 tallied, 0 out of order, last 2\n")
        self.assertEqual(["1", "2"], [body for key, body in self.read(0) if key == ""])
        refused = self.node.post(f"/shop/put/{self.elsewhere(0)}", b"3")
        self.assert_error(refused, 409, "foreign_partition", "without a key", "partition 0")

    def test_each_partition_has_offsets_and_cursors_of_its_own(self):
        self.assert_ok(self.node.post("/shop/channels/orders?key=r0", b"1"))
        listed = {row["channel"]: row for row in self.node.cli("channel", "ls", "shop", "--json").json["channels"]}
        self.assertEqual([0, 1, 2, 3], [row["partition"] for row in listed["orders"]["partitions"]])
        self.assertEqual(8, len(listed["orders"]["groups"]))


if __name__ == "__main__":
    main()
