"""checker.py - is a history of transactions strictly serializable? Finds cycles of dependencies and names them."""
# SPDX-License-Identifier: Apache-2.0
#
# Registers are lists to which transactions append values that are unique per key. So one read shows the order of all
# writes before it, and the dependencies between transactions can be inferred instead of guessed (the idea of Elle:
# Kingsbury and Alvaro, VLDB 2020):
#
#   ww   T wrote the version after the one that S wrote           S before T
#   wr   T read the version that S wrote                          S before T
#   rw   T wrote the version after the one that S read            S before T
#   rt   S was answered before T was sent                         S before T   (real time)
#
# A history is strictly serializable only if these edges have no cycle. What is claimed is certain: every edge follows
# from what clients saw, never from a guess about timing. What is not seen is not claimed.
from collections import defaultdict, deque

OK, FAIL, UNKNOWN = "ok", "fail", "unknown"


class Txn:
    """One transaction as its client saw it.

    ops      ("append", key, value), ("read", key, [values]), ("scan", prefix, {key: [values]}), in order
    outcome  OK: answered with success; FAIL: answered, and it must have had no effect; UNKNOWN: no answer
    start, end   when it was sent and answered, on one clock; `end` means nothing when UNKNOWN
    """

    def __init__(self, name, ops, start=0, end=0, outcome=OK, process=None):
        self.name = name
        self.ops = ops
        self.start = start
        self.end = end
        self.outcome = outcome
        self.process = process

    def __repr__(self):
        ops = ", ".join(" ".join(map(str, op)) for op in self.ops)
        return f"{self.name}[{self.start:.6f}..{self.end:.6f} {self.outcome}: {ops}]"


class Anomaly:
    def __init__(self, kind, text, txns=()):
        self.kind = kind
        self.text = text
        self.txns = list(txns)

    def __repr__(self):
        return f"{self.kind}: {self.text}"


def check(history):
    """All anomalies found in a list of Txn; none: the history is strictly serializable as far as can be seen."""
    return _Check(history).run()


