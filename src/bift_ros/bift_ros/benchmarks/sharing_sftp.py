"""OpenSSH's own SFTP server and client, started without touching the machine's settings or keys."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bift_ros.fleet.runtimes.processes import end_with_parent

REMEDY = "install OpenSSH (the packages openssh-server and openssh-client)"

_LOGIN_KEY, _HOST_KEY, _PORT = "login_key", "host_key", 2222
_SEPARATION = Path("/run/sshd")
"""The empty folder where sshd confines what talks to strangers; else its service makes it."""
_SETTINGS = """
ListenAddress {host}:{port}
HostKey {home}/{host_key}
AuthorizedKeysFile {home}/{login_key}.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 1000
Subsystem sftp internal-sftp
"""
_DONE = "-- done --"


class SftpError(Exception):
    """OpenSSH is missing or has failed; says what to do."""


def missing_programs() -> list[str]:
    """Those of OpenSSH's programs that aren't here."""
    return [name for name in ("sshd", "sftp", "ssh", "ssh-keygen") if _find(name) is None]


class SftpServer:
    """An `sshd` that serves one folder to whoever holds the login key in it."""

    def __init__(self, home: Path, host: str) -> None:
        home.mkdir(parents=True)
        self._home = home
        for name in (_LOGIN_KEY, _HOST_KEY):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name))
        settings = home / "sshd_config"
        names = {"home": home, "login_key": _LOGIN_KEY, "host_key": _HOST_KEY}
        settings.write_text(_SETTINGS.format(host=host, port=_PORT, **names))
        public = (home / f"{_HOST_KEY}.pub").read_text()
        (home / "known_hosts").write_text(f"[{host}]:{_PORT} {public}")
        with suppress(OSError):
            _SEPARATION.mkdir(mode=0o755, exist_ok=True)
        _run("sshd", "-t", "-f", str(settings))
        self._process = subprocess.Popen(
            [_program("sshd"), "-D", "-f", str(settings), "-E", str(home / "log")],
            stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
        )
        self.address = f"{host} {home}"
        """Its IP address and its folder."""

    def publish(self, path: Path) -> str:
        """Copy a file into the folder."""
        return str(shutil.copy(path, self._home / path.name))

    def fetch(self, name: str, providers: Sequence[str], path: Path) -> None:
        """Take a file that a client has uploaded."""
        Path(name).replace(path)

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait()


class SftpClient:
    """An `sftp` that stays logged in and is told on its standard input what to do."""

    def __init__(self, server: str) -> None:
        """Log in at a server's address. Raises SftpError."""
        host, self._folder = server.split(" ", 1)
        self.address = ""
        options = {
            "IdentityFile": f"{self._folder}/{_LOGIN_KEY}",
            "UserKnownHostsFile": f"{self._folder}/known_hosts",
            "IdentitiesOnly": "yes",
            "ConnectionAttempts": "20",
        }
        command = [_program("sftp"), "-q", "-b", "-", "-F", "none", "-P", str(_PORT)]
        command += [f"-o{name}={value}" for name, value in options.items()]
        self._process = subprocess.Popen(
            [*command, host],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=end_with_parent,
        )
        self._do("pwd")

    def publish(self, path: Path) -> str:
        """Upload a file; returns its path on the server."""
        name = f"{self._folder}/{path.name}.{secrets.token_hex(4)}"
        self._do(f'put "{path}" "{name}"')
        return name

    def fetch(self, name: str, providers: Sequence[str], path: Path) -> None:
        """Download a file."""
        self._do(f'get "{name}" "{path}"')

    def close(self) -> None:
        """Log out."""
        self._process.kill()
        self._process.wait()

    def _do(self, command: str) -> None:
        """Have it done and wait for its end. Raises SftpError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{command}\n!echo {_DONE}\n")
            self._process.stdin.flush()
        said = []
        for line in self._process.stdout:
            if line.strip() == _DONE:
                return
            said.append(line)
        raise SftpError(f"sftp could not `{command}`: {''.join(said).strip() or 'it ended'}")


def _find(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")


def _program(name: str) -> str:
    found = _find(name)
    if found is None:
        raise SftpError(f"there is no `{name}` here: {REMEDY}")
    return found


def _run(name: str, *arguments: str) -> None:
    command = [_program(name), *arguments]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SftpError(f"{name} failed: {done.stderr.strip() or done.stdout.strip()}")
