"""Dart packages from a folder, in place of ``dart pub get`` where no registry is reached.

The folder holds unpacked packages, each with its ``pubspec.yaml``, directly or one level down;
several versions of a package may be present. `write_package_config` resolves what a peer
needs and copies it into the peer's ``.dart_tool``, so that it also travels into an image.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..errors import CannotRun

__all__ = [
    "GENERATOR",
    "Package",
    "Version",
    "allows",
    "tree_digest",
    "write_package_config",
]

GENERATOR = "zaptools-interop"
"""The ``generator`` of a configuration written here; pub's own says ``pub``."""

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?")
_BOUND = re.compile(rf"\s*(\^|>=|<=|>|<|)\s*({_VERSION.pattern})")
_LOWEST = re.compile(r"(?:\^|>=?)\s*(\d+\.\d+)\.\d")
_OLDEST_LANGUAGE = "2.7"
"""Pub's language version for a package whose SDK constraint has no lower bound."""

_COPY_ATTEMPTS = 20
"""Attempts to put a copy in place while other processes put theirs."""


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """A semantic version in pub's order, where a build (``+1``) comes after none."""

    release: tuple[int, int, int]
    pre: tuple[tuple[bool, int, str], ...]
    build: tuple[tuple[bool, int, str], ...]
    text: str

    @classmethod
    def parse(cls, text: str) -> Version:
        """Parse ``1.2.3``, ``1.2.3-pre.1`` or ``1.2.3+1``.

        Raises:
            ValueError: `text` has another form.
        """
        match = _VERSION.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"not a version: {text!r}")
        major, minor, patch, pre, build = match.groups()
        # A release sorts after its pre-releases: (True, …) is above any numeric or text part.
        after_all = ((True, 1 << 62, "\uffff"),)
        return cls(
            (int(major), int(minor), int(patch)),
            _parts(pre) if pre else after_all,
            _parts(build),
            text.strip(),
        )

    @property
    def is_prerelease(self) -> bool:
        return "-" in self.text.split("+")[0]

    def __str__(self) -> str:
        return self.text


def _parts(text: str | None) -> tuple[tuple[bool, int, str], ...]:
    parts = text.split(".") if text else []
    return tuple((not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts)


def allows(constraint: str, version: Version) -> bool:
    """Return whether `version` satisfies ``any``, ``1.2.3``, ``^1.2.3`` or ``>=1.0.0 <2.0.0``.

    Raises:
        ValueError: `constraint` has another form.
    """
    if constraint.strip() in ("any", ""):
        return True
    at, bounds = 0, []
    while at < len(constraint.rstrip()):
        match = _BOUND.match(constraint, at)
        if match is None:
            raise ValueError(f"not a version constraint: {constraint!r}")
        bounds.append((match[1], Version.parse(match[2])))
        at = match.end()
    return all(_within(operator, bound, version) for operator, bound in bounds)


def _within(operator: str, bound: Version, version: Version) -> bool:
    match operator:
        case "^":
            major, minor, _ = bound.release
            end = (major + 1, 0, 0) if major else (0, minor + 1, 0)
            return bound <= version and version.release < end
        case ">=":
            return version >= bound
        case "<=":
            return version <= bound
        case ">":
            return version > bound
        case "<":
            # As pub has it: `<2.0.0` leaves out 2.0.0's own pre-releases too.
            early = version.is_prerelease and not bound.is_prerelease
            return version < bound and not (early and version.release == bound.release)
    return version == bound


@dataclass(frozen=True, slots=True)
class Package:
    """One ``pubspec.yaml``: `dependencies` maps names to constraints, `language` is ``3.5``.

    Attributes:
        overrides: the root's constraints, which override those of all other packages.
    """

    name: str
    version: Version
    folder: Path
    dependencies: Mapping[str, str]
    language: str
    overrides: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, pubspec: Path) -> Package:
        """Read a ``pubspec.yaml``.

        Raises:
            CannotRun: it is invalid; names the file.
        """
        try:
            data = yaml.safe_load(pubspec.read_text(encoding="utf-8"))
            if not isinstance(data, dict):
                raise ValueError("not a mapping")
            sdk = str((data.get("environment") or {}).get("sdk", ""))
            lowest = _LOWEST.search(sdk)
            return cls(
                str(data["name"]),
                Version.parse(str(data.get("version", "0.0.0"))),
                pubspec.parent,
                dict(_dependencies(data.get("dependencies") or {})),
                lowest[1] if lowest else _OLDEST_LANGUAGE,
                dict(_dependencies(data.get("dependency_overrides") or {})),
            )
        except KeyError as exc:
            raise CannotRun(f"{pubspec}: {exc} is missing") from exc
        except (ValueError, AttributeError, OSError, yaml.YAMLError) as exc:
            raise CannotRun(f"{pubspec}: {exc}") from exc

    @property
    def label(self) -> str:
        return f"{self.name}-{self.version}"


