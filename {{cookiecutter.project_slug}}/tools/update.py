"""Bring another version of the template into this project, ``make update VERSION=…``, or another answer, ``make update ARGS=…``.

The template is rendered twice with the project's parameters (``.template.json``): as the project has them and in its version,
and with what is new. ``src/geotables`` and ``tests/geotables`` are replaced as a whole; what differs otherwise is merged into the
project by git, three-way, with the first rendering as the base. Nothing is committed.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

#: How this project was made.
RECORD = ".template.json"

#: Parameters that are not asked for, which a project's files depend on as well.
PRIVATE = ("_columns", "_table")

EXAMPLE = """make update ARGS="auth=oidc attributes='name:str(100) open:bool=true'\""""

#: Folders that an update replaces as a whole. Beside each, ``.sha256`` has the hashes of its files.
FOLDERS = ("src/geotables", "tests/geotables")

#: What is not merged.
REPLACED = (RECORD, *FOLDERS, *(f"{folder}.sha256" for folder in FOLDERS))

#: What another answer leaves as it is: databases were made by these revisions.
REVISIONS = "migrations/versions"

#: What Python and its tools leave in a folder.
CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}

COOKIECUTTER = "cookiecutter>=2.7,<3"

#: Cookiecutter's short names of repositories.
HOSTS = {
    "gh": "https://github.com/%s.git",
    "gl": "https://gitlab.com/%s.git",
    "bb": "https://bitbucket.org/%s.git",
}

#: Author and committer of the two commits that git compares; they are on no branch.
NOBODY = {
    f"GIT_{who}_{what}": "update@localhost"
    for who in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}


class Refused(Exception):
    """The update was not begun; the message says why. The project is as it was."""


