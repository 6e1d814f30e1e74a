"""Measure what each mechanism of geotables gives, alone, in one run: what ``make bench-mechanisms`` does.

For each, a copy of the rendered service has the plain way in its place. The two take turns with the operation that the mechanism is
for, and have to give the same answers. The ratio is that of the plain way to the service's, of the CPU time of both and PostgreSQL's.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import measure
from peers import Peer, about, answer, of_the_service, rows_of, serve_the_service
from rows import BUILD, Prepared, prepare, render

RESULTS = BUILD / "mechanisms.csv"


class Mechanism(NamedTuple):
    """What makes an operation cheaper, and the plain way to do the same.

    Attributes:
        name: What it does.
        instead: What the plain way does.
        operation: What it is for.
        file: Of ``geotables``.
        ours: The text that it is.
        plain: The text of the plain way.
    """

    name: str
    instead: str
    operation: str
    file: str
    ours: str
    plain: str

    def undo(self, library: Path) -> None:
        """Put the plain way in the place of it.

        Raises:
            ValueError: Its text is not in the file, or more than once.
        """
        path = library / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.ours) != 1:
            raise ValueError(f"{self.file} does not have this text once: {self.ours}")
        path.write_text(text.replace(self.ours, self.plain), encoding="utf-8")


DATABASE = "db/database.py"

MECHANISMS = [
    Mechanism(
        "statements are built and compiled once",
        "for each request",
        "page of 10",
        "sql/paging.py",
        "_pages = lru_cache(maxsize=256)(Pages)",
        "_pages = Pages",
    ),
    Mechanism(
        "the driver sends them",
        "SQLAlchemy does",
        "one feature",
        DATABASE,
        """\
        values = statement.values(given)
        return self._rows(self._to_read(sa.Engine.raw_connection), statement, values)
""",
        """\
        with self.read() as connection:
            return [tuple(row) for row in connection.execute(statement.query, given)]
""",
    ),
    Mechanism(
        "limits travel with the statement",
        "in a message of their own",
        "one feature",
        DATABASE,
        'statement = f"{self._limits}{needs}{statement}"',
        "cursor.execute(self._limits + needs)",
    ),
    Mechanism(
        "a look at the socket of a connection",
        "a ping",
        "one feature",
        "db/hung_connections.py",
        "if poll.poll(0) or time.monotonic() - entry.info.get(USED, time.monotonic()) > FRESH:",
        "if True:",
    ),
    Mechanism(
        "uvloop",
        "asyncio's loop",
        "one feature",
        "commands.py",
        "            factory=True,\n",
        '            factory=True,\n            loop="asyncio",\n',
    ),
    Mechanism(
        "rows become objects by map and zip",
        "by a comprehension",
        "page of 1,000",
        "sql/row_formats.py",
        "return map(dict, map(zip, repeat(names), zip(*columns, strict=True)))",
        "return (dict(zip(names, values)) for values in zip(*columns, strict=True))",
    ),
    Mechanism(
        "the garbage collector runs less often",
        "as Python has it",
        "page of 1,000",
        "http/lifecycle.py",
        "with _draining(app, settings.drain_seconds), _collecting_less():",
        "with _draining(app, settings.drain_seconds):",
    ),
    Mechanism(
        "a few rows of a box are sorted at once",
        "the planner is asked how many there are",
        "page of 100 in a box",
        "sql/paging.py",
        "SORT_LIMIT = 1_000",
        "SORT_LIMIT = 0",
    ),
    Mechanism(
        "a box has statements of its own",
        "PostgreSQL chooses an index",
        "page of 100 in a box",
        "sql/paging.py",
        "if order.is_by_id and any(condition.indexed for condition in conditions):",
        "if False:",
    ),
    Mechanism(
        "no parallel workers",
        "as many as PostgreSQL allows",
        "tile, zoom 2",
        DATABASE,
        '"SET LOCAL max_parallel_workers_per_gather = 0; "',
        '""',
    ),
    Mechanism(
        "an update is one message",
        "BEGIN, a lock, UPDATE, COMMIT",
        "update",
        "http/changes.py",
        "return writes.are_single(self._collection) and",
        "return False and",
    ),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each round")
    parser.add_argument("--clients", type=int, default=2, help="connections at once")
    options = parser.parse_args()
    with (
        # In a table that is sorted in space, an index on ids leads far for a box.
        prepare(render("POINT"), "POINT", options.rows, sorted_in_space=True) as prepared,
        serve_the_service(prepared, "ours") as ours,
        RESULTS.open("w", encoding="utf-8", newline="") as file,
    ):
        ours.operations = of_the_service(prepared, ours)
        raw = csv.writer(file)
        raw.writerow(["mechanism", "operation", "round", "ours_ms", "plain_ms"])
        print(about(prepared))
        print("| mechanism | instead of | operation | the plain way costs |\n|---|---|---|---|")
        for mechanism in MECHANISMS:
            samples = measured(mechanism, prepared, ours, options)
            for number, (mine, plain) in enumerate(samples):
                raw.writerow(
                    [mechanism.name, mechanism.operation, number, f"{mine:.3f}", f"{plain:.3f}"]
                )
            found = measure.ratio([plain for _, plain in samples], [mine for mine, _ in samples])
            print(
                f"| {mechanism.name} | {mechanism.instead} | {mechanism.operation} | {found.median:.2f} |",
                flush=True,
            )
    print(f"written to {RESULTS}")
    return 0


def measured(
    mechanism: Mechanism, prepared: Prepared, ours: Peer, options: argparse.Namespace
) -> Sequence[tuple[float, float]]:
    """Milliseconds of CPU for a request, round by round: of the service, and of the plain way.

    Raises:
        RuntimeError: They disagree.
    """
    copy = BUILD / "mechanism"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(prepared.project, copy)
    mechanism.undo(copy / "src" / "geotables")
    with ExitStack() as stack:
        plain = stack.enter_context(serve_the_service(replace(prepared, project=copy), "plain"))
        name = mechanism.operation
        # The requests are the same.
        plain.operations = ours.operations
        if name != "update":
            first, second = (
                answer(server, server.operations[name](random.Random(name)))
                for server in (ours, plain)
            )
            if first != second and (name.startswith("tile") or rows_of(first) != rows_of(second)):
                raise RuntimeError(f"{mechanism.name}: {name}: the answers differ")
        samples = measure.in_turns(
            name,
            [ours, plain],
            rounds=options.rounds,
            seconds=options.seconds,
            clients=options.clients,
        )
    pairs = zip(samples["ours"], samples["plain"], strict=True)
    return [(mine.total_ms, other.total_ms) for mine, other in pairs]


if __name__ == "__main__":
    sys.exit(main())
