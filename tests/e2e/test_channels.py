"""test_channels.py - live channels: with the commit or at once, to receivers and started functions, from and to programs outside."""
# SPDX-License-Identifier: Apache-2.0
import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from harness.apps import compile_so
from harness.case import Case, main

SOURCE = r"""
#include <stdio.h>
#include <string.h>
#include <stead/stead.h>

STEAD_FUNCTION(publish)
{
    struct stead_bytes body = stead_body(ctx);
    const char *channel = stead_query(ctx, "channel"), *key = stead_query(ctx, "key");
    stead_put(ctx, "published", "1", 1);
    if (stead_query(ctx, "type")) stead_message_type(ctx, stead_query(ctx, "type"));
    stead_publish(ctx, channel ? channel : "prices", key, body.data, body.size);
    return stead_query(ctx, "fail") ? stead_fail(ctx, "no") : STEAD_OK;
}

STEAD_FUNCTION(flood)
{
    const char *channel = stead_query(ctx, "channel"), *key = stead_query(ctx, "key");
    int64_t count = stead_query_i64(ctx, "count", 1);
    char body[32];
    for (int64_t i = 0; i < count; i++)
    {
        snprintf(body, sizeof body, "%lld", (long long)i);
        if (stead_publish_now(ctx, channel ? channel : "prices", key, body, strlen(body)) != STEAD_OK) break;
    }
    return stead_query(ctx, "fail") ? stead_fail(ctx, "no") : STEAD_OK;
}

/* Receives `count` messages, and says what came. With `lazy` it begins when the row `go` of the app is there. */
STEAD_FUNCTION(watch)
{
    const char *channel = stead_query(ctx, "channel"), *keys = stead_query(ctx, "keys");
    int64_t count = stead_query_i64(ctx, "count", 1);
    struct stead_subscription *all = stead_subscribe(ctx, channel ? channel : "prices", keys);
    if (stead_failure(ctx)) return STEAD_FAILED;
    struct stead_message message;
    if (stead_query(ctx, "lazy"))
    {
        struct stead_subscription *bell = stead_subscribe(ctx, "bell", "");
        if (stead_receive(bell, 20000, &message) != STEAD_OK) return stead_fail(ctx, "no bell");
    }
    for (int64_t i = 0; i < count; i++)
    {
        if (stead_receive(all, (uint32_t)stead_query_i64(ctx, "ms", 20000), &message) != STEAD_OK)
            return stead_reply(ctx, "time out\n");
        stead_reply(ctx, "%s|%s|%s|%.*s|%llu|%llu\n", message.channel, message.key, message.content_type,
                    STEAD_FMT(message.body), (unsigned long long)message.sequence,
                    (unsigned long long)message.missed);
    }
    return STEAD_OK;
}

STEAD_FUNCTION(subscribe_many)
{
    struct stead_subscription *last = NULL;
    for (int64_t i = 0; i < stead_query_i64(ctx, "count", 1); i++) last = stead_subscribe(ctx, "prices", "");
    struct stead_message message;
    stead_receive(last, 0, &message);
    return STEAD_OK;
}

/* Started by messages; the entity is the key. */
STEAD_FUNCTION(keep)
{
    struct stead_message message;
    for (size_t i = 0; stead_message_at(ctx, i, &message); i++)
    {
        stead_add(ctx, "count", 1);
        stead_put(ctx, "last", message.body.data, message.body.size);
    }
    return STEAD_OK;
}

STEAD_FUNCTION(kept)
{
    const char *last = stead_get_text(ctx, "last");
    return stead_reply(ctx, "%lld %s", (long long)stead_get_i64(ctx, "count", 0), last ? last : "none");
}
"""

