"""Measure what it costs a process here to have waited.

On a virtual machine it is charged for the time that it sleeps, and finds its caches cold afterwards. So a request whose statement
takes long costs more of the server's CPU than one that has its answer at once, though the server does the same for both.
"""

import json
import statistics
import time

#: Milliseconds to wait, as for a row, a page in a large box, and a tile of the first zooms.
WAITS = (0, 1, 5, 40, 150)

#: What is done after each: about as long as the service takes for one feature.
VALUES = [
    {"id": number, "name": f"row {number}", "place": [number / 7, 1.5]} for number in range(60)
]


def main() -> None:
    print("| waited | CPU of waiting | CPU of the same work after it |\n|---|---|---|")
    for wait in WAITS:
        waiting, working = (statistics.median(spent) for spent in zip(*rounds(wait), strict=True))
        print(f"| {wait} ms | {waiting * 1e3:.2f} ms | {working * 1e3:.2f} ms |", flush=True)


def rounds(wait: int) -> list[tuple[float, float]]:
    """The CPU seconds of waiting and of working, over and over for about three seconds."""
    return [spent(wait / 1000) for _ in range(3000 // (wait + 1))]


def spent(wait: float) -> tuple[float, float]:
    began = time.process_time()
    if wait:
        time.sleep(wait)
    waited = time.process_time()
    for _ in range(3):
        json.loads(json.dumps(VALUES))
    return waited - began, time.process_time() - waited


if __name__ == "__main__":
    main()
