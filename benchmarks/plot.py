"""The CPU time of every server for every operation as a picture: SVG, which needs no library."""

from __future__ import annotations

import math
from html import escape
from typing import NamedTuple

from measure import Ratio

COLORS = ("#4269d0", "#97bbf5", "#ff725c", "#3ca951", "#a463f2", "#9c6b4e", "#ffb000")
LINE, LEFT, WIDTH, TOP = 22, 210, 560, 60

#: Ratios at which there is a line.
GRID = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)


class Point(NamedTuple):
    operation: str
    server: str
    ratio: Ratio


def svg(title: str, points: list[Point]) -> str:
    """A line for each operation; on it a dot for each server, with the quartiles, as a multiple of the service's CPU."""
    operations = list(dict.fromkeys(point.operation for point in points))
    servers = list(dict.fromkeys(point.server for point in points))
    least = min(point.ratio.low for point in points) / 1.2
    most = max(point.ratio.high for point in points) * 1.2

    def x(value: float) -> float:
        return LEFT + WIDTH * math.log(max(value, least) / least) / math.log(most / least)

    height = TOP + LINE * (len(operations) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="18" font-size="14">{escape(title)}</text>',
    ]
    for number, server in enumerate(servers):
        at = LEFT + number * WIDTH / len(servers)
        parts.append(f'<circle cx="{at:.0f}" cy="36" r="5" fill="{COLORS[number]}"/>')
        parts.append(f'<text x="{at + 9:.0f}" y="40">{escape(server)}</text>')
    for value in (each for each in GRID if least <= each <= most):
        color = "#333" if value == 1 else "#ddd"
        parts.append(
            f'<path d="M{x(value):.1f} {TOP - 8}V{height - LINE}" stroke="{color}"/>'
            f'<text x="{x(value):.1f}" y="{height - 6}" text-anchor="middle">{value:g}</text>'
        )
    for number, operation in enumerate(operations):
        y = TOP + LINE * number + 6
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{operation}</text>')
        for point in (each for each in points if each.operation == operation):
            color, (middle, low, high) = COLORS[servers.index(point.server)], point.ratio
            parts.append(
                f'<path d="M{x(low):.1f} {y}H{x(high):.1f}" stroke="{color}" stroke-width="2"/>'
                f'<circle cx="{x(middle):.1f}" cy="{y}" r="5" fill="{color}"/>'
            )
    return "\n".join([*parts, "</svg>\n"])