class _Check:
    def __init__(self, history):
        self.history = history
        self.anomalies = []
        self.writer = {}  # (key, value) -> Txn
        self.appends = defaultdict(list)  # key -> [(value, Txn)]
        self.last_append = {}  # (Txn name, key) -> its last value for that key
        self.keys = set()
        self.reads = defaultdict(list)  # key -> [(Txn, values before its own appends)]
        self.order = {}  # key -> values in the order of their versions

    def run(self):
        self._collect_writes()
        self._collect_reads()
        self._collect_orders()
        self._check_values()
        self._check_lost_updates()
        self._check_cycles()
        return self.anomalies

    def _report(self, kind, text, *txns):
        self.anomalies.append(Anomaly(kind, text, txns))

    # ---- what was written and seen ----

    def _collect_writes(self):
        for txn in self.history:
            for op in txn.ops:
                if op[0] == "append":
                    _, key, value = op
                    if (key, value) in self.writer:
                        raise ValueError(f"the test itself is wrong: {value} is appended to {key} twice")
                    self.writer[key, value] = txn
                    self.appends[key].append((value, txn))
                    self.last_append[txn.name, key] = value
                    self.keys.add(key)
                elif op[0] == "read":
                    self.keys.add(op[1])
                elif op[0] == "scan":
                    self.keys.update(op[2])

    def _collect_reads(self):
        """External reads; what a transaction sees of its own appends is checked and taken off."""
        for txn in self.history:
            if txn.outcome != OK:
                continue
            own = defaultdict(list)
            before = {}
            for op in txn.ops:
                if op[0] == "append":
                    own[op[1]].append(op[2])
                    continue
                seen = {op[1]: op[2]} if op[0] == "read" else self._scanned(op)
                for key, values in seen.items():
                    self._take_read(txn, key, values, own[key], before)
            for key, values in before.items():
                self.reads[key].append((txn, values))

    def _scanned(self, op):
        """A scan has read every key of its prefix, also those that it did not find."""
        _, prefix, rows = op
        seen = {key: [] for key in self.keys if key.startswith(prefix)}
        for key in rows:
            if not key.startswith(prefix):
                self._report("internal", f"a scan of {prefix} returned {key}")
        seen.update(rows)
        return seen

    def _take_read(self, txn, key, values, own, before):
        if values[len(values) - len(own) :] != own:
            self._report("internal", f"{txn.name} read {key} = {values} after it had appended {own}", txn)
            return
        external = values[: len(values) - len(own)]
        if key not in before:
            before[key] = external
        elif before[key] != external:
            self._report("internal", f"{txn.name} read {key} twice: {before[key]}, then {external}", txn)

    # ---- versions ----

    def _collect_orders(self):
        for key in self.keys:
            longest = []
            for _, values in self.reads[key]:
                if len(values) > len(longest):
                    longest = values
            for txn, values in self.reads[key]:
                if longest[: len(values)] != values:
                    self._report(
                        "incompatible-order", f"{key} was read as {_short(values)} and as {_short(longest)}", txn
                    )
            self.order[key] = longest

    def _check_values(self):
        for key, order in self.order.items():
            seen = set()
            for value in order:
                if value in seen:
                    self._report("duplicate-write", f"{value} is in {key} more than once: {_short(order)}")
                seen.add(value)
                txn = self.writer.get((key, value))
                if txn is None:
                    self._report("garbage-read", f"{value} in {key} was never written")
                elif txn.outcome == FAIL:
                    self._report("aborted-read", f"{value} in {key} is of {txn.name}, which had failed", txn)
            for txn, values in self.reads[key]:
                if not values:
                    continue
                writer = self.writer.get((key, values[-1]))
                if writer and writer is not txn and self.last_append[writer.name, key] != values[-1]:
                    self._report(
                        "intermediate-read",
                        f"{txn.name} read {key} up to {values[-1]}, between two appends of {writer.name}",
                        txn,
                        writer,
                    )

    def _check_lost_updates(self):
        """Two transactions that both read one version and both wrote the next."""
        for key, reads in self.reads.items():
            groups = defaultdict(list)
            for txn, values in reads:
                if (txn.name, key) in self.last_append:
                    groups[tuple(values)].append(txn)
            for values, txns in groups.items():
                if len(txns) > 1:
                    names = ", ".join(txn.name for txn in txns)
                    self._report("lost-update", f"{names} all read {key} = {_short(list(values))} and wrote", *txns)

    # ---- dependencies ----

    def _edges(self):
        """(from, to) -> {kind: why}."""
        edges = defaultdict(dict)

        def add(source, target, kind, why):
            if source is not None and target is not None and source is not target:
                edges[source.name, target.name].setdefault(kind, why)

        for key in self.keys:
            order = self.order[key]
            writers = [self.writer.get((key, value)) for value in order]
            # An acknowledged append that nobody saw comes after everything that was seen.
            present = set(order)
            unseen = [(v, txn) for v, txn in self.appends[key] if txn.outcome == OK and v not in present]
            for i in range(1, len(order)):
                add(writers[i - 1], writers[i], "ww", f"{key}: {order[i - 1]}, then {order[i]}")
            for value, txn in unseen:
                if order:
                    add(writers[-1], txn, "ww", f"{key}: {order[-1]}, then the unseen {value}")
            for txn, values in self.reads[key]:
                if order[: len(values)] != values:
                    continue  # reported already; nothing follows from it
                if values:
                    add(self.writer.get((key, values[-1])), txn, "wr", f"{key}: read {values[-1]}")
                if len(values) < len(order):
                    add(txn, writers[len(values)], "rw", f"{key}: did not see {order[len(values)]}")
                else:
                    for value, writer in unseen:
                        add(txn, writer, "rw", f"{key}: did not see {value}")
        for source, target in self._real_time():
            add(source, target, "rt", "was answered before the other was sent")
        return edges

    def _real_time(self):
        """Enough edges that every other one follows: from those answered last before a start."""
        answered = sorted((txn for txn in self.history if txn.outcome == OK), key=lambda txn: txn.end)
        seen = [txn for txn in self.history if txn.outcome != FAIL]
        frontier, at = [], 0
        for txn in sorted(seen, key=lambda txn: txn.start):
            while at < len(answered) and answered[at].end < txn.start:
                done = answered[at]
                # Whoever ended before `done` began is ordered through `done`.
                frontier = [other for other in frontier if other.end >= done.start]
                frontier.append(done)
                at += 1
            for other in frontier:
                yield other, txn

    # ---- cycles ----

    def _check_cycles(self):
        edges = self._edges()
        plans = (
            ("G0", {"ww"}, None),
            ("G1c", {"ww", "wr"}, None),
            ("G-single", {"ww", "wr"}, "rw"),
            ("G2", {"ww", "wr", "rw"}, None),
            ("G0-realtime", {"ww", "rt"}, None),
            ("G1c-realtime", {"ww", "wr", "rt"}, None),
            ("G-single-realtime", {"ww", "wr", "rt"}, "rw"),
            ("G2-realtime", {"ww", "wr", "rw", "rt"}, None),
        )
        every = {"ww", "wr", "rw", "rt"}
        suspects = [part for part in components(_graph(edges, every)) if len(part) > 1]
        for part in suspects:
            inside = set(part)
            for name, kinds, once in plans:
                cycle = _cycle(edges, inside, kinds, once)
                if cycle:
                    self._report_cycle(name, cycle, edges, kinds | ({once} if once else set()))
                    break

    def _report_cycle(self, name, cycle, edges, kinds):
        steps, used = [], set()
        for source, target in zip(cycle, cycle[1:] + cycle[:1]):
            why = {kind: text for kind, text in edges[source, target].items() if kind in kinds}
            kind = next(kind for kind in ("ww", "wr", "rw", "rt") if kind in why)
            used.add(kind)
            steps.append(f"{source} -{kind}-> {target} ({why[kind]})")
        if name == "G-single-realtime" and used <= {"rw", "rt", "wr"}:
            name = "stale-read"
        by_name = {txn.name: txn for txn in self.history}
        self._report(name, "; ".join(steps), *[by_name[step] for step in cycle])


