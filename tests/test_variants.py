"""Every variant of the template works: rendered, linted, typed, migrated, checked, and tested by its own suite."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CHOSEN, Bake
from proof import prove
from rendering import DEFAULTS, WrongParameters, complete
from variants import FACTORS, IMPOSSIBLE, ROWS, VARIANTS, Value, Variant, all_pairs, pairs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.function is test_variant:
        chosen = metafunc.config.stash[CHOSEN]
        metafunc.parametrize("variant", chosen, ids=[variant.name for variant in chosen])


def test_variant(
    variant: Variant,
    tmp_path: Path,
    server: Any,
    mypy_cache: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Takes its variants from `variants.py`, or from the file that the option --presets names."""
    for step, seconds in prove(variant, tmp_path, server, mypy_cache):
        record_property(step, f"{seconds:.1f}")


def test_every_pair_of_values_occurs() -> None:
    occurring = set(itertools.chain.from_iterable(map(pairs, ROWS)))
    assert occurring == all_pairs()


def test_every_choice_is_a_value() -> None:
    """A choice that the template gains is proved, too."""
    proved = {name: {variant.parameters.get(name) for variant in VARIANTS} for name in DEFAULTS}
    for name, default in DEFAULTS.items():
        if isinstance(default, list):
            assert proved[name] >= set(default), name


def test_what_most_variants_leave_out_runs_for_every_kind_of_authentication() -> None:
    """Of the tests that they leave out, those of authentication are a file for each kind."""
    whole = {complete(variant.parameters)["auth"] for variant in VARIANTS if variant.whole}
    assert whole == set(DEFAULTS["auth"])


@pytest.mark.parametrize("pair", IMPOSSIBLE, ids=lambda pair: " ".join(value for _, value in pair))
def test_impossible_pairs_are_refused(bake: Bake, pair: tuple[Value, Value]) -> None:
    given = {name: value for factor, each in pair for name, value in FACTORS[factor][each].items()}
    with pytest.raises(WrongParameters, match=IMPOSSIBLE[pair]):
        bake(**given)
