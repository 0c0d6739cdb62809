"""What an application adds to the requests of its client: headers, and a part of the query.

Each may be a function, which is called before every attempt to connect: a token that has been
renewed meanwhile is sent.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import unquote_plus, urlencode

from .._arguments import shown
from .._tasks import ends_task
from ..connection.handshake import check_headers
from ..exceptions import ConnectError, ConnectTimeoutError

__all__ = ["Credentials", "Source", "Values"]

Values: TypeAlias = Mapping[str, str]
"""The values of headers, or of the query's parameters, by name."""

Source: TypeAlias = Values | Callable[[], Values | Awaitable[Values]]
"""The values, or a function, sync or async, that returns those of an attempt to connect."""


class Credentials:
    """The headers, and the part of the query, that the attempts of one ``connect`` send.

    Args:
        headers: the headers to add to the request, or a function that returns them. Default none.
        query: the parameters to add to the URL's query, in place of those that have the same
            names, or a function that returns them. Default none.

    Raises:
        TypeError: one is neither a mapping of strings nor a function.
        ValueError: a header is not allowed in a request.
    """

    __slots__ = ("headers", "query")

    def __init__(self, headers: Source | None = None, query: Source | None = None) -> None:
        self.headers: Source = _given(headers, "headers", check_headers)
        self.query: Source = _given(query, "query", _check_query)

    @property
    def may_change(self) -> bool:
        """Whether the next attempt may have others than the last."""
        return callable(self.headers) or callable(self.query)

    async def current(self, url: str, limit: float | None) -> tuple[str, dict[str, str]]:
        """Return the URL of an attempt, with the query's parameters, and its headers.

        Args:
            url: the server's URL.
            limit: seconds that each function may take; None for no bound.

        Raises:
            ConnectError: a function raised an exception, which is the cause.
            ConnectTimeoutError: a function took too long.
            TypeError, ValueError: a function returned what may not be passed instead.
        """
        query = _check_query(await _call(self.query, "query", url, limit))
        headers = check_headers(await _call(self.headers, "headers", url, limit))
        return _with_query(url, query), headers


def _given(
    source: Source | None, name: str, check: Callable[[Values | None], dict[str, str]]
) -> Source:
    """Return a function as it is, and values checked."""
    if inspect.iscoroutine(source):
        source.close()  # it will never be awaited
        raise TypeError(f"{name} must be a Mapping or a function, not a coroutine: do not call it")
    if source is None or isinstance(source, Mapping) or not callable(source):
        return check(source)
    return source


async def _call(source: Source, name: str, url: str, limit: float | None) -> Values:
    if isinstance(source, Mapping):
        return source
    scope = asyncio.timeout(limit)
    try:
        async with scope:
            values = source()
            return await values if inspect.isawaitable(values) else values
    except (Exception, asyncio.CancelledError) as exc:
        if ends_task(exc):
            raise
        if scope.expired():
            raise ConnectTimeoutError(url, f"{name}() took longer than {limit} s") from exc
        raise ConnectError(url, f"{name}() raised {type(exc).__name__}") from exc


def _check_query(query: Values | None) -> dict[str, str]:
    # None of these errors quotes a value: it may be a secret.
    if query is None:
        return {}
    if not isinstance(query, Mapping):
        raise TypeError(f"query must be a Mapping, a function or None, not {type(query).__name__}")
    for name, value in query.items():
        if not isinstance(name, str):
            raise TypeError(f"the name of a parameter must be a str, not {type(name).__name__}")
        if not isinstance(value, str):
            kind = type(value).__name__
            raise TypeError(f"the value of the parameter {shown(name)} must be a str, not {kind}")
    return dict(query)


def _with_query(url: str, values: Values) -> str:
    if not values:
        return url
    place, _, query = url.partition("?")
    parts = [
        part
        for part in query.split("&")
        if part and unquote_plus(part.partition("=")[0]) not in values
    ]
    return f"{place}?{'&'.join([*parts, urlencode(values)])}"
