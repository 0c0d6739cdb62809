"""Synthetic Dart packages, for the tests that need no Dart; no test downloads one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interop.runtimes.dart import is_there
from interop.runtimes.dart_download import DECLINED

if not is_there():
    os.environ["DART"] = DECLINED  # processes that tests start inherit it


def write_pubspec(folder: Path, name: str, version: str = "1.0.0", **dependencies: str) -> Path:
    """Write a package that declares its dependencies and has one library."""
    (folder / "lib").mkdir(parents=True)
    lines = [f"name: {name}", f"version: {version}", "environment:", "  sdk: ^3.5.0"]
    lines += ["dependencies:", *(f"  {key}: '{value}'" for key, value in dependencies.items())]
    (folder / "pubspec.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "lib" / f"{name}.dart").write_text(f"// {name} {version}\n", encoding="utf-8")
    return folder


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "packages"
    write_pubspec(folder / "zap-0.3.0", "zap", "0.3.0", uuid="^4.0.0", any_one="any")
    write_pubspec(folder / "zap-0.5.0", "zap", "0.5.0", uuid="^4.5.1")
    write_pubspec(folder / "uuid-4.4.0", "uuid", "4.4.0")
    write_pubspec(folder / "uuid-4.6.0", "uuid", "4.6.0", fixnum=">=1.1.0 <2.0.0")
    write_pubspec(folder / "uuid-5.0.0", "uuid", "5.0.0")
    write_pubspec(folder / "more" / "fixnum", "fixnum", "1.1.1")
    write_pubspec(folder / "more" / "any_one", "any_one", "0.1.0+2")
    return folder


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    folder = write_pubspec(tmp_path / "peers" / "pinned", "pinned", zap="0.5.0")
    (folder / "peer.dart").write_text("void main() {}\n", encoding="utf-8")
    shared = tmp_path / "peers" / "dart_shared"
    shared.mkdir()
    (shared / "control.dart").write_text("// shared\n", encoding="utf-8")
    return folder
