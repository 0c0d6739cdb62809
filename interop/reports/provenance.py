"""The provenance of results, in words: the commit, and each peer's libraries and sources. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..catalog import program_of
from ..places import DISTRIBUTION
from ..records import Commit, PeerRecord

__all__ = ["commit_line", "other_sources", "peer_lines", "peer_words", "replaced"]

_DIGITS = 8
"""The digits of a digest or commit that are shown."""


def commit_line(commit: Commit | None, testbed: str) -> str:
    """Return the commit in words, or the version of a testbed that was installed."""
    if testbed:
        return f"{DISTRIBUTION} {testbed}"
    if commit is None:
        return "commit unknown: not a checkout of this repository, or without git"
    return f"commit {commit.id[:12]}" + (", and changes that are not committed" * commit.dirty)


def peer_lines(peers: Mapping[str, PeerRecord]) -> list[str]:
    """Return a line for each different peer, the peers that are the same joined.

    Args:
        peers: what the peer of each row and column said of itself, by the id of that.
    """
    names: dict[str, dict[str, None]] = {}
    for api, peer in peers.items():
        names.setdefault(peer_words(peer), {})[program_of(api)] = None
    return [f"{', '.join(same)}: {words}" for words, same in names.items()]


def peer_words(peer: PeerRecord) -> str:
    """Return its runtime, and its libraries with versions and the beginnings of their digests."""
    libraries = [
        f"{name} {version}" + (f" ({digest[:_DIGITS]})" if digest else "")
        for name, version in peer.libraries.items()
        for digest in [peer.sources.get(name, "")]
    ]
    return "; ".join([f"{peer.language} {peer.runtime}".strip(), ", ".join(libraries)]).strip("; ")


def replaced(old: Mapping[str, PeerRecord], new: Mapping[str, PeerRecord]) -> list[str]:
    """Return what changed in the peers of two runs, in words, those that are the same joined.

    A library of the same version with other sources is another package; so is one of another
    version. A digest that one run lacks tells nothing.
    """
    found: dict[str, dict[str, None]] = {}
    for api in old.keys() & new.keys():
        for words in _changes(old[api], new[api]):
            found.setdefault(words, {})[program_of(api)] = None
    return [f"{', '.join(sorted(peers))}: {words}" for words, peers in sorted(found.items())]


def other_sources(recorded: Mapping[str, PeerRecord], peers: Mapping[str, PeerRecord]) -> str:
    """Return the libraries whose sources are not those of their version when it was recorded.

    Args:
        recorded: what the peers were, by program, as ``dart@0.3.0``.
        peers: what the peer of each row and column said of itself, by the id of that.

    Returns:
        As ``dart@0.3.0 (zaptools_server 0.3.0)``; empty if there are none.
    """
    programs = {program_of(api): peer for api, peer in sorted(peers.items())}
    found = []
    for program, peer in programs.items():
        names = peer.other_sources(recorded.get(program, PeerRecord()))
        if names:
            versions = ", ".join(f"{name} {peer.libraries[name]}" for name in names)
            found.append(f"{program} ({versions})")
    return ", ".join(found)


def _changes(old: PeerRecord, new: PeerRecord) -> Iterable[str]:
    if old.runtime != new.runtime:
        yield f"{new.language} {new.runtime}, was {old.runtime}"
    for name in old.libraries.keys() & new.libraries.keys():
        was, now = old.libraries[name], new.libraries[name]
        if was != now:
            yield f"{name} {now}, was {was}"
    for name in new.other_sources(old):
        digests = f"{new.sources[name][:_DIGITS]}, was {old.sources[name][:_DIGITS]}"
        yield f"{name} is {new.libraries[name]} in both runs, but its sources differ: {digests}"
