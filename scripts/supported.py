"""Print what the template supports, as CI's matrix: each PostgreSQL with the newest PostGIS, the oldest of both, each Python.

The oldest and the newest are those of cookiecutter.json; tests/test_versions.py runs on them.
"""

import json
from pathlib import Path

TEMPLATE = Path(__file__).parents[1]


def matrix() -> dict[str, list[str]]:
    """The tags of PostGIS's image, and the versions of Python."""
    context = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
    oldest, newest = (
        {name: context[f"__{age}_{name}"] for name in ("postgresql", "postgis", "python")}
        for age in ("oldest", "newest")
    )
    servers = range(int(oldest["postgresql"]), int(newest["postgresql"]) + 1)
    minors = range(*(int(age["python"].removeprefix("3.")) for age in (oldest, newest)))
    return {
        "postgis": [
            f"{oldest['postgresql']}-{oldest['postgis']}",
            *(f"{server}-{newest['postgis']}" for server in servers),
        ],
        "python": [*(f"3.{minor}" for minor in minors), newest["python"]],
    }


if __name__ == "__main__":
    print(f"matrix={json.dumps(matrix())}")