def main() -> int:
    """Update the project in the working folder; 1 if it was refused, or left conflicts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("version", nargs="?", help="tag, branch or commit of the template")
    parser.add_argument("--template", help="its repository, if not the one that is recorded")
    parser.add_argument(
        "--from", dest="base", help="the version that the project has, if not the one recorded"
    )
    parser.add_argument(
        "--parameters",
        type=Path,
        help="a file with the project's parameters, if none are recorded: .cruft.json or a replay file of cookiecutter",
    )
    parser.add_argument(
        "--arguments",
        default="",
        metavar="NAME=VALUE…",
        help="parameters that are to be others than before, in one text, quoted as in a shell",
    )
    options = parser.parse_args()
    try:
        conflicts = update(Path.cwd(), options)
    except Refused as reason:
        print(f"update: {reason}", file=sys.stderr)
        return 1
    print("Undo the update with: git reset --hard", file=sys.stderr)
    if conflicts:
        print("These files have conflicts to resolve, then: make check test", file=sys.stderr)
        print(*(f"  {file}" for file in conflicts), sep="\n", file=sys.stderr)
        return 1
    return 0


def update(project: Path, options: argparse.Namespace) -> list[str]:
    """Update a project; the files that git could not merge.

    Raises:
        Refused: The project has changes that would be lost, or a version was not found or not rendered.
    """
    refuse_uncommitted(project)
    record = recorded(project, options.parameters)
    changed = read_answers(options.arguments)
    source = options.template or record["template"]
    if not source:
        raise Refused("the project was made from a folder. Say where the template is: TEMPLATE=…")
    refuse_edited(project)
    with tempfile.TemporaryDirectory(prefix="update-") as scratch:
        template = Template(source, Path(scratch))
        if not options.version and not changed:
            versions = ", ".join(template.versions()) or "none"
            raise Refused(
                f"say which version to take: VERSION=… (tags of the template: {versions}); or which answer: ARGS=…"
            )
        base = template.find(options.base or "", record["commit"], record["version"])
        target = template.find(options.version) if options.version else base
        prefix = git(project, "rev-parse", "--show-prefix").strip()
        old = template.render(base, record["parameters"], prefix)
        new = template.render(target, record["parameters"], prefix, changed)
        refuse_another_base(project, old)
        title = " ".join(filter(None, [options.version, options.arguments]))
        conflicts = merge(project, old, new, title, *([REVISIONS] if changed else []))
        for folder in FOLDERS:
            replace(project, folder, old, new)
        write_record(project, new, target, source if is_remote(source) else record["template"])
    return conflicts


# -- What is refused ------------------------------------------------------------------------------


#: The lock that make has just written, which an update leaves as it is.
NEW_LOCK = re.compile(r"\?\? (?:.*/)?(?:uv\.lock|constraints\.txt)")


def refuse_uncommitted(project: Path) -> None:
    """Refuse to mix an update with other changes."""
    try:
        changes = git(project, "status", "--porcelain").splitlines()
    except Refused:
        raise Refused("the project has to be in a git repository") from None
    changes = [line for line in changes if not NEW_LOCK.fullmatch(line)]
    if changes:
        raise Refused("\n  ".join(["commit or stash your changes first:", *changes]))


def refuse_edited(project: Path) -> None:
    """Refuse to lose edits of what is replaced as a whole."""
    edited = [line for folder in FOLDERS for line in differences(project, folder)]
    if edited:
        raise Refused(
            "\n  ".join(
                ["these files are not as the template made them, and would be replaced:", *edited]
            )
            + "\nMove what you need into your own package, and put them back as they were."
        )


def differences(project: Path, folder: str) -> Iterator[str]:
    """Files of a folder that differ from its manifest, as geotables' checks/manifest.py finds them: this file works without geotables.

    A part that is missing as a whole, such as a face, was left out on purpose.
    """
    hashes = manifest(project, folder)
    parent = (project / folder).parent
    for path in sorted((project / folder).rglob("*")):
        file = path.relative_to(parent).as_posix()
        if path.is_dir() or not CACHES.isdisjoint(path.parts):
            continue
        if file not in hashes:
            yield f"{path.relative_to(project).as_posix()} (added)"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != hashes[file]:
            yield f"{path.relative_to(project).as_posix()} (changed)"
    removed = left_out(project, folder)
    if (project / folder).is_dir():
        for file in sorted(hashes):
            if part(file) not in removed and not (parent / file).exists():
                yield f"{(parent / file).relative_to(project).as_posix()} (missing)"


def manifest(project: Path, folder: str) -> dict[str, str]:
    """The hash of each file of a folder, by its path from the folder's parent."""
    file = project / f"{folder}.sha256"
    if not file.exists():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("  ", 1) for line in lines if line and not line.startswith("#"))
    return {path: digest for digest, path in pairs}


def part(file: str) -> str:
    """The subfolder of geotables that a file is in; empty for one that is in none."""
    _, _, rest = file.partition("/")
    return rest.partition("/")[0] if "/" in rest else ""


def left_out(project: Path, folder: str) -> set[str]:
    """The subfolders that the project does without."""
    parts = {part(file) for file in manifest(project, folder)} - {""}
    return {name for name in parts if not (project / folder / name).exists()}


def refuse_another_base(project: Path, old: Path) -> None:
    """Refuse to compare with a version that the project was not made from."""
    for folder in FOLDERS:
        if (project / folder).is_dir() and manifest(project, folder) != manifest(old, folder):
            raise Refused(
                f"{folder}.sha256 is of another version than the one recorded in {RECORD}.\n"
                "Say which commit of the template the project was made from: FROM=…"
            )


# -- The template ---------------------------------------------------------------------------------


