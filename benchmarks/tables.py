"""Measure what a service of ten tables pays for them: the server's CPU for a feature, and a row, of the last and of the first.

    python benchmarks/tables.py

The rounds take turns; a ratio is the median of theirs.
"""

import argparse
import http.client
import statistics
from pathlib import Path

from measure import cpu_seconds
from peers import Peer, serve_the_service
from rows import Prepared, prepare, render

TABLES = 10

#: The paths of a row, for each table.
PATHS = ("/collections/{}/items/7", "/{}/7")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=300, help="of each path in each round")
    options = parser.parse_args()
    project = render("POINT")
    with prepare(project, "POINT", 100) as prepared:
        # After its migration, which does not make them.
        names = add_tables(project / "src/facilities_service/tables")
        create_tables(prepared, names)
        with serve_the_service(prepared, "service") as server:
            print(f"| the last of {TABLES} tables to the first | CPU |\n|---|---|")
            for path in PATHS:
                paths = [path.format(name) for name in ("facilities", names[-1])]
                ratios = [
                    last / first
                    for first, last in (
                        [spent(server, each, options.requests) for each in paths]
                        for _ in range(options.rounds)
                    )
                ]
                print(f"| `{path.format('…')}` | {statistics.median(ratios):.2f} |", flush=True)


def add_tables(folder: Path) -> list[str]:
    """Copies of the rendered table under other names."""
    names = [f"places{number}" for number in range(1, TABLES)]
    text = (folder / "facilities.py").read_text(encoding="utf-8")
    for number, name in enumerate(names, 1):
        copy = text.replace("facilities", name).replace("Facility", f"Place{number}")
        (folder / f"{name}.py").write_text(copy, encoding="utf-8")
    listed = (folder / "__init__.py").read_text(encoding="utf-8")
    listed = listed.replace("import facilities", f"import facilities, {', '.join(names)}")
    added = "".join(f"    {name}.COLLECTION,\n" for name in names)
    listed = listed.replace("    facilities.COLLECTION,\n", f"    facilities.COLLECTION,\n{added}")
    (folder / "__init__.py").write_text(listed, encoding="utf-8")
    return names


def create_tables(prepared: Prepared, names: list[str]) -> None:
    with prepared.cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE TABLE {name} (LIKE facilities INCLUDING ALL)")
            cursor.execute(f"INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM facilities")


def spent(server: Peer, path: str, requests: int) -> float:
    """The server's CPU seconds for some requests, one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    before = cpu_seconds(server.pid)
    for _ in range(requests):
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, (path, response.status)
        response.read()
    connection.close()
    return cpu_seconds(server.pid) - before


if __name__ == "__main__":
    main()
