"""Which image a peer has, with a made-up compose file and a fake of Docker's client."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, BuildError

from interop.catalog import load_peers
from interop.errors import CannotRun, TestbedError
from interop.runtimes.images import COMPOSE_FILE, build, recipe

COMPOSE = """
x-bases: &bases
  ONE: ${ONE:-one:1}
  TWO: ${TWO:-}
services:
  mine:
    build: {target: mine-peer, args: {<<: *bases, PEER: mine}}
  ready:
    image: ready
"""


@pytest.fixture
def compose(tmp_path: Path) -> Path:
    path = tmp_path / "docker-compose.yml"
    path.write_text(COMPOSE, "utf-8")
    return path


class FakeImages:
    """`DockerClient.images`: keeps what it was asked for; raises what it is given."""

    def __init__(self, raises: Exception | None = None) -> None:
        self.images = self
        self.asked: dict[str, Any] = {}
        self.raises = raises

    def build(self, **asked: Any) -> tuple[Any, Any]:
        self.asked = asked
        if self.raises is not None:
            raise self.raises
        return SimpleNamespace(id="sha256:1"), []


@pytest.mark.parametrize(
    ("environment", "one"), [({}, "one:1"), ({"ONE": "mine"}, "mine"), ({"ONE": ""}, "one:1")]
)
def test_a_recipe_is_the_services(compose: Path, environment: dict[str, str], one: str) -> None:
    expected = {"ONE": one, "TWO": "", "PEER": "mine"}
    assert recipe("mine", compose, environment) == ("mine-peer", expected)


def test_an_image_is_built_and_named_by_its_id(compose: Path) -> None:
    images = FakeImages()
    assert build("mine", images, compose=compose) == "sha256:1"  # type: ignore[arg-type]  # a fake
    assert images.asked["target"] == "mine-peer"
    assert images.asked["path"] == str(compose.parent)
    assert images.asked["tag"] == "zaptools-interop/mine"


LOG: list[dict[str, str]] = [{"stream": "pip said "}, {}, {"stream": "this"}]


@pytest.mark.parametrize(
    ("raises", "says"),
    [
        (
            BuildError("no", iter([{"stream": "pip said "}, {}, {"stream": "this"}])),
            "\npip said this",
        ),
        (APIError("engine gone"), "its image cannot be built: engine gone"),
    ],
)
def test_what_the_engine_says_is_passed_on(compose: Path, raises: Exception, says: str) -> None:
    with pytest.raises(CannotRun, match=rf"(?s)mine: .*{says}"):
        build("mine", FakeImages(raises), compose=compose)  # type: ignore[arg-type]  # a fake


def test_what_has_no_image_says_so(compose: Path) -> None:
    with pytest.raises(CannotRun, match=r"mine@1: .*--engine local has the older"):
        build("mine@1", FakeImages(), compose=compose)  # type: ignore[arg-type]  # a fake
    for name in ("other", "ready"):
        with pytest.raises(CannotRun, match=rf"{name} has no image: no service in docker-compose"):
            recipe(name, compose)


@pytest.mark.parametrize("text", ["services: [", "a: b", "services: x", "services: {mine: 3}"])
def test_another_file_is_no_compose_file(compose: Path, text: str) -> None:
    compose.write_text(text, "utf-8")
    with pytest.raises(TestbedError, match=r"docker-compose\.yml: not a compose file"):
        recipe("mine", compose)


def test_every_peer_has_an_image() -> None:
    for name, peer in load_peers().items():
        if peer.apis[0].control:
            continue  # it is for the testbed's own tests
        assert recipe(name, COMPOSE_FILE)[0].endswith("-peer")