def _short(values):
    return values if len(values) <= 12 else [*values[:3], "...", *values[-8:]]


def _graph(edges, kinds, inside=None):
    graph = defaultdict(list)
    for (source, target), found in edges.items():
        if inside is not None and (source not in inside or target not in inside):
            continue
        if not kinds.isdisjoint(found):
            graph[source].append(target)
    return graph


def components(graph):
    """Strongly connected components (Tarjan), without recursion."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []
    for root in list(graph):
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(graph.get(target, ()))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    part = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        part.append(member)
                        if member == node:
                            break
                    found.append(part)
    return found


def _path(graph, source, target):
    """The shortest path as a list of nodes, None when there is none."""
    before = {source: None}
    queue = deque([source])
    while queue:
        node = queue.popleft()
        for step in graph.get(node, ()):
            if step in before:
                continue
            before[step] = node
            if step == target:
                path = [step]
                while before[path[-1]] is not None:
                    path.append(before[path[-1]])
                return path[::-1]
            queue.append(step)
    return None


def _cycle(edges, inside, kinds, once):
    """A short cycle inside a component by edges of `kinds`, with exactly one of kind `once` when that is given."""
    graph = _graph(edges, kinds, inside)
    if once is None:
        for part in components(graph):
            if len(part) > 1:
                members = set(part)
                narrow = {node: [t for t in graph.get(node, ()) if t in members] for node in part}
                return _shortest_through(narrow, part[:50])
        return None
    for (source, target), found in edges.items():
        if once in found and source in inside and target in inside:
            path = _path(graph, target, source)
            if path:
                return path
    return None


def _shortest_through(graph, starts):
    best = None
    for start in starts:
        for step in graph[start]:
            path = [start] if step == start else _path(graph, step, start)
            if path and (best is None or len(path) < len(best)):
                best = path
    return best
