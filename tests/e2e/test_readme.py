"""test_readme.py - the app of the README, taken from its text, built and called as it says."""
# SPDX-License-Identifier: Apache-2.0
import re
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from harness.case import NodeCase, main
from harness.paths import SOURCE_DIR

README = (SOURCE_DIR / "README.md").read_text()


def block(language, beginning):
    """The first fenced block of this language that begins so."""
    return re.search(rf"^```{language}\n({re.escape(beginning)}.*?)^```$", README, re.DOTALL | re.MULTILINE).group(1)


class Readme(NodeCase):
    @classmethod
    def prepare(cls):
        app = cls.work / "bank"
        app.mkdir()
        (app / "bank.c").write_text(block("c", "#include <stead/stead.h>"))
        (app / "stead.yaml").write_text(block("yaml", "# stead.yaml"))
        cls.node.deploy(app)
        cls.node.cli("state", "put", "bank/ann", "balance", "-d", "25")

    def balances(self):
        read = lambda name: self.node.cli("state", "get", f"bank/{name}", "balance", check=False).out.strip()
        return read("ann"), read("bob")

    def test_transfers_move_money_until_there_is_none_and_leave_nothing_half(self):
        target = re.search(r"127\.0\.0\.1:8080(/bank/transfer\S+)'", README).group(1)
        self.assert_ok(self.node.post(target))
        self.assert_ok(self.node.post(target))
        self.assertEqual(("5", "20"), self.balances())
        reply = self.node.post(target)
        self.assertEqual((409, "ann has too little"), (reply.status, reply.error["message"]), reply)
        self.assertEqual(("5", "20"), self.balances())
        self.assertEqual(400, self.node.post("/bank/transfer?from=ann").status)


if __name__ == "__main__":
    main()