class Template:
    """A clone of the template."""

    def __init__(self, source: str, scratch: Path) -> None:
        self._source, self._scratch = source, scratch
        self._clone = scratch / "template"
        host, _, name = source.partition(":")
        # Cookiecutter takes `git+https://…`, too.
        url = HOSTS[host] % name if host in HOSTS else source.removeprefix("git+")
        if not (is_remote(source) or url.startswith("file:")):
            url = str(Path(source).expanduser().absolute())
        git(Path.cwd(), "clone", "--quiet", "--no-checkout", url, str(self._clone))

    def versions(self) -> list[str]:
        """Its tags, newest first."""
        return git(self._clone, "tag", "--sort=-version:refname").split()

    def find(self, *names: str) -> str:
        """The commit of the first of these names that exists: a tag, a branch or a commit."""
        names = tuple(filter(None, names))
        for name in names:
            for revision in (name, f"origin/{name}"):
                command = ("rev-parse", "--quiet", "--verify", "--end-of-options", revision + "^0")
                try:
                    return git(self._clone, *command).split()[-1]
                except Refused:
                    continue
        if not names:
            raise Refused("say which version of the template the project was made from: FROM=…")
        raise Refused(
            f"{self._source} has no version {' or '.join(names)}; its tags: {', '.join(self.versions()) or 'none'}"
        )

    def checkout(self, commit: str) -> Path:
        """A folder with the files of a commit."""
        folder = self._scratch / commit
        if not folder.exists():
            git(self._clone, "worktree", "add", "--quiet", "--detach", str(folder), commit)
        return folder

    def render(
        self,
        commit: str,
        parameters: dict[str, str],
        prefix: str,
        changed: dict[str, str] | None = None,
    ) -> Path:
        """Render a commit with the parameters that it knows; returns the project's folder, which ends with the prefix.

        Raises:
            Refused: It knows no parameters of the names that are changed, or refuses their values.
        """
        folder = self._scratch / f"{commit}-rendered"
        if folder.exists():
            folder = self._scratch / f"{commit}-again"
        checkout, output = self.checkout(commit), self._scratch / "output"
        known = json.loads((checkout / "cookiecutter.json").read_text(encoding="utf-8"))
        asked = [name for name in known if not name.startswith("_")]
        if unknown := [name for name in changed or () if name not in asked]:
            raise Refused(
                f"the template has no parameter {', '.join(unknown)}; it has {', '.join(asked)}"
            )
        parameters = parameters | (changed or {})
        run(
            *cookiecutter(),
            *(str(checkout), "--no-input", "--config-file", configuration(self._scratch)),
            # The hooks judge parameters and models. Those that were judged before are rendered as they are.
            *("--accept-hooks", "yes" if changed else "no", "--output-dir", str(output)),
            *answers({name: text for name, text in parameters.items() if name in known}),
        )
        project = folder / prefix
        project.parent.mkdir(parents=True, exist_ok=True)
        made = min(output.rglob("pyproject.toml"), key=lambda file: len(file.parts)).parent
        made.rename(project)
        shutil.rmtree(output)
        return project


def configuration(scratch: Path) -> str:
    """A configuration for cookiecutter that writes below a folder: the user's own is not used."""
    file = scratch / "config.yaml"
    folders = {name: str(scratch) for name in ("cookiecutters_dir", "replay_dir")}
    # JSON is YAML.
    file.write_text(json.dumps(folders), encoding="utf-8")
    return str(file)


def answers(parameters: dict[str, str]) -> list[str]:
    """The arguments of cookiecutter that give the parameters these values, to the letter."""
    return [
        # It renders what it is given, except private values.
        f"{name}={text if name.startswith('_') else literal(text)}"
        for name, text in parameters.items()
    ]


def literal(value: str) -> str:
    """A value as cookiecutter's command line takes it, where it is a Jinja template."""
    if re.search("[{][#%{]", value):
        return 2 * "{" + repr(value) + 2 * "}"
    return value


