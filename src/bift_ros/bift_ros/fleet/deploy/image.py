"""Builds the image that every vehicle's container is made from: `./bift fleet build`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docker.client import DockerClient
from docker.errors import APIError
from docker.utils.build import create_archive, exclude_paths

from bift_ros.fleet.runtimes.docker.containers import Image
from bift_ros.fleet.runtimes.runtime import FleetError

DOCKERFILE = "docker/Dockerfile"
_CERTIFICATES = "docker/ca.crt"
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PASSED_ON = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "PIP_INDEX_URL", "UV_DEFAULT_INDEX",
)  # fmt: skip
"""Variables of the caller that say how to reach the package index."""


def build_image(
    client: DockerClient,
    image: Image,
    clone: Path,
    base: str | None,
    tell: Callable[[str], None],
) -> str:
    """Build an image from a clone and return its ID; `tell` gets the engine's lines.

    `base` is a Debian 12 to begin with instead of the Dockerfile's. Proxies and certificates that
    the caller's variables name are used while downloading; the image has no trace of them. Raises
    FleetError.
    """
    arguments = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    arguments |= {"TORCH": image.torch, **({"BASE": base} if base is not None else {})}
    with tempfile.TemporaryFile() as context:
        _write_context(clone, context)
        context.seek(0)
        try:
            events = client.api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=DOCKERFILE,
                tag=image.tag,
                buildargs=arguments,
                network_mode="host",  # a proxy may listen on the host's loopback
                decode=True,
                rm=True,
                forcerm=True,
            )
            for event in events:
                if "error" in event:
                    raise FleetError(f"{image.tag} can't be built: {event['error'].strip()}")
                for line in event.get("stream", "").splitlines():
                    if line.strip():
                        tell(line)
            return str(client.images.get(image.tag).id)
        except APIError as error:
            raise FleetError(f"{image.tag} can't be built: {error.explanation}") from error


def _write_context(clone: Path, file: Any) -> None:
    """Everything that .dockerignore lets through, and the caller's certificates."""
    try:
        patterns = (clone / ".dockerignore").read_text().splitlines()
    except OSError as error:
        raise FleetError(
            f"{clone} is no clone of Bift ({error.strerror}: .dockerignore): the image is built "
            "from one"
        ) from error
    wanted = [line for line in patterns if line and not line.startswith("#")]
    files = sorted(exclude_paths(str(clone), wanted, dockerfile=DOCKERFILE))
    named = next((os.environ[n] for n in _CERTIFICATE_VARIABLES if os.environ.get(n)), None)
    extra = []
    if named is not None and _CERTIFICATES not in files:
        extra.append((_CERTIFICATES, Path(named).read_text()))
    create_archive(str(clone), files=files, fileobj=file, extra_files=extra)