MANIFEST = """app: ticker
code: app.so
channels:
  - { name: prices, from_outside: true, http: read }
  - { name: inner }
  - { name: bell }
  - { name: alarm, http: read }
  - { name: kept }
  - { name: orders, kind: durable }
subscriptions:
  - { channel: kept, function: keep, entity: key, batch: 10 }
functions:
  - { name: publish }
  - { name: flood, timeout_ms: 60000 }
  - { name: watch, timeout_ms: 60000, pool: { max: 16 } }
  - { name: subscribe_many }
  - { name: keep }
  - { name: kept }
"""


def eventually(condition, timeout_s=20):
    """Its value, once it is true."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value


class Channels(Case):
    def setUp(self):
        self.work = self.make_dir()
        self.outward, self.inward = f"ipc://{self.work}/out", f"ipc://{self.work}/in"
        compile_so(SOURCE, self.work / "app.so")
        (self.work / "stead.yaml").write_text(MANIFEST)
        self.pool = ThreadPoolExecutor(16)
        self.addCleanup(self.pool.shutdown)

    def deployed(self, *flags):
        node = self.make_node(flags=list(flags))
        node.deploy(self.work)
        return node

    def with_bus(self, *flags):
        return self.deployed(f"--bus.publish={self.outward}", f"--bus.intake={self.inward}", *flags)

    def metric(self, node, name):
        for line in node.get("/metrics").text.splitlines():
            if line.startswith(f"stead_{name} "):
                return int(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no metric {name}")

    def watch(self, node, query="", subscriptions=1):
        """A receiver that has subscribed; its reply comes later."""
        before = self.metric(node, "subscriptions")
        watcher = self.pool.submit(node.get, f"/ticker/watch?{query}")
        self.assertTrue(eventually(lambda: watcher.done() or self.metric(node, "subscriptions") == before + subscriptions))
        return watcher

    def lines(self, watcher):
        return self.assert_ok(watcher.result()).text.splitlines()

    def test_what_is_committed_is_heard_and_what_failed_is_not(self):
        node = self.deployed()
        watcher = self.watch(node, "keys=eu/&count=2")
        self.assert_error(node.post("/ticker/publish?key=eu/x&fail=1", b"never"), 500, "function_error")
        self.assert_ok(node.post("/ticker/publish?key=us/x", b"elsewhere"))
        self.assert_ok(node.post("/ticker/publish?key=eu/paris", b"12"))
        self.assert_ok(node.post("/ticker/publish?key=eu/rome&type=text/x", b"13"))
        self.assertEqual(
            ["prices|eu/paris|text/plain; charset=utf-8|12|2|0", "prices|eu/rome|text/x|13|3|0"], self.lines(watcher)
        )

    def test_what_is_published_at_once_is_heard_although_its_function_fails(self):
        node = self.deployed()
        watchers = [self.watch(node, "count=500") for _ in range(3)]
        self.assert_error(node.post("/ticker/flood?count=500&fail=1"), 500, "function_error")
        for watcher in watchers:
            self.assertEqual([str(i) for i in range(500)], [line.split("|")[3] for line in self.lines(watcher)])

    def test_who_waits_in_vain_is_told_when_its_time_is_over(self):
        node = self.deployed()
        self.assertEqual(["time out"], self.lines(self.watch(node, "ms=30")))
        self.assertEqual(0, self.metric(node, "subscriptions"))

    def test_a_receiver_that_does_not_read_loses_only_its_own_and_is_told_how_many(self):
        node = self.deployed()
        lazy = self.watch(node, "count=1&lazy=1", subscriptions=2)
        eager = self.watch(node, "count=20000")
        for _ in range(10):
            self.assert_ok(node.post("/ticker/flood?count=2000"))
        self.assertEqual(20000, len(self.lines(eager)))
        self.assertEqual(20000 - 16384, self.metric(node, "messages_lost_total"))
        self.assert_ok(node.post("/ticker/publish?channel=bell"))
        (line,) = self.lines(lazy)
        self.assertEqual(["3617", "3616"], line.split("|")[4:])

    def test_channels_that_are_not_there_or_of_the_other_kind_and_too_much_are_refused(self):
        node = self.deployed()
        for function in ("publish", "flood", "watch"):
            self.assert_error(node.post(f"/ticker/{function}?channel=none"), 404, "channel_not_found", "none")
            self.assert_error(node.post(f"/ticker/{function}?channel=orders"), 409, "channel_kind", "durable")
        self.assert_error(node.post("/ticker/publish", b"x" * (1024 * 1024 + 1)), 413, "message_too_large", "1048577")
        self.assert_error(node.post(f"/ticker/publish?key={'k' * 401}"), 413, "message_too_large", "401")
        self.assert_ok(node.post("/ticker/subscribe_many?count=64"))
        self.assert_error(node.post("/ticker/subscribe_many?count=65"), 429, "queue_full", "64")
        self.assertEqual(0, self.metric(node, "messages_published_total"))
        self.assert_ok(node.post("/ticker/publish", b"x" * (1024 * 1024)))

    def test_messages_start_functions_for_the_entity_of_their_key(self):
        node = self.deployed()
        for i in range(20):
            self.assert_ok(node.post(f"/ticker/publish?channel=kept&key=e{i % 2}", str(i).encode()))
        for key, last in (("e0", 18), ("e1", 19)):
            self.assertTrue(eventually(lambda key=key, last=last: node.get(f"/ticker/kept/{key}").text == f"10 {last}"))
        self.assertEqual(0, self.metric(node, "messages_failed_total"))

    def test_the_node_stops_although_somebody_waits_for_messages(self):
        node = self.deployed()
        watcher = self.watch(node)
        node.term()
        self.assert_error(watcher.result(), 503, "draining")
        self.assertEqual(0, node.wait())

    def test_the_channels_of_an_app_are_listed(self):
        node = self.deployed()
        channels = {channel["name"]: channel for channel in node.cli("apps", "ticker", "--json").json["channels"]}
        self.assertEqual(["prices", "inner", "bell", "alarm", "kept", "orders"], list(channels))
        self.assertEqual(("live", True, "read", []), tuple(channels["prices"][k] for k in ("kind", "from_outside", "http", "functions")))
        self.assertEqual(["keep"], channels["kept"]["functions"])
        self.assertEqual(("durable", 168, 1024), tuple(channels["orders"][k] for k in ("kind", "keep_hours", "keep_mb")))
        self.assertRegex(node.cli("apps", "ticker").text, r"kept +live +reads +none +keep")

    # ---- event streams ----

    def follow(self, node, query="", channel="prices"):
        """A client whose stream has begun."""
        client = node.client()
        self.addCleanup(client.close)
        client.send(f"GET /ticker/channels/{channel}{query} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode())
        status, headers = client.head()
        self.assertEqual((200, "text/event-stream"), (status, headers["content-type"]))
        return client

    def events(self, client):
        """Each event as (event, id, data); a comment as its text."""
        fields = {}
        for line in client.lines():
            name, _, value = line.decode().partition(":")
            if line:
                fields[name] = value.lstrip(" ")
            elif fields:
                yield (fields.get("event"), fields.get("id"), json.loads(fields["data"])) if "data" in fields else ":"
                fields = {}

    def test_an_event_stream_tells_committed_messages_of_its_keys_without_a_worker(self):
        node = self.deployed()
        stream = self.follow(node, "?keys=eu/")
        self.assertEqual((1, 0), (self.metric(node, "channel_readers"), self.metric(node, "workers_busy")))
        self.assert_error(node.post("/ticker/publish?key=eu/x&fail=1", b"never"), 500, "function_error")
        self.assert_ok(node.post("/ticker/publish?key=us/x", b"elsewhere"))
        self.assert_ok(node.post("/ticker/publish?key=eu/paris&type=text/x", b"line\nline"))
        self.assert_ok(node.post("/ticker/publish?key=eu/rome", b"\xff\x00"))
        events = self.events(stream)
        _, number, first = next(events)
        _, _, second = next(events)
        self.assertAlmostEqual(time.time(), first.pop("time_ms") / 1000, delta=60)
        self.assertEqual({"sequence": 2, "key": "eu/paris", "content_type": "text/x", "body": "line\nline"}, first)
        self.assertEqual("2", number)
        self.assertEqual((3, "/wA="), (second["sequence"], second["body_base64"]))
        stream.close()
        self.assertTrue(eventually(lambda: self.metric(node, "channel_readers") == 0))

    def test_a_silent_event_stream_is_kept_alive_by_comments(self):
        events = self.events(self.follow(self.deployed()))
        self.assertEqual(":", next(events))

    def test_a_client_that_reads_slowly_loses_only_its_own_and_is_told_how_many(self):
        node = self.deployed()
        slow, fast = self.follow(node), self.events(self.follow(node))
        count, body = 40, b"x" * (1024 * 1024)
        for number in range(1, count + 1):
            self.assert_ok(node.post("/ticker/publish", body))
            self.assertEqual(str(number), next(fast)[1])
        lost = self.metric(node, "messages_lost_total")
        self.assertGreater(lost, 0)
        seen, missed = [], 0
        for event, number, data in self.events(slow):
            missed += data["missed"] if event == "gap" else 0
            seen += [int(number)] if number else []
            if seen and seen[-1] == count:
                break
        self.assertEqual(lost, missed)
        self.assertEqual(count, missed + len(seen))
        self.assertEqual(sorted(set(seen)), seen)

    def test_event_streams_that_cannot_be_are_refused(self):
        node = self.deployed()
        events = {"Accept": "text/event-stream"}
        self.assert_error(node.request("GET", "/ticker/channels/inner", headers=events), 403, "permission_denied", "inner", "`read`")
        self.assert_error(node.request("GET", "/ticker/channels/none", headers=events), 404, "channel_not_found", "none")
        self.assert_error(node.get("/ticker/channels/prices"), 400, "invalid_argument", "text/event-stream")
        self.assert_error(node.request("GET", f"/ticker/channels/prices?keys={'k' * 401}", headers=events), 400, "invalid_argument")
        self.assert_error(node.post("/ticker/channels/prices", b"x"), 405, "method_not_allowed")
        self.assertEqual(0, self.metric(node, "channel_readers"))

    def test_event_streams_end_with_their_channel_and_with_the_node(self):
        node = self.deployed()
        ended, going = self.follow(node), self.follow(node, channel="alarm")
        (self.work / "stead.yaml").write_text(MANIFEST.replace("{ name: prices, from_outside: true, http: read }", "{ name: prices, from_outside: true }"))
        node.deploy(self.work)
        self.assertEqual([], list(self.events(ended)))
        self.assertEqual(1, self.metric(node, "channel_readers"))
        self.assert_ok(node.post("/ticker/publish?channel=alarm", b"still"))
        events = self.events(going)
        self.assertEqual("still", next(events)[2]["body"])
        node.term()
        self.assertEqual([], list(events))
        self.assertEqual(0, node.wait())

    # ---- programs outside ----

    def nngcat(self, *arguments, **popen):
        if not shutil.which("nngcat"):
            self.skipTest("nngcat is not installed (nng-utils)")
        process = subprocess.Popen(["nngcat", *arguments], stdout=subprocess.PIPE, text=True, **popen)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        return process

    def push(self, data):
        self.assertEqual(0, self.nngcat("--push", "--dial", self.inward, "--data", data).wait(20))

    def test_nngcat_hears_a_channel_by_the_beginning_of_its_messages(self):
        node = self.with_bus()
        cat = self.nngcat("--sub", "--dial", self.outward, "--subscribe", "ticker/prices eu/", "--ascii", "--count", "1")

        def heard():
            self.assert_ok(node.post("/ticker/publish?key=us/boston", b"no"))
            self.assert_ok(node.post("/ticker/publish?key=eu/paris", b"12.5"))
            return cat.poll() is not None

        self.assertTrue(eventually(heard))
        text = cat.stdout.read()
        self.assertRegex(text, r"\Aticker/prices eu/paris \d+ \d{13} text/plain; charset=utf-8")
        self.assertTrue(text.rstrip().endswith("12.5"), text)

    def test_nngcat_publishes_into_a_channel_that_allows_it_and_into_no_other(self):
        node = self.with_bus()
        watcher = self.watch(node, "count=2")
        inner = self.watch(node, "channel=inner&ms=3000")
        self.push("ticker/prices eu/ro%20me\n9.75")
        self.push("ticker/inner eu\nno")  # not from_outside
        self.push("ticker/none eu\nno")
        self.push("nonsense")
        self.push("ticker/prices bad%zz\nno")
        self.push("ticker/prices last 7 8 text/x\nyes")
        self.assertEqual(
            ["prices|eu/ro me|text/plain; charset=utf-8|9.75|1|0", "prices|last|text/x|yes|2|0"], self.lines(watcher)
        )
        self.assertEqual(["time out"], self.lines(inner))
        self.assertEqual(6, self.metric(node, "bus_received_total"))
        self.assertEqual(4, self.metric(node, "bus_refused_total"))
        (told,) = [line for line in node.log_text().splitlines() if "bus.refused" in line]
        self.assertIn("code=permission_denied channel 'ticker/inner' does not say `from_outside: true`; further ones are only counted", told)

    def test_the_first_malformed_message_from_outside_is_told(self):
        node = self.with_bus()
        self.push("nonsense")
        node.wait_log("bus.refused code=invalid_argument .*line", 20)
        self.assertEqual(1, self.metric(node, "bus_refused_total"))

    def test_a_program_that_floods_slows_itself_only(self):
        node = self.with_bus("--bus.intake_per_second=2000")
        flood = [
            self.nngcat("--push", "--dial", self.inward, "--data", "ticker/prices x\ny", "--interval", "0", "--count", "50000")
            for _ in range(2)
        ]
        self.assertTrue(eventually(lambda: self.metric(node, "bus_received_total") > 1000))
        begun, before = time.monotonic(), self.metric(node, "bus_received_total")
        for i in range(50):
            self.assert_ok(node.post(f"/ticker/publish?channel=kept&key=k{i}", b"1"))
        self.assertTrue(eventually(lambda: node.get("/ticker/kept/k49").text == "1 1"))
        took_s = time.monotonic() - begun
        taken = self.metric(node, "bus_received_total") - before
        self.assertLess(taken, 2000 * (took_s + 1.5))
        for process in flood:
            process.kill()

    def test_a_node_hears_the_channels_of_another_one(self):
        first = self.with_bus()
        second = self.deployed(f"--bus.peers={self.outward}")
        watcher = self.watch(second, "channel=inner")

        def heard():
            self.assert_ok(first.post("/ticker/publish?channel=inner&key=k", b"news"))
            return watcher.done()

        self.assertTrue(eventually(heard))
        (line,) = self.lines(watcher)
        self.assertEqual(["inner", "k", "text/plain; charset=utf-8", "news", "1", "0"], line.split("|"))

    def test_a_node_that_was_killed_takes_its_sockets_over(self):
        node = self.with_bus()
        node.kill9()
        node.restart()
        watcher = self.watch(node)
        self.push("ticker/prices k\nagain")
        self.assertEqual(["prices|k|text/plain; charset=utf-8|again|1|0"], self.lines(watcher))

    def test_an_address_that_is_none_is_told_when_the_node_starts(self):
        node = self.make_node(start=False, flags=["--bus.publish=nonsense"])
        node.launch()
        self.assertNotEqual(0, node.wait())
        self.assertIn("bus: publish at nonsense", node.log_text())


if __name__ == "__main__":
    main()
