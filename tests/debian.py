"""PostgreSQL and PostGIS as another release of Debian has them, in a folder of its own that they are run in by chroot."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
from clusters import eventually, free_port

#: What the server does without: JIT is off, and nothing is configured.
UNNEEDED = re.compile(r"(lib)?(llvm|perl|z3)[-\d.]|(lib)?perl|.*-(dev|doc)(:|$)")

#: An ordinary user, whom every system has.
NOBODY = 65534

SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "jit": "off"}


def why_not() -> str:
    """Why other releases cannot be run here; empty if they can."""
    if os.geteuid() != 0:
        return "not run: other releases of Debian need root, for chroot"
    if not all(map(shutil.which, ("apt-get", "dpkg-deb"))) or not _mirror():
        return "not run: other releases of Debian need the packages of Debian, by its apt"
    return ""


def _mirror() -> str:
    """Where this machine has Debian's packages from; empty if it is no Debian."""
    command = [
        "apt-get",
        "indextargets",
        "--format",
        "$(ORIGIN) $(REPO_URI)",
        "Created-By: Packages",
    ]
    targets = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"^Debian (\S+/debian/?)$", targets, re.MULTILINE)
    return found[1] if found else ""


def unpacked(release: str, cache: Path) -> Path:
    """The folder of a release's PostGIS with all that it needs, made if it is not there."""
    root = cache / f"debian-{release}"
    if not root.exists():
        with tempfile.TemporaryDirectory(dir=cache, prefix="unpacking-") as name:
            scratch = Path(name)
            (scratch / "root").mkdir(mode=0o755)
            _unpack(release, scratch)
            (scratch / "root").rename(root)
    return root


def _unpack(release: str, scratch: Path) -> None:
    root = scratch / "root"
    # Nothing of the machine's own apt is written to, and no package is installed as far as this one knows.
    (scratch / "lists/partial").mkdir(parents=True)
    (scratch / "cache/archives/partial").mkdir(parents=True)
    (scratch / "status").touch()
    (scratch / "sources.list").write_text(f"deb {_mirror()} {release} main\n")
    (scratch / "apt.conf").write_text(
        f"""
        #clear APT::Update::Post-Invoke;
        #clear APT::Update::Post-Invoke-Success;
        Dir::State "{scratch}";
        Dir::State::Lists "{scratch}/lists";
        Dir::State::status "{scratch}/status";
        Dir::Cache "{scratch}/cache";
        Dir::Etc::sourcelist "{scratch}/sources.list";
        Dir::Etc::sourceparts "-";
        APT::Sandbox::User "root";
        Acquire::Languages "none";
        Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
        Acquire::Check-Valid-Until "false";
        """
    )
    _apt(scratch, "apt-get", "update")
    names = _apt(scratch, "apt-cache", "pkgnames", "postgresql-")
    (postgis,) = re.findall(r"^postgresql-\d+-postgis-3$", names, re.MULTILINE)
    # As if GDAL was installed: rasters alone need it, and it needs half of all packages.
    depends = _apt(scratch, "apt-cache", "depends", postgis)
    (scratch / "status").write_text(
        "".join(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: {_architecture()}\nVersion: 99\n\n"
            for name in re.findall(r"Depends: (libgdal\S+)", depends)
        )
    )
    install = ("install", "--simulate", "--no-install-recommends", postgis, "dash")
    plan = _apt(scratch, "apt-get", *install)
    needed = [n for n in re.findall(r"^Inst (\S+)", plan, re.MULTILINE) if not UNNEEDED.match(n)]
    _apt(scratch, "apt-get", "download", *needed)
    for name in ("bin", "lib", "lib64", "sbin") if release != "bullseye" else ():
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        packages = list(scratch.glob("*.deb"))
        list(pool.map(lambda package: _run("dpkg-deb", "-x", str(package), str(root)), packages))
    for folder in ("dev/shm", "tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder).chmod(0o1777)
    os.mknod(root / "dev/null", 0o20666, os.makedev(1, 3))
    (root / "dev/null").chmod(0o666)
    (root / "etc/passwd").write_text(f"postgres:x:{NOBODY}:{NOBODY}::/:/bin/sh\n")
    with suppress(FileExistsError):
        (root / "bin/sh").symlink_to("dash")
    # The package's post-install script would link it.
    for control in root.glob("usr/share/postgresql/*/extension/postgis-3.control"):
        control.with_name("postgis.control").symlink_to(control.name)


def _architecture() -> str:
    return _run("dpkg", "--print-architecture").strip()


def _apt(scratch: Path, program: str, *arguments: str) -> str:
    return _run(program, f"--config-file={scratch}/apt.conf", *arguments, folder=scratch)


def _run(*command: str, folder: Path = Path("/")) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )
    assert done.returncode == 0, f"{command[:3]}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@contextmanager
def running(root: Path) -> Iterator[str]:
    """A server of an unpacked release, with a new cluster; its URL."""
    (programs,) = root.glob("usr/lib/postgresql/*/bin")
    bin = "/" / programs.relative_to(root)
    data, port = root / f"data-{secrets.token_hex(4)}", free_port()
    data.mkdir(mode=0o700)
    os.chown(data, NOBODY, NOBODY)
    settings = SETTINGS | {"port": str(port), "listen_addresses": "127.0.0.1"}
    folders = {file.parent for file in root.rglob("lib*.so.*")}
    inside: dict[str, Any] = {
        "env": {
            "LC_ALL": "C",
            "PATH": "/usr/bin:/bin",
            "LD_LIBRARY_PATH": ":".join(f"/{folder.relative_to(root)}" for folder in folders),
        },
        "preexec_fn": lambda: _enter(root),
    }
    try:
        options = ["--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [str(bin / "initdb"), *options, f"--pgdata=/{data.name}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **inside)
        assert done.returncode == 0, done.stdout + done.stderr
        command = [str(bin / "postgres"), "-D", f"/{data.name}", "-c", "unix_socket_directories="]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (data / "log").open("w") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, **inside)
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            eventually(lambda: _answers(url), 60)
            yield url
        finally:
            # It does not wait for sessions to end.
            server.send_signal(signal.SIGINT)
            server.wait(60)
    finally:
        shutil.rmtree(data)


def _enter(root: Path) -> None:
    os.chroot(root)
    os.chdir("/")
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def _answers(url: str) -> bool:
    with suppress(psycopg2.Error):
        psycopg2.connect(url).close()
        return True
    return False
