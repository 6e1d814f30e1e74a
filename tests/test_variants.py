"""Every variant of the template works: rendered, linted, typed, migrated, checked, and tested by its own suite."""

import itertools
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CHOSEN, Bake
from proof import StepFailed, arguments, prove, with_plugin
from rendering import DEFAULTS, Project, WrongParameters
from variants import (
    DOCUMENTS,
    FACTORS,
    FILES,
    FOUND,
    IMPOSSIBLE,
    NAMED,
    PLACES,
    SPELLED,
    TESTS,
    VARIANTS,
    WITHOUT_EFFECT,
    Value,
    Variant,
    values_of,
)

#: The variants with names and texts as they rarely are.
ODD = {"one letter", "63 bytes", "quoted names", "quotes"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.function is test_variant:
        chosen = metafunc.config.stash[CHOSEN]
        metafunc.parametrize("variant", chosen, ids=[variant.name for variant in chosen])


@pytest.mark.long
def test_variant(
    variant: Variant,
    tmp_path: Path,
    server: Any,
    mypy_cache: Path,
    record_property: Callable[[str, object], None],
    progress: Callable[[str], None],
) -> None:
    """Takes its variants from `variants.py`, or from the file that the option --presets names."""
    processes = () if variant.processes else ("processes",)
    record_property("left out", " ".join((*variant.left_out, *processes)))
    failed = None
    try:
        for step, seconds in prove(variant, tmp_path, server, mypy_cache):
            record_property(step, f"{seconds:.1f}")
            progress(f"{variant.name}: {step} passed in {seconds:.1f} s")
    except StepFailed as failure:
        failed = failure
    if failed:
        record_property("reason", f"{failed.step}: {failed.reason}")
        progress(
            f"{variant.name}: {failed.step} failed after {failed.seconds:.1f} s: {failed.reason}"
        )
        pytest.fail(f"{failed}", pytrace=False)


@pytest.fixture
def progress(
    request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> Callable[[str], None]:
    """Print a line at once for each step of a preset; of the template's own variants there are too many."""

    def line(text: str) -> None:
        if request.config.getoption("presets"):
            with capfd.disabled():
                print(f"\n{text}", end="", file=sys.stderr, flush=True)

    return line


@pytest.fixture(scope="module")
def met() -> list[tuple[Variant, set[Value]]]:
    """The variants, each with the values of factors that it has."""
    return [(variant, values_of(variant)) for variant in VARIANTS]


def test_every_pair_of_values_occurs(met: list[tuple[Variant, set[Value]]]) -> None:
    """But for those that the template refuses, which another test sees to."""
    every = [(factor, value) for factor in FACTORS for value in FACTORS[factor]]
    pairs = {pair for pair in itertools.combinations(every, 2) if pair[0][0] != pair[1][0]}
    occurring = {
        pair
        for _, values in met
        for pair in itertools.combinations((value for value in every if value in values), 2)
    }
    assert pairs - occurring == IMPOSSIBLE.keys()


def test_every_file_of_the_contract_meets_every_value(
    met: list[tuple[Variant, set[Value]]],
) -> None:
    """Of the factors that it may depend on, with its tests of collections."""
    assert len(FILES) == len(list(TESTS.glob("geotables/*/test_*.py")))
    assert {*DOCUMENTS, *SPELLED, *PLACES, *FOUND} < FILES.keys()
    factors = FACTORS.keys() - WITHOUT_EFFECT
    wanted = {(factor, value) for factor in factors for value in FACTORS[factor]}
    for file in FILES:
        assert wanted <= set().union(
            *(values for variant, values in met if file not in variant.left_out)
        ), file


def test_every_file_of_the_contract_meets_odd_names_and_texts() -> None:
    """In two of the four variants that have them, with its tests of collections."""
    odd = [variant for variant in NAMED if variant.name in ODD]
    assert len(odd) == len(ODD) == 4
    for file in FILES:
        assert sum(file not in variant.left_out for variant in odd) >= 2, file


def test_what_is_about_no_collection_meets_every_pool_and_every_auth(
    met: list[tuple[Variant, set[Value]]],
) -> None:
    """The factors that it may depend on; what starts processes runs by default alone."""
    values = set().union(*(values for variant, values in met if variant.once))
    assert values >= {(name, value) for name in ("pool", "auth") for value in FACTORS[name]}


def test_each_test_of_the_contract_runs_in_some_variant(
    met: list[tuple[Variant, set[Value]]], bake: Bake, tmp_path: Path
) -> None:
    """What applies to no collection of a project is deselected there: each test applies to some."""
    missing = {
        (file, name)
        for file, path in FILES.items()
        for name in re.findall(r"^ *def (test_\w+)", (TESTS.parent / path).read_text("utf-8"), re.M)
    }
    left, tried = list(met), {file: set[Value]() for file in FILES}

    def promise(variant: Variant, values: set[Value]) -> tuple[bool, int]:
        """How many values it has that the files of the missing tests have not met; what runs the most and what was found come first."""
        files = {file for file, _ in missing}.difference(variant.left_out)
        first = variant.once or "_table" in variant.parameters
        return first, sum(len(values - tried[file]) for file in files)

    while missing and left:
        variant, values = max(left, key=lambda each: promise(*each))
        left.remove((variant, values))
        if files := {file for file, _ in missing}.difference(variant.left_out):
            missing -= _collected(bake(**variant.parameters), variant, files, tmp_path)
            for file in files:
                tried[file] |= values
    assert not missing


def _collected(
    project: Project, variant: Variant, files: set[str], folder: Path
) -> set[tuple[str, str]]:
    """The tests of some files that a variant runs."""
    run = project.python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only"),
        *shlex.split(arguments(variant)),
        *(FILES[file] for file in files),
        PYTHONPATH=with_plugin(folder),
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    # 5: it has deselected them all.
    assert run.code in (0, 5), run
    return set(re.findall(r"/test_(\w+)\.py::(test_\w+)", run.output))


def test_some_factors_change_nothing_that_is_tested(bake_once: Bake) -> None:
    code = {}
    for factor in WITHOUT_EFFECT:
        for value, given in FACTORS[factor].items():
            files = bake_once(**given).files
            code[factor, value] = {name: files[name] for name in files if name.endswith(".py")}
    assert len(code) == 10
    usual = code["license", "MIT"]
    assert [each for each in code if code[each] != usual] == []


def test_the_step_that_failed_is_named(tmp_path: Path, server: Any, mypy_cache: Path) -> None:
    """Here that of a set which the template refuses; those after it are the same line."""
    with pytest.raises(StepFailed, match=r"nowhere: the step render failed: srid = '0'"):
        list(prove(Variant("nowhere", {"srid": "0"}), tmp_path, server, mypy_cache))


def test_every_choice_is_a_value() -> None:
    """A choice that the template gains is proved, too."""
    proved = {name: {variant.parameters.get(name) for variant in VARIANTS} for name in DEFAULTS}
    for name, default in DEFAULTS.items():
        if isinstance(default, list):
            assert proved[name] >= set(default), name


@pytest.mark.parametrize("pair", IMPOSSIBLE, ids=lambda pair: " ".join(value for _, value in pair))
def test_impossible_pairs_are_refused(bake: Bake, pair: tuple[Value, Value]) -> None:
    given = {name: value for factor, each in pair for name, value in FACTORS[factor][each].items()}
    with pytest.raises(WrongParameters, match=IMPOSSIBLE[pair]):
        bake(**given)
