"""The presets of a platform team: how they are read, and what is refused."""

import re
import subprocess
import sys
from pathlib import Path

import presets
import proof
import pytest
import templates
from presets import WrongPresets
from rendering import TEMPLATE

from scripts import render_diff


def load(folder: Path, text: str) -> presets.Presets:
    file = folder / "presets.yaml"
    file.write_text(text, encoding="utf-8")
    return presets.load(file)


def test_the_documented_example(tmp_path: Path) -> None:
    example = (presets.__doc__ or "").split("\n\n")[1]
    loaded = load(tmp_path, example)
    assert list(loaded) == ["facilities", "parcels", "parcels by uuid"]
    assert loaded["facilities"] == {
        "auth": "oidc",
        "license": "Proprietary",
        "geometry_type": "POINT",
        "index_predicate": "status = 'active'",
    }
    assert loaded["parcels by uuid"] == loaded["parcels"] | {"primary_key": "uuid"}


def test_values_are_taken_as_they_are_written(tmp_path: Path) -> None:
    text = "no:\n  project_name: Yes\n  pool_size: 010\n  description: 2020-01-01\n"
    with pytest.raises(WrongPresets, match=r"presets\.yaml:3: no: pool_size = '010'"):
        load(tmp_path, text)
    assert load(tmp_path, text.replace("010", "10")) == {
        "no": {"project_name": "Yes", "pool_size": "10", "description": "2020-01-01"}
    }


def test_a_preset_may_be_all_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "default:\nother: {}\n") == {"default": {}, "other": {}}


