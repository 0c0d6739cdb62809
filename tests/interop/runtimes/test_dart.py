"""Finding the Dart VM, and precompiled peers.

No Dart is needed: a shell script stands in for the VM. The last test runs the real one where
it is at hand.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from interop.errors import CannotRun
from interop.runtimes import dart as dart_module
from interop.runtimes.dart import DartVM, command, find_dart, packages_ready, snapshot
from interop.runtimes.dart_packages import GENERATOR, write_package_config
from tests.support import PATIENCE

PEERS = Path(dart_module.__file__).parents[1] / "peers"

FAKE_DART = """\
#!/bin/sh
case "$1 $2" in
"--version "*) echo 'Dart SDK version: 3.7.3 (stable) on "linux_x64"'; exit 0 ;;
"compile --help") exit {compile} ;;
"pub get") {pub} ;;
esac
echo "$@" >> "{log}"
for argument in "$@"; do
  case "$previous" in -o) target="$argument" ;; esac
  case "$argument" in --snapshot=*) target="${{argument#--snapshot=}}" ;; esac
  previous="$argument"
done
{body}
"""


def test_readiness_gives_the_reason(packages: Path, peer: Path, tmp_path: Path) -> None:
    assert packages_ready(tmp_path)  # no pubspec.yaml: nothing is needed
    assert "package_config.json is missing" in packages_ready(peer).why
    config = write_package_config(packages, peer)
    assert packages_ready(peer)
    pubspec = peer / "pubspec.yaml"
    text = pubspec.read_text(encoding="utf-8")
    pubspec.write_text(text.replace("0.5.0", "0.3.0"), encoding="utf-8")
    assert packages_ready(peer).why == "pinned needs zap 0.3.0, and 0.5.0 is there"
    shutil.rmtree(peer / ".dart_tool" / "packages" / "zap-0.5.0")
    assert packages_ready(peer).why == "pinned needs zap 0.3.0, which is not there"
    config.write_text("{}", encoding="utf-8")
    assert "not a package configuration" in packages_ready(peer).why


class FakeDart:
    """A shell script in place of a Dart VM; logs what it is asked to compile."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "dart"
        self.log = folder / "dart.log"
        self.write()

    def write(
        self, *, sdk: bool = False, body: str = 'echo kernel > "$target"', pub: str = "exit 1"
    ) -> None:
        text = FAKE_DART.format(compile=0 if sdk else 254, log=self.log, body=body, pub=pub)
        self.path.write_text(text, encoding="utf-8")
        self.path.chmod(0o755)

    @property
    def compiled(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


@pytest.fixture
def fake(tmp_path: Path) -> FakeDart:
    (tmp_path / "bin").mkdir()
    return FakeDart(tmp_path / "bin")


def test_dart_is_found_by_argument_variable_and_path(
    fake: FakeDart, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = DartVM(fake.path, "3.7.3", sdk=False)
    monkeypatch.setenv("DART", "/nowhere/dart")
    assert find_dart(str(fake.path)) == bare
    monkeypatch.setenv("DART", str(fake.path))
    assert find_dart() == bare
    monkeypatch.delenv("DART")
    monkeypatch.setenv("PATH", str(fake.path.parent), prepend=":")
    fake.write(sdk=True)
    assert find_dart() == DartVM(fake.path, "3.7.3", sdk=True)


def test_no_dart_tells_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("DART", "/nowhere/dart")
    with pytest.raises(CannotRun, match=r"no dart: \$DART gives '/nowhere/dart'.* install"):
        find_dart()
    monkeypatch.delenv("DART")
    with pytest.raises(CannotRun, match="no dart: PATH gives 'dart'"):
        find_dart()


def test_a_dart_without_its_loader_tells_the_fix(fake: FakeDart) -> None:
    fake.path.write_text("#!/no/such/loader\n", encoding="utf-8")
    with pytest.raises(CannotRun, match=r"is there and does not start: .*libc6:i386"):
        find_dart(str(fake.path))


def test_another_program_is_no_dart(fake: FakeDart) -> None:
    fake.path.write_text("#!/bin/sh\necho something else\n", encoding="utf-8")
    with pytest.raises(CannotRun, match=r"does not answer --version.*: 'something else'"):
        find_dart(str(fake.path))


@pytest.mark.parametrize("sdk", [False, True])
def test_a_peer_is_compiled_once_for_its_sources(
    fake: FakeDart, packages: Path, peer: Path, tmp_path: Path, sdk: bool
) -> None:
    fake.write(sdk=sdk)
    vm = find_dart(str(fake.path))
    config = write_package_config(packages, peer)
    first = snapshot(vm, peer, tmp_path / "cache")
    assert first == snapshot(vm, peer, tmp_path / "cache")
    assert first.read_text(encoding="utf-8") == "kernel\n"
    (line,) = fake.compiled
    assert line.startswith(f"compile kernel --packages={config} -o" if sdk else "--packages=")
    assert command(vm, peer, first) == [str(fake.path), f"--packages={config}", str(first)]
    for source in (
        peer / "peer.dart",
        peer.parent / "dart_shared" / "control.dart",
        peer / ".dart_tool" / "packages" / "uuid-4.6.0" / "lib" / "uuid.dart",
    ):
        source.write_text("// changed\n", encoding="utf-8")
        snapshot(vm, peer, tmp_path / "cache")
    assert len(fake.compiled) == 4
    snapshot(DartVM(vm.path, "3.8.0", sdk=sdk), peer, tmp_path / "cache")
    assert len(fake.compiled) == 5
    assert len(list((tmp_path / "cache").iterdir())) == 5


def test_a_peer_that_does_not_compile_shows_what_dart_said(
    fake: FakeDart, tmp_path: Path, peer: Path
) -> None:
    (peer / "pubspec.yaml").unlink()
    vm = find_dart(str(fake.path))
    fake.write(body="echo 'peer.dart:3:1: Error: bad' >&2; exit 254")
    with pytest.raises(CannotRun, match=r"exit status 254:\npeer\.dart:3:1: Error: bad"):
        snapshot(vm, peer, tmp_path / "cache")
    fake.write(body=":")
    with pytest.raises(CannotRun, match="to nothing: ''"):
        snapshot(vm, peer, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_missing_packages_come_from_pub_or_a_folder(
    fake: FakeDart, peer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        CannotRun, match=r"is missing, and .* has no 'pub'.*ZAPTOOLS_DART_PACKAGES="
    ):
        snapshot(find_dart(str(fake.path)), peer, tmp_path / "cache")
    fake.write(sdk=True, pub="echo 'no registry'; exit 69")
    vm = find_dart(str(fake.path))
    with pytest.raises(CannotRun, match=r"exit status 69:\nno registry\nZAPTOOLS_DART_PACKAGES"):
        snapshot(vm, peer, tmp_path / "cache")
    config = peer / ".dart_tool" / "package_config.json"
    config.parent.mkdir()
    config.write_text(f'{{"packages": [], "generator": "{GENERATOR}"}}', encoding="utf-8")
    with pytest.raises(CannotRun, match=r"pinned needs zap 0\.5\.0.*ZAPTOOLS_DART_PACKAGES=DIR"):
        snapshot(vm, peer, tmp_path / "cache")
    config.write_text('{"packages": [], "generator": "pub"}', encoding="utf-8")
    monkeypatch.setattr(dart_module, "PUB_TIMEOUT", 0.05)
    fake.write(sdk=True, pub="exec sleep 30")
    with pytest.raises(CannotRun, match=r"did not end within .* s\nZAPTOOLS_DART_PACKAGES=DIR"):
        snapshot(vm, peer, tmp_path / "cache")


def test_the_dart_io_peer_answers(tmp_path: Path) -> None:
    try:
        vm = find_dart()
    except CannotRun as exc:
        pytest.skip(str(exc))
    folder = PEERS / "dart-io"
    arguments = [*command(vm, folder, snapshot(vm, folder, tmp_path)), "--exit-with-stdin"]
    with subprocess.Popen(
        [*arguments, "--listen", "127.0.0.1:0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().startswith("READY 127.0.0.1 ")
        process.stdin.close()
        assert process.wait(timeout=PATIENCE) == 0