def cookiecutter() -> list[str]:
    """The command that runs cookiecutter: in this environment, on the PATH, by uvx, or in an environment in the cache folder."""
    if importlib.util.find_spec("cookiecutter"):
        return [sys.executable, "-m", "cookiecutter"]
    if (program := shutil.which("cookiecutter")) and is_new(program):
        return [program]
    if uvx := shutil.which("uvx"):
        return [uvx, "--quiet", "--python", sys.executable, "--from", COOKIECUTTER, "cookiecutter"]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.sha256(f"{sys.version}{COOKIECUTTER}".encode()).hexdigest()[:16]
    environment = base / "cookiecutter-fastapi-postgis" / f"cookiecutter-{key}"
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (environment / "ready").exists():
        print(f"Installing cookiecutter in {environment}, once", file=sys.stderr)
        try:
            run(sys.executable, "-m", "venv", "--clear", str(environment))
            pip = (str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q")
            run(*pip, COOKIECUTTER)
        except Refused as reason:
            raise Refused(
                f"{reason}\nCookiecutter is neither in {sys.executable} nor on the PATH, and could not be installed."
                f" Where it can be: pip install '{COOKIECUTTER}'"
            ) from None
        (environment / "ready").touch()
    return [str(python), "-m", "cookiecutter"]


def is_new(program: str) -> bool:
    """Whether a cookiecutter renders this template: by its own version, and by its Python's."""
    try:
        says = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return False
    version = re.search(r"(\d+)\.(\d+)\b.*Python (\d+)\.(\d+)", says, re.DOTALL)
    if not version:
        return False
    major, minor, *python = map(int, version.groups())
    return (2, 7) <= (major, minor) < (3, 0) and python >= [3, 11]


# -- The project ----------------------------------------------------------------------------------


def recorded(project: Path, parameters: Path | None) -> dict[str, Any]:
    """How the project was made: template, version, commit and parameters."""
    if parameters:
        try:
            made = json.loads(parameters.expanduser().read_text(encoding="utf-8"))
            answers = made.get("context", made)["cookiecutter"]
        except (OSError, ValueError, KeyError) as error:
            raise Refused(f"{parameters} has no parameters of cookiecutter: {error!r}") from error
        texts = {n: str(v) for n, v in answers.items() if n[0] != "_" or n in PRIVATE}
        commit = made.get("commit", "")
        return {"template": "", "version": "", "commit": commit, "parameters": texts}
    try:
        record: dict[str, Any] = json.loads((project / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"{RECORD} does not say how the project was made: {error}") from error
    return record


def read_answers(
    text: str, further: Sequence[str] = (), *, example: str = EXAMPLE
) -> dict[str, str]:
    """Read ``NAME=VALUE …``: of a text, quoted as in a shell, and of further words.

    Raises:
        Refused: One has no value, or a quote is not closed.
    """
    try:
        words = [*shlex.split(text), *further]
    except ValueError as error:
        raise Refused(f"ARGS: {error} in {text}. Such as: {example}") from None
    if wrong := [word for word in words if not re.match(r"\w+=", word)]:
        raise Refused(
            f"ARGS: {', '.join(map(repr, wrong))} is no name=value. A value with spaces is put in quotes: {example}"
        )
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def merge(project: Path, old: Path, new: Path, title: str, *left: str) -> list[str]:
    """Merge what differs between two renderings into the project, and stage it; the files that git could not merge."""
    base = commit(project, old, left, f"Template before {title}")
    target = commit(project, new, left, f"Template {title}", "-p", base)
    # A team's files stay where they are, even if the template has moved all others of their folder.
    pick = ("-c", "merge.directoryRenames=false", "cherry-pick", "--no-commit", target)
    merged = run_git(project, *pick)
    conflicts = git(project, "diff", "--name-only", "--diff-filter=U", "--relative").splitlines()
    if merged.returncode and not conflicts:
        raise Refused(f"git does not merge:\n{merged.stdout}{merged.stderr}".rstrip())
    return conflicts


def commit(
    project: Path, rendering: Path, left: tuple[str, ...], message: str, *options: str
) -> str:
    """Write a rendering, without what is replaced or left as it is, into the project's repository, as a commit of no branch."""
    prefix = git(project, "rev-parse", "--show-prefix").strip()
    root = rendering.parents[len(Path(prefix).parts) - 1] if prefix else rendering
    environment = {
        "GIT_DIR": git(project, "rev-parse", "--absolute-git-dir").strip(),
        "GIT_WORK_TREE": str(root),
        "GIT_INDEX_FILE": str(root.with_name(f"{root.name}-index")),
    }
    others = [f":(exclude,literal){prefix}{name}" for name in (*REPLACED, *left)]
    git(root, "add", "--all", "--force", "--", ".", *others, **environment)
    tree = git(root, "write-tree", **environment).strip()
    return git(project, "commit-tree", tree, "-m", message, *options, **NOBODY).strip()


def replace(project: Path, folder: str, old: Path, new: Path) -> None:
    """Replace a folder as a whole, but for the parts that the project does without, and its manifest."""
    if (old / folder).is_dir() and not (project / folder).is_dir():
        # The project has it from an index of packages.
        return
    removed = left_out(project, folder)
    if (project / folder).is_dir():
        shutil.rmtree(project / folder)
    if (new / folder).is_dir():
        shutil.copytree(new / folder, project / folder)
        for name in removed & {path.name for path in (project / folder).iterdir()}:
            print(f"{folder}/{name} stays removed", file=sys.stderr)
            shutil.rmtree(project / folder / name)
    for path in (folder, f"{folder}.sha256"):
        if path.endswith(".sha256") and (new / path).exists():
            shutil.copy(new / path, project / path)
        if (project / path).exists() or git(project, "ls-files", "--", path):
            git(project, "add", "--all", "--", path)


def write_record(project: Path, new: Path, commit: str, source: str) -> None:
    """Record the version and the answers that the project has now."""
    file = new / RECORD
    if not file.exists():
        return
    record = json.loads(file.read_text(encoding="utf-8"))
    record |= {"template": without_password(source), "commit": commit}
    write_json(project, RECORD, record)
    if (project / ".cruft.json").exists():
        # Else `cruft update` would bring the same changes again.
        cruft = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))
        cruft["commit"] = commit
        cruft["context"]["cookiecutter"] |= record["parameters"]
        write_json(project, ".cruft.json", cruft)