def test_a_preset_may_take_over_what_others_have(tmp_path: Path) -> None:
    text = (
        "defaults: {license: MIT, auth: oidc}\n"
        "a: &a {srid: 3857, auth: none}\nb: &b {<<: *a, srid: 27700}\nc:\n  <<: [*b, *a]\n  ci: none\n"
    )
    assert load(tmp_path, text) == {
        "a": {"license": "MIT", "srid": "3857", "auth": "none"},
        "b": {"license": "MIT", "srid": "27700", "auth": "none"},
        "c": {"license": "MIT", "srid": "27700", "auth": "none", "ci": "none"},
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "presets are expected"),
        ("- POINT", "presets are expected"),
        ("defaults: {auth: none}", "no presets besides defaults"),
        ("a: POINT", "a: parameters are expected"),
        ("a: [POINT]", "a: parameters are expected"),
        ("a:\n  srid: [4326]", "a: the value of srid is not a text"),
        ("a:\n  srid: 1\n  srid: 2", "srid given twice"),
        ("a: {}\na: {}", "a given twice"),
        ("a:\n\tsrid: 4326", "found character"),
        ("a: *b", "undefined alias"),
        ("a: {<<: b}", "expected a mapping"),
        ("{[a]: {}}", "a name is expected"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(WrongPresets, match=reason) as error:
        load(tmp_path, text)
    assert "presets.yaml" in str(error.value)


WRONG = """\
defaults: {auth: oicd}
parcels: &parcels
  geometry_type: MULTIPOLYGN
  resource_name: parcel
parcels by uuid:
  <<: *parcels
  sird: 27700
depots:
  resource_name: depots
"""


def test_every_wrong_value_is_told_at_once(tmp_path: Path) -> None:
    """Once each: the line, the presets, the parameter, and what would be right."""
    with pytest.raises(WrongPresets) as error:
        load(tmp_path, WRONG)
    told = str(error.value).replace(f"{tmp_path}/", "").splitlines()
    said = [re.fullmatch(r"(.*?) = (.*?): .*; try (.*)", line) for line in told]
    assert [found and found.groups() for found in said] == [
        ("presets.yaml:1: parcels, parcels by uuid, depots: auth", "'oicd'", "'oidc'"),
        (
            "presets.yaml:3: parcels, parcels by uuid: geometry_type",
            "'MULTIPOLYGN'",
            "'MULTIPOLYGON'",
        ),
        ("presets.yaml:7: parcels by uuid: sird", "'27700'", "'srid'"),
        ("presets.yaml:9: depots: resource_name", "'depots'", "'depot'"),
    ]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(WrongPresets, match="missing"):
        presets.load(tmp_path / "missing.yaml")


def test_the_command_refuses_them(tmp_path: Path) -> None:
    """It says what is wrong, and runs nothing."""
    file = tmp_path / "presets.yaml"
    file.write_text(WRONG, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "tests/test_variants.py", "--presets", file]
    run = subprocess.run(command, cwd=TEMPLATE, capture_output=True, text=True)
    assert run.returncode != 0
    assert "presets.yaml:7: parcels by uuid: sird = '27700': no parameter" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_presets_are_judged_before_the_packages_of_the_proof_are_installed(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "{{cookiecutter.project_slug}}/pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((TEMPLATE / name).read_bytes())
    command = ["make", "--dry-run", "variants", "PRESETS=presets.yaml"]
    run = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    judged = run.stdout.index("tests/presets.py")
    assert judged < run.stdout.index("--requirement requirements.txt")
    assert "grep ^cookiecutter requirements.txt" in run.stdout[:judged]


def test_only_what_a_change_touches_is_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = templates.copy(tmp_path / "template")
    file = template / "presets.yaml"
    file.write_text("edited: {ci: gitlab}\nsame: {ci: none}\n", encoding="utf-8")
    templates.commit(template, "The template")
    (renovate,) = template.glob("*/*renovate.json*")
    renovate.write_text("{}\n", encoding="utf-8")
    text = "edited: {ci: gitlab, pool_size: 7}\nsame: {ci: none}\nnew: {ci: none}\n"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(presets, "TEMPLATE", template)
    monkeypatch.setattr(render_diff, "ROOT", template)
    assert presets.is_of_the_template(file)
    assert not presets.is_of_the_template(tmp_path / "presets.yaml")
    before, now = presets.load_at(file, "HEAD"), presets.load(file)
    files = presets.changed(now, before, "HEAD", tmp_path / "renderings")
    assert files["same"] == []
    assert {"facilities-service/renovate.json", "facilities-service/.env.example"} <= {
        *files["edited"]
    }
    assert "facilities-service/pyproject.toml" not in files["edited"]
    assert "facilities-service/pyproject.toml" in files["new"]
    with pytest.raises(WrongPresets, match="the template has no commit nowhere"):
        presets.changed(now, before, "nowhere", tmp_path / "again")
    with pytest.raises(WrongPresets, match=r"the repository of .* has no commit nowhere"):
        presets.load_at(tmp_path / "presets.yaml", "nowhere")


def test_no_password_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s%40cret@db.example.org/x")
    text = "connect('postgresql://me:s%40cret@db/x') password='s@cret' host=db"
    assert proof.masked(text) == "connect('postgresql://me:***@db/x') password='***' host=db"
    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres:postgres@localhost/x")
    assert proof.masked("role postgres on localhost") == "role postgres on localhost"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "src/a.py:3: note: x\nsrc/a.py:4: error: Wrong type\nFound 1 error",
            "src/a.py:4: error: Wrong type",
        ),
        (
            "E  error: x\nFAILED tests/test_a.py::test_b - assert 1\n1 failed",
            "FAILED tests/test_a.py::test_b - assert 1",
        ),
        ("Traceback:\n  raise\nValueError: nothing\n", "ValueError: nothing"),
        (
            "a.py:1:8: F401 [*] `os` imported but unused\nFound 1 error.\n",
            "a.py:1:8: F401 [*] `os` imported but unused",
        ),
        ("", "it printed nothing"),
    ],
)
def test_the_reason_of_a_failure_is_one_line(output: str, reason: str) -> None:
    assert proof.reason(output) == reason
