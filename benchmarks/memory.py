"""Measure the memory of the service as a pod of deploy/kubernetes runs it, with the processes that it starts: idle, and at most under load."""

import argparse
import http.client
import json
import random
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from bulk import programs
from peers import Peer, box, new_features, serve_the_service
from rows import prepare, render

#: Features whose body is nearly as large as MAX_BODY_SIZE allows.
MANY = 50_000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--downloads", type=int, default=0, help="further clients, that ask for GeoParquet"
    )
    options = parser.parse_args()
    with (
        prepare(render("POINT"), "POINT", options.rows) as prepared,
        serve_the_service(prepared, "service") as server,
    ):
        print(f"idle: {megabytes(server.pid):.0f} MB", flush=True)
        ends = time.monotonic() + options.seconds
        numbers = range(-options.downloads, options.clients)
        clients = [threading.Thread(target=ask, args=(server, number, ends)) for number in numbers]
        for client in clients:
            client.start()
        peak = 0.0
        while any(client.is_alive() for client in clients):
            peak = max(peak, megabytes(server.pid))
            time.sleep(0.02)
        several = f"{options.clients} clients and {options.downloads} of downloads"
        print(f"at most, with {several}: {peak:.0f} MB")
    return 0


def megabytes(pid: int) -> float:
    """The memory of a process and of those that it has started; what they share counts for each."""
    own = 0.0
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                own = int(line.split()[1]) / 1024
    return own + sum(map(megabytes, programs(pid)))


def ask(server: Peer, number: int, ends: float) -> None:
    """Ask for what takes memory, until a time: the largest pages and tiles, streams of all rows, the largest bodies."""
    dice = random.Random(number)
    items = "/collections/facilities/items"
    body = json.dumps(new_features(dice, MANY)) if number == 0 else ""
    paths = (
        f"{items}?limit=10000",
        f"{items}?f=jsonseq",
        f"{items}?limit=10000&f=csv",
        f"{items}?limit=10000&bbox={box(dice, 60)}",
        "/collections/facilities/tiles/WebMercatorQuad/0/0/0",
    )
    if number < 0:
        paths = (f"{items}?f=parquet",)
    while time.monotonic() < ends:
        # A client that is refused or cut off goes on.
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
            if body:
                headers = {"Content-Type": "application/geo+json"}
                connection.request("POST", items, body, headers)
            else:
                connection.request("GET", dice.choice(paths))
            with connection.getresponse() as response:
                if body and response.status != 201:
                    print(f"a write was answered by {response.status}")
                while response.read(1 << 16):
                    pass


if __name__ == "__main__":
    sys.exit(main())
