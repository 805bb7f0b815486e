"""test_places.py - apps with mounts and with a network: what is listed is theirs, all else is as far away as without."""
# SPDX-License-Identifier: Apache-2.0
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from harness.apps import make_app
from harness.case import Case, main
from harness.node import Node
from harness.paths import bin_dir
from hostile import ANOTHER_USER, FLAGS, FN


def functions_of(name):
    text = (FN / f"{name}.c").read_text() + (FN / "attack.h").read_text()
    return re.findall(r"^(?:STEAD_FUNCTION|ATTACK)\((\w+)[,)]", text, re.MULTILINE)


class Echo:
    """Answers each line on a port of its own; counts who came."""

    def __init__(self, family=socket.AF_INET, address="127.0.0.1"):
        self.callers = 0
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind((address, 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            while True:
                peer, _ = self._listener.accept()
                self.callers += 1
                threading.Thread(target=self._talk, args=(peer,), daemon=True).start()
        except OSError:
            return

    @staticmethod
    def _talk(peer):
        with peer:
            while data := peer.recv(4096):
                peer.sendall(b"echo " + data)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class PlacesCase(Case):
    user = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = Path(tempfile.mkdtemp(prefix="stead-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        cls.root.chmod(0o755)
        cls.lay_out_files()
        cls.start_node()
        cls.listed, cls.unlisted = Echo(), Echo()
        cls.addClassCleanup(cls.listed.close)
        cls.addClassCleanup(cls.unlisted.close)
        cls.node.deploy(cls.places_app("places", cls.mounts()))
        cls.node.deploy(cls.dialer_app())

    @classmethod
    def lay_out_files(cls):
        for name, text in (("geo.db", "the world"), ("tree/a", "leaf a"), ("tree/deep/b", "leaf b"), ("beside", "secret")):
            path = cls.root / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o666)  # only the sandbox keeps it from being written

    @classmethod
    def start_node(cls):
        home = cls.root / "home"
        home.mkdir()
        identity = {}
        if cls.user is not None:
            for name in ("steadd", "stead", "stead-zygote"):
                shutil.copy(bin_dir() / name, cls.root / name)
            os.chown(home, cls.user, cls.user)
            identity = {"user": cls.user, "group": cls.user, "extra_groups": []}
        before = os.environ.get("STEAD_BIN_DIR")
        os.environ["STEAD_BIN_DIR"] = str(cls.root if cls.user is not None else bin_dir())
        cls.node = Node(data=home / "data")
        cls.addClassCleanup(cls.node.close)
        try:
            cls.node.start(**identity)
        finally:
            os.environ.pop("STEAD_BIN_DIR") if before is None else os.environ.update(STEAD_BIN_DIR=before)

    @classmethod
    def mounts(cls):
        return [(cls.root / "files" / "geo.db", "/data/geo.db"), (cls.root / "files" / "tree", "/srv/deep/tree")]

    @classmethod
    def places_app(cls, name, mounts):
        head = ["mounts:"] + [f'  - {{ from: "{here}", to: "{there}" }}' for here, there in mounts]
        return make_app(cls.root / name, name, FN / "places.c", functions_of("places"), flags=FLAGS, head=head)

    @classmethod
    def dialer_app(cls):
        closed = socket.socket()  # bound, not listening: nobody answers
        closed.bind(("127.0.0.1", 0))
        cls.addClassCleanup(closed.close)
        cls.closed_port = closed.getsockname()[1]
        allow = [f"127.0.0.1:{cls.listed.port}", f"localhost:{cls.listed.port}", f"127.0.0.1:{cls.closed_port}"]
        allow += ["no-such-host.invalid:80", f"127.1:{cls.listed.port}"]
        head = ["sandbox: network", "network:", "  allow: [" + ", ".join(f'"{place}"' for place in allow) + "]"]
        return make_app(cls.root / "dialer", "dialer", FN / "dialer.c", functions_of("dialer"), flags=FLAGS, head=head)

    def ask(self, app, function, **query):
        return self.node.post(f"/{app}/{function}?" + "&".join(f"{name}={value}" for name, value in query.items()))

    def tells(self, text, app, function, **query):
        self.assertEqual((200, text), ((reply := self.ask(app, function, **query)).status, reply.text), reply)

    def refused(self, app, function, *reasons, **query):
        reply = self.ask(app, function, **query)
        self.assertEqual(200, reply.status, reply)
        self.assertIn(reply.text, [f"refused {reason}" for reason in reasons or ("EPERM", "EACCES")])

    def refuses_to_deploy(self, directory, *words):
        done = self.node.deploy(directory, check=False)
        self.assertNotEqual(0, done.code, done)
        for word in words:
            self.assertIn(word, done.text)


class Places:
    """For a node of root and for one of a normal user."""

    # ---- mounts ----

    def test_a_mounted_file_can_be_read(self):
        self.tells("the world", "places", "reads", path="/data/geo.db")

    def test_a_mounted_directory_can_be_read_to_its_depths(self):
        self.tells("leaf b", "places", "reads", path="/srv/deep/tree/deep/b")
        self.assertEqual({"a", "deep"}, set(self.ask("places", "lists", path="/srv/deep/tree").text.split()))

    def test_what_lies_beside_a_mounted_file_is_not_there(self):
        self.refused("places", "reads", "ENOENT", "EACCES", path="/data/beside")
        self.refused("places", "reads", "ENOENT", "EACCES", path=self.root / "files" / "beside")
        self.refused("places", "reads", "ENOENT", "EACCES", path="/srv/deep/tree/../../../../files/beside")

    def test_the_machine_is_not_there(self):
        for path in ("/etc/passwd", "/etc/shadow", "/proc/self/maps", "/proc/1/environ", "/dev/null", "/sys", "/root"):
            with self.subTest(path):
                self.refused("places", "reads", "ENOENT", "EACCES", path=path)
                self.refused("places", "lists", "ENOENT", "EACCES", "ENOTDIR", path=path)

    def test_its_root_and_system_libraries_cannot_be_listed(self):
        for path in ("/", "/usr", "/data"):
            self.refused("places", "lists", path=path)

    def test_the_code_itself_cannot_be_read_by_the_worker(self):
        self.refused("places", "reads", path="/app.so")

    def test_mounted_files_cannot_be_written(self):
        for attack in ("writes", "appends", "truncates_while_reading", "maps_for_writing", "removes", "creates"):
            with self.subTest(attack):
                self.refused("places", attack, "EPERM", "EACCES", "EROFS", path="/data/geo.db")
        self.assertEqual("the world", (self.root / "files" / "geo.db").read_text())

    def test_files_cannot_be_made_in_mounted_directories(self):
        self.refused("places", "creates", "EPERM", "EACCES", "EROFS", path="/srv/deep/tree/new")
        self.refused("places", "creates_nameless", "EPERM", "EACCES", "EROFS", path="/srv/deep/tree")
        self.assertFalse((self.root / "files" / "tree" / "new").exists())

    def test_mounted_files_are_no_code(self):
        self.refused("places", "maps_as_code", path="/data/geo.db")

    def test_mounts_cannot_be_changed_or_left(self):
        for attack in ("remounts_writable", "changes_mount", "unmounts", "opens_tree", "enters", "changes_root", "pivots"):
            with self.subTest(attack):
                self.refused("places", attack, path="/srv/deep/tree")

    def test_paths_cannot_be_held_nor_opened_by_newer_calls(self):
        self.refused("places", "holds_path", path="/data/geo.db")
        self.refused("places", "opens_anew", path="/data/geo.db")

    def test_an_initialiser_sees_no_machine_either(self):
        self.tells("", "places", "told")

    def test_a_link_out_of_a_mounted_directory_leads_nowhere(self):
        (self.root / "files" / "tree" / "out").symlink_to(self.root / "files" / "beside")
        self.addCleanup((self.root / "files" / "tree" / "out").unlink)
        self.refused("places", "reads", "ENOENT", "EACCES", path="/srv/deep/tree/out")

    def test_a_missing_path_is_told_with_file_line_and_field(self):
        app = self.places_app("missing", [(self.root / "files" / "geo.db", "/a"), ("/srv/no-such.db", "/b")])
        self.refuses_to_deploy(app, "stead.yaml:5: mounts[1].from: `/srv/no-such.db` is not there")

    def test_the_data_of_the_node_cannot_be_mounted(self):
        for path in (self.node.data, self.node.data / "apps", self.root / "home"):
            with self.subTest(path):
                self.refuses_to_deploy(self.places_app("thief", [(path, "/a")]), "stead.yaml:4: mounts[0].from", "own data")

    def test_what_the_app_may_not_read_is_told_when_it_is_deployed(self):
        secret = self.root / "files" / "closed"
        secret.write_text("x")
        secret.chmod(0o600)
        self.addCleanup(secret.unlink)
        if self.user is None and os.getuid() != 0:
            self.skipTest("the node's user owns the file, and may read it")
        self.refuses_to_deploy(self.places_app("curious", [(secret, "/a")]), "mounts[0].from", "cannot read", str(secret))

    # ---- network ----

    def test_a_listed_place_can_be_talked_to(self):
        self.tells("echo hello\n", "dialer", "talks", host="127.0.0.1", port=self.listed.port)
        self.tells("echo hello\n", "dialer", "talks", host="LOCALHOST", port=self.listed.port)

    def not_allowed(self, host, port):
        reply = self.ask("dialer", "dials", host=host, port=port)
        self.assertGreaterEqual(reply.status, 400, reply)
        self.assertEqual("permission_denied", reply.error["code"], reply)
        return reply.error["message"]

    def test_a_port_that_is_not_listed_is_not_reached(self):
        came = self.unlisted.callers
        self.assertIn("network.allow", self.not_allowed("127.0.0.1", self.unlisted.port))
        self.assertEqual(came, self.unlisted.callers)

    def test_a_host_that_is_not_listed_is_not_reached(self):
        for host in ("127.0.0.2", "0.0.0.0", "127.000.000.001", "2130706433", "::1", "::ffff:127.0.0.1", "10.0.0.1"):
            with self.subTest(host):
                self.not_allowed(host, self.listed.port)

    def test_the_node_itself_is_not_reached(self):
        self.not_allowed("127.0.0.1", self.node.address[1])
        self.not_allowed("localhost", self.node.address[1])

    def test_a_name_that_leads_to_this_machine_is_not_reached_although_it_is_listed(self):
        self.assertIn("this machine", self.not_allowed("127.1", self.listed.port))

    def test_who_does_not_answer_is_unreachable_which_is_no_failure(self):
        reply = self.assert_ok(self.ask("dialer", "dials", host="127.0.0.1", port=self.closed_port))
        self.assertIn("unreachable: connect to 127.0.0.1", reply.text)

    def test_a_name_without_an_address_is_unreachable(self):
        reply = self.assert_ok(self.ask("dialer", "dials", host="no-such-host.invalid", port=80))
        self.assertIn("unreachable: `no-such-host.invalid` has no address", reply.text)

    def test_it_can_make_no_sockets_itself(self):
        for attack in ("tcp", "tcp6", "udp", "raw", "packet", "unix", "netlink"):
            with self.subTest(attack):
                self.refused("dialer", f"opens_{attack}")
        self.refused("dialer", "makes_pair")
        self.refused("dialer", "reads_files")

    def test_a_connected_socket_cannot_be_used_otherwise(self):
        came = self.unlisted.callers
        for attack in (
            "turns_a_socket",
            "undoes_a_socket",
            "sends_elsewhere",
            "gives_away",
            "binds_to_device",
            "attaches_a_program",
            "repairs",
            "marks",
            "sets_ip_options",
            "listens",
        ):
            with self.subTest(attack):
                self.refused("dialer", attack, host="127.0.0.1", port=self.listed.port)
        self.assertEqual(came, self.unlisted.callers)

    def test_rubbish_does_not_confuse_the_broker(self):
        self.tells("it went on", "dialer", "talks_rubbish_to_the_broker")
        self.test_a_listed_place_can_be_talked_to()

    def test_a_flooded_broker_serves_the_next_worker(self):
        self.ask("dialer", "floods_the_broker")
        self.test_a_listed_place_can_be_talked_to()

    def test_connections_are_bounded_by_the_descriptors_of_a_worker(self):
        came = self.listed.callers
        self.ask("dialer", "hoards", host="127.0.0.1", port=self.listed.port)
        self.assertLess(self.listed.callers - came, 70)
        self.test_a_listed_place_can_be_talked_to()

    def test_an_app_without_the_profile_is_told_what_to_say(self):
        app = make_app(self.root / "plain", "plain", FN / "dialer.c", functions_of("dialer"), flags=FLAGS)
        self.node.deploy(app)
        reply = self.node.post(f"/plain/dials?host=127.0.0.1&port={self.listed.port}")
        self.assertEqual("permission_denied", reply.error["code"], reply)
        self.assertIn("sandbox: network", reply.error["message"])

    def test_brokers_end_with_their_workers_and_zygotes(self):
        self.test_a_listed_place_can_be_talked_to()
        self.node.cli("remove", "dialer")
        self.addCleanup(lambda: self.node.deploy(self.dialer_app_again()))
        deadline = threading.Event()
        for _ in range(200):
            if not self.processes_of("dialer"):
                return
            deadline.wait(0.05)
        self.fail(f"still there: {self.processes_of('dialer')}")

    def dialer_app_again(self):
        return self.root / "dialer"

    def processes_of(self, app):
        found = []
        for entry in Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            parent = self.node.process.pid
            if entry.name.isdigit() and line[0].endswith(b"stead-zygote") and line[1:2] == [app.encode()]:
                if self.descends_from(entry.name, parent):
                    found.append(entry.name)
        return found

    @staticmethod
    def descends_from(pid, ancestor):
        while int(pid) > 1:
            if int(pid) == ancestor:
                return True
            try:
                pid = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]
            except OSError:
                return False
        return False


class OfThisUser(Places, PlacesCase):
    """With the user that runs the tests."""


@unittest.skipUnless(os.getuid() == 0, "another user can be had by root only")
class OfNormalUser(Places, PlacesCase):
    """A node without root."""

    user = ANOTHER_USER


if __name__ == "__main__":
    main()
