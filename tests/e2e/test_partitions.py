"""test_partitions.py - an app whose entities are spread over several partitions."""
# SPDX-License-Identifier: Apache-2.0
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from harness.apps import make_app
from harness.case import Case, NodeCase, main

SOURCE = Path(__file__).parent / "fn" / "parts.c"


def parts_app(directory, partitions, **fields):
    app = make_app(Path(directory) / f"parts{partitions}", "parts", SOURCE, ["add", "move", "peek"], [])
    manifest = app / "stead.yaml"
    text = manifest.read_text() + f"partitions: {partitions}\n"
    for name, value in fields.items():
        text += f"{name}: {value}\n"
    manifest.write_text(text)
    return app


class Partitions(NodeCase):
    @classmethod
    def prepare(cls):
        cls.node.deploy(parts_app(cls.work, 4))

    def partition_of(self, entity):
        return self.node.cli("explain", "invoke", f"parts/add/{entity}", "--json").json["partition"]

    def two_apart(self):
        first = self.partition_of("e/0")
        for i in range(1, 100):
            if self.partition_of(f"e/{i}") != first:
                return "e/0", f"e/{i}"
        self.fail("100 entities in one of 4 partitions")

    def test_entities_of_all_partitions_are_found_again_and_listed_in_order(self):
        entities = [f"many/{i:02}" for i in range(20)]
        for entity in entities:
            self.assertEqual("1\n", self.assert_ok(self.node.post(f"/parts/add/{entity}")).text)
        self.assertGreater(len({self.partition_of(entity) for entity in entities}), 1)
        for entity in entities:
            self.assertEqual("2\n", self.assert_ok(self.node.post(f"/parts/add/{entity}")).text)
            self.assertEqual("2", self.node.cli("state", "get", f"parts/{entity}", "n").text.strip())
        listed = [word for word in self.node.cli("state", "ls", "parts", "many/").text.split() if word.startswith("many/")]
        self.assertEqual(entities, listed)

    def test_a_write_to_another_partition_names_both_and_keeps_nothing(self):
        mine, theirs = self.two_apart()
        before = self.node.post(f"/parts/peek/{mine}?of={mine}").text
        error = self.assert_error(self.node.post(f"/parts/move/{mine}?to={theirs}"), 409, "foreign_partition", theirs,
                                  f"partition {self.partition_of(mine)}", f"partition {self.partition_of(theirs)}", "tag")
        self.assertTrue(error["invocation"])
        self.assertEqual(before, self.node.post(f"/parts/peek/{mine}?of={mine}").text)

    def test_a_read_of_another_partition_is_no_empty_answer(self):
        mine, theirs = self.two_apart()
        self.assert_error(self.node.post(f"/parts/peek/{mine}?of={theirs}"), 409, "foreign_partition", theirs)

    def test_a_tag_keeps_entities_together(self):
        self.assertEqual("moved\n", self.assert_ok(self.node.post("/parts/move/cart/{7}?to=order/{7}")).text)

    def test_explain_tells_where_and_why(self):
        said = self.node.cli("explain", "invoke", "parts/add/x").text
        self.assertRegex(said, r"partition [0-3] of 4, on this node: the partition of its entity is there")
        wrong = self.node.cli("explain", "invoke", "parts/nope/x", check=False)
        self.assertEqual(1, wrong.code, wrong)
        self.assertIn("has no function", wrong.text + wrong.err)

    def test_usage_counts_what_ran_in_all_partitions(self):
        def runs():
            rows = self.node.cli("usage", "parts", "--json").json["usage"]
            return sum(row["invocations"] for row in rows if row["function"] == "add")

        before = runs()
        for i in range(8):
            self.assert_ok(self.node.post(f"/parts/add/u/{i}"))
        self.assertEqual(before + 8, runs())

    def test_another_number_of_partitions_is_refused_with_the_way_to_change_it(self):
        refused = self.node.cli("deploy", str(parts_app(self.work, 2)), check=False)
        self.assertEqual(1, refused.code, refused)
        said = refused.text + refused.err
        self.assertRegex(said, re.compile("partitions: .*has 4, the manifest says 2.*stead state export", re.DOTALL))
        self.assert_ok(self.node.post("/parts/add/still-there"))

    def test_a_number_of_partitions_out_of_range_is_told_with_its_line(self):
        refused = self.node.cli("deploy", str(parts_app(self.work, 65)), check=False)
        self.assertRegex(refused.text + refused.err, r"stead\.yaml:\d+: partitions: expected a number from 1 to 64, found `65`")


WHERE = r"""
#include <poll.h>
#include <unistd.h>
#include <stead/stead.h>

STEAD_FUNCTION(where)
{
    poll(NULL, 0, (int)stead_query_i64(ctx, "ms", 0));
    return stead_reply(ctx, "%d\\n", (int)getpid());
}
"""


class Locality(Case):
    def test_an_entity_goes_back_to_the_worker_that_had_it_last(self):
        node = self.make_node()
        function = {"name": "where", "concurrency": 4, "pool": "{ min: 4, max: 4 }"}
        node.deploy(make_app(self.make_dir(), "tiny", WHERE, [function]))
        entities = [f"e{i}" for i in range(4)]
        with ThreadPoolExecutor(4) as pool:
            had = dict(zip(entities, pool.map(lambda e: node.post(f"/tiny/where/{e}?ms=300").text, entities)))
        self.assertGreater(len(set(had.values())), 1)
        for entity in entities * 3:
            self.assertEqual(had[entity], self.assert_ok(node.post(f"/tiny/where/{entity}")).text)


if __name__ == "__main__":
    main()