def write_json(project: Path, file: str, content: dict[str, Any]) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=2)
    (project / file).write_text(f"{text}\n", encoding="utf-8")
    git(project, "add", "--", file)


def is_remote(source: str) -> bool:
    """Whether a repository has an address, as opposed to a path on this machine."""
    return bool(re.match(r"(?!(\w+\+)?file:)[\w.+-]{2,}:|[\w.-]+@", source))


def without_password(source: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", source)


# -- Commands -------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str, **environment: str) -> str:
    """What a command of git prints.

    Raises:
        Refused: It failed.
    """
    ended = run_git(folder, *arguments, **environment)
    if ended.returncode:
        raise Refused(f"git {arguments[0]}: {ended.stderr.strip()}")
    return ended.stdout


def run_git(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # File names as they are, whatever their letters.
    command = ["git", "-c", "core.quotePath=false", *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True
    )


def run(*command: str) -> None:
    # The hooks try the models in the database that is named, and may install what the check needs: `make check` follows.
    environment = {name: text for name, text in os.environ.items() if name != "DATABASE_URL"}
    environment["FASTAPI_POSTGIS_CHECK_ENV"] = "0"
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ended.returncode:
        output = f"{ended.stdout}{ended.stderr}".rstrip()
        # Of the hooks, what is wrong without their advice, which is for a new project.
        wrong = "\n".join(re.findall("^- .*", output, re.MULTILINE))
        raise Refused(
            f"the template refuses this:\n{wrong}" if wrong else f"{command[0]} failed:\n{output}"
        )


if __name__ == "__main__":
    sys.exit(main())
