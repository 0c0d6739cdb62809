"""What pip installs for some peers alone: the extras of the testbed's distribution."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
from collections.abc import Iterator, Mapping

from packaging.requirements import Requirement

from ..errors import CannotRun
from ..places import DISTRIBUTION
from .programs import needs, python_command

__all__ = ["EXTRAS", "check_extra"]

EXTRAS: Mapping[str, str] = {"python": "python", "mutant": "python"}
"""The extra that each peer needs of those that run in this interpreter."""


def check_extra(peer: str, distribution: str = DISTRIBUTION) -> None:
    """Check that the extra of a peer is installed, in the versions that it asks for.

    Raises:
        CannotRun: it is not; says which command installs it.
    """
    if (extra := EXTRAS.get(peer)) is None:
        return
    wanted = shlex.quote(f"{distribution}[{extra}]")
    # The environments of pipx have no pip.
    pip = f"{python_command()} -m pip install {wanted}"
    install = pip if importlib.util.find_spec("pip") else f"pipx install --force {wanted}"
    with needs(f"packages for the peer {peer}", install):
        if missing := "; ".join(_missing(extra, distribution)):
            raise CannotRun(missing)


def _missing(extra: str, distribution: str) -> Iterator[str]:
    """Yield what is wrong with each requirement of an extra that is not met."""
    for requirement in map(Requirement, importlib.metadata.requires(distribution) or ()):
        marker = requirement.marker
        if (
            marker is None
            or marker.evaluate({"extra": ""})
            or not marker.evaluate({"extra": extra})
        ):
            continue
        wanted = f"{requirement.name}{requirement.specifier}"
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{wanted} is not installed"
        else:
            if not requirement.specifier.contains(version, prereleases=True):
                yield f"{wanted} is needed, and {version} is installed"
