"""``docs/unsupported.md``: what each implementation has not, with the reason."""

from __future__ import annotations

from collections.abc import Iterable

from ..catalog import Api, Peer

__all__ = ["page"]

_HEAD = """\
# What is unsupported, and why

A cell is *unsupported* where the peer answers that its library has no such thing, and the `lacks` \
of its `peer.toml` says so too. That is for a call or an option that the library does not have, so \
that an application cannot expect it. What a library has and does otherwise than the rule is a \
[known deviation](interop.md#known-deviations).

What can be lacking is named as in [the contract](peer-contract.md): an operation (`clean`), an \
operation with an argument (`close code`), `send no-headers` for sending without any, or `rooms`. \
What the `python` peer's `ZapServer`, and its `ZapConsumer` and `ZapSubscriber` together, can do \
is all there is.

This page is made from the `peer.toml` of each peer, by `python -m interop model --write`.
"""


def page(peers: Iterable[Peer]) -> str:
    """Return the page, in Markdown."""
    parts = [_HEAD]
    for peer in peers:
        apis = [api for api in peer.apis if api.lacks and not api.control]
        if apis:
            parts.append(f"## {peer.name}\n")
            parts += [_table(title, lacks) for title, lacks in _merged(apis)]
    return "\n".join(parts)


def _merged(apis: Iterable[Api]) -> list[tuple[str, dict[str, str]]]:
    """Return what each table of a ``peer.toml`` lacks, with the API and the versions it is of."""
    found: list[tuple[Api, list[str]]] = []
    for api in apis:
        known = [v for same, v in found if (same.name, same.lacks) == (api.name, api.lacks)]
        versions = known[0] if known else []
        if not known:
            found.append((api, versions))
        versions += [api.version] if api.version else []
    return [
        (" ".join([f"`{api.name}`", ", ".join(versions)]).strip(), dict(api.lacks))
        for api, versions in found
    ]


def _table(title: str, lacks: dict[str, str]) -> str:
    by_reason: dict[str, list[str]] = {}
    for name, reason in lacks.items():
        by_reason.setdefault(reason, []).append(f"`{name}`")
    rows = [f"| {', '.join(names)} | {reason} |\n" for reason, names in by_reason.items()]
    return f"| {title} lacks | because |\n|---|---|\n{''.join(rows)}"