def _dependencies(section: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield names and constraints; the SDK's own packages are left out."""
    probe = Version.parse("0.0.0")
    for name, wanted in section.items():
        if isinstance(wanted, dict):
            if "sdk" in wanted:
                continue
            wanted = wanted.get("version")
        constraint = "any" if wanted is None else str(wanted)
        allows(constraint, probe)
        yield str(name), constraint


def write_package_config(packages_dir: Path, peer_dir: Path) -> Path:
    """Resolve a peer's packages from a folder, and write the peer's package configuration.

    Each package is copied to ``.dart_tool/packages/NAME-VERSION``. A second call changes
    nothing, and parallel calls do not interfere.

    Args:
        packages_dir: the folder of unpacked packages.
        peer_dir: the folder of a peer with a ``pubspec.yaml``.

    Returns:
        The path of the ``package_config.json`` written.

    Raises:
        CannotRun: a package is missing or ambiguous, or its ``pubspec.yaml`` is invalid.
    """
    peer_dir = peer_dir.resolve()
    root = Package.read(peer_dir / "pubspec.yaml")
    needed = _resolve(root, _scan(packages_dir), packages_dir)
    tool = peer_dir / ".dart_tool"
    (tool / "packages").mkdir(parents=True, exist_ok=True)
    entries = [_entry(root, "../")]
    for package in needed:
        _copy(package, tool / "packages" / package.label)
        entries.append(_entry(package, f"packages/{package.label}/"))
    config = {"configVersion": 2, "packages": entries, "generator": GENERATOR}
    return _replace(tool / "package_config.json", json.dumps(config, indent=2) + "\n")


def _entry(package: Package, root: str) -> dict[str, str]:
    return {
        "name": package.name,
        "rootUri": root,
        "packageUri": "lib/",
        "languageVersion": package.language,
    }


def _scan(packages_dir: Path) -> dict[str, dict[Version, Package]]:
    if not packages_dir.is_dir():
        raise CannotRun(f"{packages_dir}: no such folder of Dart packages")
    found: dict[str, dict[Version, Package]] = {}
    for folder in _package_folders(packages_dir):
        package = Package.read(folder / "pubspec.yaml")
        versions = found.setdefault(package.name, {})
        if (other := versions.get(package.version)) is not None:
            raise CannotRun(
                f"{package.name} {package.version} is there twice: "
                f"{other.folder} and {package.folder}"
            )
        versions[package.version] = package
    return found


def _package_folders(packages_dir: Path) -> Iterator[Path]:
    """Yield the packages' folders, but not nested ones (a package's ``example``, say)."""
    for folder in sorted(path for path in packages_dir.iterdir() if path.is_dir()):
        if (folder / "pubspec.yaml").is_file():
            yield folder
        else:
            yield from sorted(pubspec.parent for pubspec in folder.glob("*/pubspec.yaml"))


def _resolve(
    root: Package, found: Mapping[str, Mapping[Version, Package]], where: Path
) -> list[Package]:
    """Choose the newest versions that fit, repeating until the choice adds no constraint."""
    chosen: dict[str, Package] = {}
    for _ in range(100):
        wanted: dict[str, dict[str, str]] = {}
        reached, queue = {root.name}, [root]
        while queue:
            asker = queue.pop()
            for name, constraint in asker.dependencies.items():
                constraint = root.overrides.get(name, constraint)
                wanted.setdefault(name, {})[asker.label] = constraint
                if name in chosen and name not in reached:
                    queue.append(chosen[name])
                reached.add(name)
        again = {name: _pick(name, wanted[name], found.get(name, {}), where) for name in wanted}
        if again == chosen:
            return [chosen[name] for name in sorted(chosen)]
        chosen = again
    raise CannotRun(f"{where}: no set of versions settles for {root.label}")


def _pick(
    name: str, askers: Mapping[str, str], there: Mapping[Version, Package], where: Path
) -> Package:
    fitting = [v for v in there if all(allows(c, v) for c in askers.values())]
    if fitting:
        return there[max(fitting, key=lambda v: (not v.is_prerelease, v))]
    asked = ", ".join(f"{constraint} (for {asker})" for asker, constraint in askers.items())
    versions = ", ".join(str(v) for v in sorted(there)) or "none"
    raise CannotRun(
        f"{where}: no fitting version of the Dart package {name!r}: wanted {asked}; "
        f"found {versions}"
    )


def _copy(package: Package, target: Path) -> None:
    if not (package.folder / "lib").is_dir():
        raise CannotRun(f"{package.folder}: the package {package.name!r} has no lib folder")
    with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as temporary:
        new = Path(temporary) / "new"
        shutil.copytree(package.folder / "lib", new / "lib")
        shutil.copyfile(package.folder / "pubspec.yaml", new / "pubspec.yaml")
        digest = tree_digest(new)
        for attempt in range(_COPY_ATTEMPTS):
            try:
                if target.is_dir():
                    if tree_digest(target) == digest:
                        return
                    target.rename(Path(temporary) / f"old-{attempt}")
                new.rename(target)
                return
            except OSError as exc:  # Most likely another process has put its copy there.
                last = exc
    raise CannotRun(f"{target}: cannot be put in place: {last}") from last


def _replace(path: Path, text: str) -> Path:
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, 0o644)  # An image's user reads it; mkstemp makes it the owner's alone.
    Path(temporary).replace(path)
    return path


def tree_digest(folder: Path) -> str:
    """Return a digest of the pubspec and the Dart sources of `folder`, hidden folders left out."""
    digest = hashlib.sha256()
    for path in sorted([*folder.rglob("*.dart"), folder / "pubspec.yaml"]):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            content = path.read_bytes()
            digest.update(f"{name.as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
