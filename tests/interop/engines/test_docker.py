"""The docker engine, with a fake of Docker's client whose containers are scripted peers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError, DockerException, NotFound

from interop.engines import docker as engine_module
from interop.engines.docker import LABEL, DockerEngine, connect, sweep
from interop.errors import PeerDied, PeerHung, TestbedError

from ..fake_peer import good, serve


class Answer(requests.Response):
    def __init__(self, status: int) -> None:
        super().__init__()
        self.status_code = status


class FakeContainer:
    going = False
    """Whether something else has begun to remove it."""
    stuck = False

    def __init__(self, docker: FakeDocker, image: str, options: dict[str, Any]) -> None:
        self.docker, self.image, self.options = docker, image, options
        self.status = docker.status
        self.done: list[str] = []
        self.removed = False

    @property
    def attrs(self) -> dict[str, Any]:
        network = self.options["network"]
        return {
            "NetworkSettings": {"Networks": {network: {"IPAddress": "127.0.0.1"}}},
            "State": {"ExitCode": 137 if self.status == "exited" else 0},
        }

    def reload(self) -> None:
        if self.removed:
            raise NotFound("gone")

    def pause(self) -> None:
        self.done.append("pause")

    def unpause(self) -> None:
        self.done.append("unpause")

    def kill(self) -> None:
        self.status = "exited"
        self.done.append("kill")

    def logs(self, tail: int = 0) -> bytes:
        if self.removed:
            raise NotFound("gone")
        return b"what it said\n"

    def remove(self, *, force: bool, v: bool) -> None:
        assert force
        assert v
        if self.removed:
            raise NotFound("gone")
        if self.stuck:
            raise APIError("its file system is busy", response=Answer(500))
        if self.going:
            raise APIError("removal is already in progress", response=Answer(409))
        self.removed = True

    def wait(self, *, condition: str) -> None:
        assert condition == "removed"
        assert self.going
        self.removed = True


class FakeNetwork:
    def __init__(self, name: str, labels: dict[str, str]) -> None:
        self.name, self.labels = name, labels
        self.attrs: dict[str, Any] = {}
        self.removed = False
        self.broken = False
        self.in_use = False

    def reload(self) -> None:
        self.attrs = {"IPAM": {"Config": [{"Gateway": "127.0.0.9"}]}}

    def disconnect(self, container: FakeContainer, *, force: bool) -> None:
        assert force
        if self.broken:
            raise APIError("no", explanation="it is not in this network")
        container.done.append("disconnect")

    def remove(self) -> None:
        if self.removed:
            raise NotFound("gone")
        if self.in_use:
            raise APIError("it has active endpoints")
        self.removed = True


class FakeDocker:
    """`DockerClient`: its `containers` and `networks` are itself."""

    def __init__(self) -> None:
        self.containers = self.networks = self
        self.started: list[FakeContainer] = []
        self.nets: list[FakeNetwork] = []
        self.status = "running"
        self.refuses: str = ""
        self.removing = False
        self.pinged = False

    def ping(self) -> None:
        self.pinged = True

    def run(self, image: str, **options: Any) -> FakeContainer:
        if self.refuses == "run":
            raise DockerException("no such image")
        self.started.append(FakeContainer(self, image, options))
        return self.started[-1]

    def create(self, name: str, *, driver: str, labels: dict[str, str]) -> FakeNetwork:
        if self.refuses == "create":
            raise DockerException("no address is left")
        self.nets.append(FakeNetwork(name, labels))
        return self.nets[-1]

    def list(self, *, filters: dict[str, str], **more: Any) -> list[Any]:
        key, value = filters["label"].split("=")
        every: list[Any] = self.started if more else self.nets
        if more and self.removing and not more.get("ignore_removed"):
            raise NotFound("one of them went while each was looked at")
        labels = [getattr(each, "labels", None) or each.options["labels"] for each in every]
        return [
            each for each, of in zip(every, labels, strict=True)
            if of[key] == value and not each.removed
        ]  # fmt: skip


@asynccontextmanager
async def engine(
    docker: FakeDocker, monkeypatch: pytest.MonkeyPatch, logs: Path | None = None
) -> AsyncIterator[DockerEngine]:
    async with serve(good) as (_, port):
        monkeypatch.setattr(engine_module, "CONTROL_PORT", port)
        made = DockerEngine({"mine": "sha256:1"}, run="r1", logs=logs, client=docker)  # type: ignore[arg-type]  # a fake
        yield made
        await made.close()


async def test_a_peer_starts_once_in_the_workers_network(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch) as peers:
        one, two = await asyncio.gather(peers.address("mine"), peers.address("mine"))
        assert one == two
        assert await peers.tap_host(one) == "127.0.0.9"
        (container,), (network,) = docker.started, docker.nets
        assert container.image == "sha256:1"
        assert container.options["network"] == network.name
        assert container.options["labels"] == network.labels == {LABEL: "r1"}
        assert container.options["cap_drop"] == ["ALL"]
    assert container.removed
    assert network.removed


async def test_how_a_container_ended_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch, logs=tmp_path) as peers:
        address = await peers.address("mine")
        log = f"; its log: {tmp_path}/mine.{os.getpid()}.log"
        assert await peers.end(address) == f"its container is running{log}"
        docker.started[0].kill()
        assert await peers.end(address) == f"its container was ended by SIGKILL{log}"
        docker.started[0].removed = True
        assert await peers.end(address) == f"its container is gone{log}"
        await peers.restart("mine")
        assert await peers.end(address) == ""


async def test_workers_share_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch) as one, engine(docker, monkeypatch) as two:
        await one.address("mine")
        await two.address("mine")
        assert len({network.name for network in docker.nets}) == 2


async def test_a_part_behind_an_exclamation_mark_is_another_container(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch) as peers:
        for name in ("mine", "mine!server", "mine!client"):
            await peers.address(name)
        assert [container.image for container in docker.started] == ["sha256:1"] * 3
        await peers.discard("mine!server")
        await peers.discard("mine!server")
        assert [container.removed for container in docker.started] == [False, True, False]


@pytest.mark.parametrize("removed", [False, True])
async def test_a_peer_that_ended_is_started_again(
    monkeypatch: pytest.MonkeyPatch, removed: bool
) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch) as peers:
        await peers.address("mine")
        docker.started[0].status = "exited"
        docker.started[0].removed = removed
        await peers.address("mine")
        assert [container.removed for container in docker.started] == [True, False]


async def test_a_paused_peer_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch) as peers:
        await peers.address("mine")
        docker.started[0].status = "paused"
        await peers.address("mine")
        assert len(docker.started) == 1


async def test_faults_befall_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch) as peers:
        await peers.address("mine")
        for fault in ("pause", "resume", "disconnect", "kill"):
            await peers.faults().fault(fault, "mine")
        assert docker.started[0].done == ["pause", "unpause", "disconnect", "kill"]
        docker.nets[0].broken = True
        with pytest.raises(TestbedError, match="mine: disconnect failed: it is not in this"):
            await peers.fault("disconnect", "mine")


async def test_what_a_container_said_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with engine(FakeDocker(), monkeypatch, tmp_path / "logs") as peers:
        await peers.address("mine")
    (log,) = (tmp_path / "logs").iterdir()
    assert (log.name.split(".")[0], log.read_text("utf-8")) == ("mine", "what it said\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="nothing here is always full")
async def test_a_full_disk_costs_what_a_container_said_and_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / f"mine.{os.getpid()}.log").symlink_to("/dev/full")
    docker = FakeDocker()
    async with engine(docker, monkeypatch, tmp_path) as peers:
        await peers.address("mine")
        await peers.restart("mine")
        await peers.address("mine")
    assert [container.removed for container in docker.started] == [True, True]


async def test_a_container_that_somebody_removed_is_no_trouble(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch, tmp_path) as peers:
        await peers.address("mine")
        docker.started[0].removed = True


async def test_a_container_that_ends_at_once_shows_its_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docker = FakeDocker()
    docker.status = "exited"
    async with engine(docker, monkeypatch) as peers:
        with pytest.raises(PeerDied, match=r"mine did not start: its container ended\n  what it"):
            await peers.address("mine")
    assert docker.started[0].removed


async def test_a_container_that_does_not_listen_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch) as peers:
        monkeypatch.setattr(engine_module, "CONTROL_PORT", 1)
        monkeypatch.setattr(engine_module, "START_TIMEOUT", 0.1)
        with pytest.raises(PeerHung, match=r"connection within 0\.1 s \(.*Connect call failed"):
            await peers.address("mine")


@pytest.mark.parametrize(
    ("refuses", "error", "says"),
    [
        ("run", PeerDied, "cannot start a container of mine: no such image"),
        ("create", TestbedError, "no network for a worker: no address is left"),
    ],
)
async def test_what_the_engine_refuses_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, refuses: str, error: type[Exception], says: str
) -> None:
    docker = FakeDocker()
    docker.refuses = refuses
    async with engine(docker, monkeypatch) as peers:
        with pytest.raises(error, match=says):
            await peers.address("mine")


async def test_a_sweep_removes_what_is_left_of_its_run_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch) as peers:
        await peers.address("mine")
        sweep("r2", docker)  # type: ignore[arg-type]  # a fake
        assert not docker.started[0].removed
        sweep("r1", docker)  # type: ignore[arg-type]  # a fake
        assert docker.started[0].removed
        assert docker.nets[0].removed
        docker.nets[0].removed = False  # what close() removes, were there no sweep


async def test_a_sweep_waits_for_what_is_going(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch) as peers:
        await peers.address("mine")
        docker.removing = docker.started[0].going = True
        sweep("r1", docker)  # type: ignore[arg-type]  # a fake
        assert docker.started[0].removed
        assert docker.nets[0].removed
        docker.nets[0].removed = False


async def test_what_cannot_be_removed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch) as peers:
        await peers.address("mine")
        docker.started[0].stuck = True
        with pytest.raises(APIError, match="500 Server Error"):
            sweep("r1", docker)  # type: ignore[arg-type]  # a fake
        docker.started[0].stuck = False


def test_no_engine_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "none://here")
    with pytest.raises(TestbedError, match=r"no Docker engine: .*set DOCKER_HOST"):
        connect()


def test_an_engine_that_answers_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker()
    monkeypatch.setattr("docker.from_env", lambda: docker)
    assert connect() is docker
    assert docker.pinged


async def test_an_engine_that_started_nothing_has_nothing_to_remove(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch):
        pass
    assert docker.nets == []


async def test_a_peer_that_failed_is_another_container_at_its_next_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docker = FakeDocker()
    async with engine(docker, monkeypatch) as peers:
        await peers.restart("mine")  # never started: nothing to end
        await peers.address("mine")
        await peers.restart("mine")
        assert [each.removed for each in docker.started] == [True]
        await peers.address("mine")
        assert len(docker.started) == 2
