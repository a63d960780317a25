"""Kubo, the IPFS daemon of the storage `kubo`: the system's own, else built from source.

There is no package of it, so Go builds the pinned release once, in
`<cache>/kubo-<release>-<Go>-<platform>/ipfs`. The clone's install/kubo/ipfs links to it, and
scripts/enter looks there last.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from bift_setup.contents import locked
from bift_setup.python_environment import cache_folder
from bift_setup.report import SetupError, run_logged, say, step

ROOT = Path(__file__).resolve().parents[2]
PIN = ROOT / "requirements" / "kubo.txt"
SUMS = PIN.with_name("kubo.sum")
"""The release's hashes, in go.sum's format; its own go.sum has those of all that it is built of."""
MODULE = "github.com/ipfs/kubo"
OLDEST_GO = (1, 21)
"""From this one on, Go fetches by itself the newer Go that a release asks for."""
_GO_PLACES = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")
_NO_GO = (
    "Go {}.{} or newer builds Kubo, and there is none: install it (Debian 13, Ubuntu 24.04: "
    "apt install golang), or put an `ipfs` on the PATH"
).format(*OLDEST_GO)


def run(if_possible: bool) -> int:
    """Bring Kubo up to date; return the exit status."""
    started = time.monotonic()
    try:
        ipfs = ensure_kubo(os.environ)
    except SetupError as error:
        if if_possible:
            say(f"no Kubo, so the tests that need it will skip: {error}")
            return 0
        say(f"failed: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; run it again to go on")
        return 130
    say(f"Kubo: {ipfs} ({time.monotonic() - started:.1f} s)")
    return 0


def ensure_kubo(environment: Mapping[str, str]) -> Path:
    """Return the `ipfs` on the PATH, or build one and link it into the clone. Raises SetupError."""
    link = ROOT / "install" / "kubo" / "ipfs"
    found = shutil.which("ipfs", path=_path_without(link.parent, environment))
    if found:
        return Path(found)
    go = find_go(environment)
    if go is None:
        raise SetupError(_NO_GO)
    release = pinned_release(PIN.read_text())
    clean = {**environment, "GOTOOLCHAIN": "auto", "GOFLAGS": "", "CGO_ENABLED": "0"}
    system = json.loads(_output([go, "env", "-json", "GOVERSION", "GOOS", "GOARCH"], clean))
    if go_version(system["GOVERSION"]) < OLDEST_GO:
        raise SetupError(f"{go} is {system['GOVERSION']}. {_NO_GO}")
    name = "kubo-{}-{}-{}-{}".format(release, *(system[k] for k in ("GOVERSION", "GOOS", "GOARCH")))
    folder = cache_folder(environment) / name
    binary = folder / "ipfs"
    if not binary.is_file():
        with locked(folder.with_name(f"{name}.lock")):
            if not binary.is_file():  # whoever held the lock has built it
                with step(f"Kubo {release} in {folder}, which takes some minutes"):
                    _build(go, release, binary, clean)
    if not link.exists() or link.resolve() != binary.resolve():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(binary)
    return link


def pinned_release(text: str) -> str:
    """The release that requirements/kubo.txt names, such as v0.43.0."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]
    if len(lines) != 1 or not re.fullmatch(r"v\d+\.\d+\.\d+", lines[0]):
        raise SetupError(f"{PIN} must name one release of Kubo, such as v0.43.0")
    return lines[0]


def find_go(environment: Mapping[str, str]) -> str | None:
    """The `go` on the PATH, else where Go's own installer puts it."""
    found = shutil.which("go", path=environment.get("PATH", ""))
    return found or next((place for place in _GO_PLACES if os.access(place, os.X_OK)), None)


def go_version(text: str) -> tuple[int, int]:
    """Major and minor of what Go calls itself, such as go1.26.8; (0, 0) for a development build."""
    match = re.match(r"go(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _build(go: str, release: str, binary: Path, environment: Mapping[str, str]) -> None:
    """Build in the module's own folder, its go.mod being the main one.

    `go install MODULE@RELEASE` refuses a go.mod with replace or exclude directives.
    """
    binary.parent.mkdir(parents=True, exist_ok=True)
    log = binary.with_name("build.log")
    log.unlink(missing_ok=True)
    online = (
        "The build needs the Go module proxy. Behind a proxy or with a mirror, set HTTPS_PROXY and "
        "GOPROXY, then run it again: what was downloaded is kept."
    )
    # In a module whose go.sum has the pinned hash, so that Go takes no other file for the release.
    binary.with_name("go.mod").write_text("module kubo\n")
    binary.with_name("go.sum").write_text(SUMS.read_text())
    command: list[str | Path] = [go, "mod", "download", "-json", f"{MODULE}@{release}"]
    found = _output(command, environment, binary.parent)
    module = json.loads(found)
    if "Dir" not in module:
        raise SetupError(f"{MODULE}@{release}: {module.get('Error', 'not found')}\n{online}")
    new = binary.with_suffix(".new")
    command = [go, "build", "-trimpath", "-o", new, "./cmd/ipfs"]
    run_logged(command, log, online, environment, Path(module["Dir"]))
    run_logged([new, "version"], log, "The binary that was built does not run.", environment, ROOT)
    new.replace(binary)


def _output(
    command: list[str | Path], environment: Mapping[str, str], folder: Path = Path("/")
) -> str:
    """What a command of Go prints; `go mod download` reports its errors there, with status 1."""
    finished = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=dict(environment),
        cwd=folder,  # in no module, unless told otherwise
        check=False,
    )
    if not finished.stdout.strip():
        raise SetupError(f"{' '.join(map(str, command))} failed: {finished.stderr.strip()}")
    return finished.stdout


def _path_without(folder: Path, environment: Mapping[str, str]) -> str:
    folders = environment.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(f for f in folders if f and Path(f).resolve() != folder.resolve())
