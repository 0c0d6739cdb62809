"""Puts the evidence on each version together: its own texts, what it reads, and real runs."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from ..catalog import Api
from ..check.endpoint import Endpoint, EndpointError
from ..check.remote import Pace, RefusedError
from ..wire.vectors import Vectors
from .judgement import Cause, causes
from .play import Asked, Heard, Played, Player, name_of
from .real import Course, Run, run_client
from .traits import parse

__all__ = ["Gate", "Settings", "Version", "answer_key"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a gate was asked for.

    Attributes:
        echo: the event that the application answers with its payload, or None.
        asked: the texts of ``--ask``.
        listen: seconds to wait for what the server pushes.
        rate: new connections a second at most; None for no limit.
    """

    patience: float
    echo: str | None = None
    asked: Sequence[str] = ()
    listen: float = 1.0
    rate: float | None = None


@dataclass
class Version:
    """One version of one client, and what was found of it.

    Attributes:
        recorded: what it writes and reads; None where it was never recorded.
        played: what became of its texts; None where there are none.
        run: what a real one did; None where it was not run, and `not_run` says why.
        causes: why it breaks; those of the baseline are in `already`.
        done: whether all of the evidence on it was taken.
    """

    api: Api
    recorded: Vectors | None
    not_run: str = ""
    played: Played | None = None
    run: Run | None = None
    causes: list[Cause] = field(default_factory=list)
    already: list[Cause] = field(default_factory=list)
    done: bool = False
    duration_s: float = 0.0

    @property
    def judged(self) -> bool:
        """Whether there is any evidence of it."""
        by_records = self.recorded is not None and bool(self.recorded.reads)
        return self.done and (by_records or (self.run is not None and not self.run.error))


def answer_key(text: str) -> str:
    """Return what tells an event of ``--ask`` from others, the same in every run."""
    return (
        f"{name_of(text)}.{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    )


class Gate:
    """Asks whether a server may be deployed to the users of some versions.

    Args:
        commands: the commands that run real clients, by the API's id.
        known: what is broken already, by the API's id: the kinds and keys of causes.
        answered: the keys of the events of ``--ask`` that were answered before.
        logs: the folder for the logs of real clients.

    Attributes:
        heard: what the server pushed; `asked`: what it answered to ``--ask``.
        gone: that it went away before all was asked, and how; empty where it did not.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        versions: Sequence[Version],
        settings: Settings,
        *,
        commands: Mapping[str, Sequence[str]],
        known: Mapping[str, frozenset[tuple[str, str]]],
        answered: Set[str] = frozenset(),
        shoulds: frozenset[str],
        logs: Path,
    ) -> None:
        self.endpoint = endpoint
        self.versions = versions
        self.settings = settings
        self.heard = Heard()
        self.asked = Asked()
        self.gone = ""
        self._commands = commands
        self._known = known
        self._answered = answered
        self._refused = ""  # how it refuses every handshake, as a sentence without its subject
        self._logs = logs
        self._pace = Pace(settings.rate)
        self._player = Player(
            endpoint,
            patience=settings.patience,
            echo=settings.echo,
            pace=self._pace,
            shoulds=shoulds,
        )

    async def run(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Take the evidence, version by version; `progress` is called with what is next.

        Raises:
            EndpointError: there is no WebSocket server at the endpoint.
        """
        try:
            await self._player.begin()
        except RefusedError as exc:
            self._refused = exc.words
        try:
            if not self._refused:
                await self._listen(progress)
            for version in self.versions:
                began = time.monotonic()
                await self._judge(version, progress)
                version.duration_s = time.monotonic() - began
                version.done = True
        except EndpointError as exc:
            self.gone = f"it went away: {exc.why}"

    async def _listen(self, progress: Callable[[str], None]) -> None:
        progress("what it pushes")
        self.heard = await self._player.listen(self.settings.listen)
        if self.settings.asked:
            progress("what it answers")
            pushed = {parse(each.opcode, each.data).event for each in self.heard.seen} - {""}
            self.asked = await self._player.ask(self.settings.asked, frozenset(pushed))

    async def _judge(self, version: Version, progress: Callable[[str], None]) -> None:
        found: list[Cause] = [*self._ended(), *self._silent()]
        if version.recorded is not None and not self._refused:
            progress(f"what {version.api.id} writes")
            version.played = await self._player.play(version.recorded)
            found += version.played.causes
            seen = [*self.heard.seen, *self.asked.seen, *version.played.seen]
            found += causes(version.recorded, seen)
        if (command := self._commands.get(version.api.id)) is not None:
            progress(f"{version.api.id} itself")
            version.run = await self._run_client(version, command)
            found += version.run.causes
        if self._refused:
            found = [Cause("writes", "handshake", self._refused, "the app is offline",
                           advice="accept it; or if the app offers a subprotocol, ask with "
                           "--subprotocol NAME")]  # fmt: skip
        if found:  # which a server that is down would bring about too
            await self._player.check_there()
        known = self._known.get(version.api.id, frozenset())
        for cause in found:
            is_known = (cause.kind, cause.key) in known
            (version.already if is_known else version.causes).append(cause)

    def _ended(self) -> Sequence[Cause]:
        """Return that the server ended the connection at an event that the user named."""
        if not (text := self.asked.ended):
            return ()
        words = f"ends the connection ({self.asked.closed}) when it is sent {text}"
        return [Cause("writes", f"ask.{text[:60]}", words, "the app is cut off", text)]

    def _silent(self) -> Iterator[Cause]:
        """Yield what the server does not answer any more."""
        for text in self.asked.silent:
            if (key := answer_key(text)) in self._answered:
                yield Cause("answers", key, "no longer answers", "the app waits in vain", text,
                            event=name_of(text))  # fmt: skip

    async def _run_client(self, version: Version, command: Sequence[str]) -> Run:
        settings = self.settings
        seen = [*self.heard.seen, *self.asked.seen]
        events = {parse(each.opcode, each.data).event for each in seen} - {""}
        course = Course(
            endpoint=self.endpoint,
            pace=self._pace,
            patience=settings.patience,
            echo=settings.echo,
            answer_name=self._player.answer_name,
            events=sorted(events),
            asked=settings.asked,
            listen=settings.listen,
        )
        return await run_client(version.api, command, version.recorded, self._logs, course)
