"""The peers' images, for the docker engine: built as ``docker-compose.yml`` says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from docker.errors import BuildError, DockerException

from ..errors import CannotRun, TestbedError
from ..places import ROOT

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["COMPOSE_FILE", "build", "recipe"]

COMPOSE_FILE = ROOT / "docker-compose.yml"

_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def build(program: str, client: DockerClient, *, compose: Path = COMPOSE_FILE) -> str:
    """Build a peer's image, using Docker's cache, and return its id.

    Raises:
        CannotRun: it has no image, or the build fails; the text ends with the build's output.
        TestbedError: the compose file is invalid.
    """
    if "@" in program:
        raise CannotRun(f"{program}: images have the newest versions; --engine local has the older")
    target, arguments = recipe(program, compose)
    try:
        image, _ = client.images.build(
            path=str(compose.parent),
            target=target,
            buildargs=dict(arguments),
            tag=f"zaptools-interop/{program}",
            rm=True,
        )
    except BuildError as exc:
        said = "".join(str(part.get("stream", "")) for part in exc.build_log if part)
        raise CannotRun(f"{program}: its image cannot be built: {exc}\n{said[-1500:]}") from exc
    except DockerException as exc:
        raise CannotRun(f"{program}: its image cannot be built: {exc}") from exc
    return str(image.id)


def recipe(
    service: str, compose: Path, environment: Mapping[str, str] = os.environ
) -> tuple[str, dict[str, str]]:
    """Return a service's stage and build arguments, with ``${NAME:-default}`` filled in.

    Raises:
        CannotRun: there is no such service, or it builds no image.
        TestbedError: the file is not a compose file.
    """
    try:
        services: dict[str, Any] = yaml.safe_load(compose.read_text("utf-8"))["services"]
        found = services.get(service, {}).get("build")
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as exc:
        raise TestbedError(f"{compose}: not a compose file ({exc!r})") from exc
    if found is None:
        raise CannotRun(f"{service} has no image: no service in {compose.name} builds it")

    def fill(value: object) -> str:
        # ":-" gives the default for an empty variable as well.
        return _VARIABLE.sub(lambda m: environment.get(m[1]) or m[2], str(value))

    return found["target"], {key: fill(value) for key, value in found.get("args", {}).items()}
