"""Takes secrets out of what is recorded, before any of it is written. Pure.

A secret is known by the name that it stands under (a member, a header, a parameter of the query) or
by its own form (a JSON Web Token). In its place stands a *placeholder*, ``<masked:token:4f1c…>``:
the name, and a keyed digest of the secret. A secret has one placeholder in a recording, with the
name that it was first known by. The key is made anew for each recording and is never written. A
number becomes another number of as many digits; null, true and false stay.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote, unquote_plus

__all__ = ["PLACEHOLDER", "Masks", "is_masked", "plain_name"]

PLACEHOLDER = re.compile(r"<masked:([a-z0-9._-]+):([0-9a-f]{12})>")

_NAMES = (
    "password passwd passphrase pwd secret token apikey accesskey privatekey authorization "
    "credential cookie sessionid sessid jwt bearer csrf xsrf cvv cvc ssn iban cardnumber otp"
).split()
"""A name is a secret's if it contains one of these, in any case and with any ``-``, ``_`` or ``.``
in it."""

_WHOLE_NAMES = frozenset("auth pin sid sig".split())
"""A name is a secret's if it is one of these; parts of words they are too often."""

_PARAMETERS = frozenset("key code signature session ticket nonce state".split())
"""These are names of secrets in a query alone."""

_PROTOCOL_LENGTH = 32
"""Characters from which on a subprotocol counts as a secret: tokens are handed over as one."""

_MOST_NAMES = 10_000

_MOST_LABELS = 100_000
"""Secrets of one recording whose first name is remembered."""

_SHORTEST = 6
"""Characters from which on a secret is looked for in the rest of its connection."""

_MOST_MET = 1000
"""Secrets of messages that are looked for in the rest of their connection: the latest ones."""

_SCHEME = re.compile(r"(?i)\b(bearer|basic|digest|negotiate)\s+([A-Za-z0-9+/=._~-]{8,})")
_ASSIGNED = re.compile(r"(?<![\w.-])([\w.-]{1,64})\\?[\"']?\s*[:=]\s*\\?[\"']?")
"""A name before its value in a text that is no JSON: a query, a form, a line of a log."""

_VALUE = re.compile(r"[^\s\"'&;,<>(){}\[\]\\]+")
_ESCAPE = re.compile(r"\\u(00[3-7][0-9a-fA-F]|002[dD])")
_JWT = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*")
_USERINFO = re.compile(r"(?<=://)[^\s/@\"]+(?=@)")
_RUN = re.compile(r"[A-Za-z0-9+/_-]{32,}={0,2}")
_LEAST_CARD = 10**12
_HEX = re.compile(r"[0-9a-fA-F]{32,}")
_CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?!\d)")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
_LONGEST_INT = 19
_HINT = re.compile(r"[:=]|eyJ|[A-Za-z0-9+/_-]{32}|\d[\d -]{11}|(?i:bearer|basic|digest|negotiate)")
"""What a text has that any of these patterns could find; most texts have it not."""

_EVENT = "eventName"

_Found = Callable[[re.Match[str]], str]


def is_masked(value: object) -> bool:
    """Whether a text has a placeholder in it."""
    return isinstance(value, str) and PLACEHOLDER.search(value) is not None


def plain_name(name: str) -> str:
    """Return a name without what its spelling varies in: case, ``-``, ``_`` and ``.``."""
    return re.sub(r"[-_.\s]", "", name).lower()


class Masks:
    """What counts as a secret in one recording, and what stands in its place.

    Args:
        masks: further names, or, between slashes, regular expressions for values.
        keep: names that are no secrets, whatever else says that they are.
        defaults: whether the usual names and forms count.
        emails: whether e-mail addresses count.
        key: for the digests; made anew by default.

    Attributes:
        masked: how many values were masked, by the name in their placeholders.

    Raises:
        ValueError: one of `masks` is no regular expression.
    """

    def __init__(
        self,
        masks: Iterable[str] = (),
        *,
        keep: Iterable[str] = (),
        defaults: bool = True,
        emails: bool = False,
        key: bytes | None = None,
    ) -> None:
        self.masked: Counter[str] = Counter()
        self._key = key or os.urandom(32)
        self._labels: dict[str, str] = {}  # the names that secrets were first known by, by digest
        self._defaults = defaults
        self._keep = {plain_name(name) for name in keep}
        self._names: set[str] = set()
        self._known: dict[tuple[str, bool], bool] = {}  # names that were looked up
        self._patterns: list[re.Pattern[str]] = []
        for mask in masks:
            if len(mask) > 2 and mask.startswith("/") and mask.endswith("/"):
                try:
                    self._patterns.append(re.compile(mask[1:-1]))
                except re.error as exc:
                    raise ValueError(f"{mask} is no regular expression: {exc}") from None
            else:
                self._names.add(plain_name(mask))
        if emails:
            self._patterns.append(_EMAIL)
        # Secrets with their placeholders: of the handshake, and of messages so far.
        self._handed: dict[str, str] = {}
        self._met: dict[str, str] = {}
        self._numbers: dict[float, str] = {}  # numbers that were secrets, with their names

    def for_connection(self) -> Masks:
        """Return these masks for one connection, in which its secrets are known once they are met.

        A server that repeats a token or a password in an event would give it away otherwise.
        """
        found = copy.copy(self)
        found._handed, found._met, found._numbers = {}, {}, {}
        return found

    # --- Names --------------------------------------------------------------------------------

    def _is_secret(self, name: str, *, parameter: bool = False) -> bool:
        found = self._known.get((name, parameter))
        if found is None:
            if len(self._known) > _MOST_NAMES:  # an application that makes names of data
                self._known.clear()
            found = self._known[name, parameter] = self._look_up(name, parameter)
        return found

    def _look_up(self, name: str, parameter: bool) -> bool:
        plain = plain_name(name)
        if plain in self._keep:
            return False
        if plain in self._names:
            return True
        return self._defaults and (
            plain in _WHOLE_NAMES
            or (parameter and plain in _PARAMETERS)
            or any(part in plain for part in _NAMES)
        )

    # --- Placeholders -------------------------------------------------------------------------

    def _digest(self, secret: str) -> str:
        return hmac.new(self._key, secret.encode("utf-8", "surrogatepass"), "sha256").hexdigest()

    def _placeholder(self, label: str, secret: str) -> str:
        if not secret or PLACEHOLDER.fullmatch(secret):
            return secret
        digest = self._digest(secret)[:12]
        label = self._labels.get(digest) or _label(label)
        if len(self._labels) < _MOST_LABELS:
            self._labels[digest] = label
        self.masked[label] += 1
        return f"<masked:{label}:{digest}>"

    def _named(self, name: str, secret: str) -> str:
        """Return a text under a secret's name masked; it is masked elsewhere from now on."""
        scheme, _, credentials = secret.partition(" ")
        known = credentials in self._handed  # behind whatever scheme it was handed over with
        if known or (_SCHEME.fullmatch(secret) and credentials.strip()):
            return f"{scheme} {self._named(name, credentials)}"
        placeholder = self._placeholder(name, secret)
        self._meet(secret, placeholder)
        return placeholder

    def _meet(self, secret: str, placeholder: str) -> None:
        if len(secret) < _SHORTEST or is_masked(secret):
            return
        self._met[secret] = placeholder
        if len(self._met) > _MOST_MET:
            del self._met[next(iter(self._met))]

    def _named_number(self, name: str, secret: float) -> float:
        """Return a number under a secret's name masked; it is masked elsewhere from now on."""
        digits = str(secret)
        if len(digits) >= _SHORTEST and len(self._numbers) < _MOST_MET:
            self._numbers[secret] = name
            digest = self._digest(digits)[:12]
            label = self._labels.setdefault(digest, _label(name))
            self._meet(digits, f"<masked:{label}:{digest}>")
        return self._number(secret, name)

    def _number(self, secret: float, label: str) -> float:
        """Return a number of the same type and of as many digits."""
        self.masked[_label(label)] += 1
        whole = int(hashlib.sha256(self._digest(repr(secret)).encode()).hexdigest(), 16)
        digits = min(len(str(abs(int(secret)))), _LONGEST_INT)
        least = 10 ** (digits - 1)
        found = least + whole % (9 * least)
        return float(found) + 0.5 if isinstance(secret, float) else found

    # --- What is recorded ---------------------------------------------------------------------

    def text(self, text: str) -> str:
        """Return a message's text with its secrets masked; the same if it has none."""
        if text.lstrip()[:1] not in ("{", "["):
            return self.value(text)
        repeated: list[str] = []

        def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found = dict(pairs)
            if len(found) < len(pairs):
                repeated.append("")
            return found

        try:
            message = json.loads(text, object_pairs_hook=members)
            found = self.json(message)
        except (ValueError, RecursionError):  # a part of one, perhaps: names in it may be escaped
            return self.value(_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))
        # Of a key that is there twice one value is not looked at, and is left out.
        if found == message and not repeated:
            return text
        return _dumped(found)

    def json(self, value: Any, under: str = "") -> Any:
        """Return JSON data with its secrets masked.

        Args:
            under: the name of the secret that it is part of; empty if it is part of none.
        """
        if isinstance(value, dict):
            return dict(self._member(key, item, under) for key, item in value.items())
        if isinstance(value, list):
            return [self.json(item, under) for item in value]
        if isinstance(value, str):
            return self._named(under, value) if under else self.text(value)
        if isinstance(value, bool) or value is None:
            return value
        if under or value in self._numbers:
            return self._named_number(under or self._numbers[value], value)
        if isinstance(value, int) and value >= _LEAST_CARD and self._is_card(str(value)):
            return self._number(value, "card")
        if self._patterns and any(pattern.search(str(value)) for pattern in self._patterns):
            return self._number(value, "custom")
        return value

    def _member(self, key: str, item: Any, under: str) -> tuple[str, Any]:
        name = self.value(key, name=True)
        if self._is_secret(key):
            under = key if name == key else "secret"
        elif plain_name(key) in self._keep:
            under = ""
        if key == _EVENT and isinstance(item, str) and not under:
            return name, self.value(item, name=True)
        return name, self.json(item, under)

    def value(self, text: str, *, name: bool = False) -> str:
        """Return a text under no secret's name with what looks like a secret masked.

        Args:
            name: whether it names a member or an event. In names a secret that is a plain word is
                not looked for, unless the handshake had it: a member 'auth' may say 'success'.
        """
        text = _outside(text, partial(self._repeated, name=name))
        for pattern in self._patterns:
            text = _outside(text, partial(pattern.sub, self._as("custom")))
        if not _HINT.search(text):
            return text
        if self._names or self._defaults:
            text = _outside(text, self._assigned)
        if not self._defaults:
            return text
        text = _outside(text, partial(_JWT.sub, self._as("jwt")))
        text = _outside(text, partial(_USERINFO.sub, self._as("userinfo")))
        text = _outside(text, partial(_SCHEME.sub, self._scheme))
        text = _outside(text, partial(_RUN.sub, self._long))
        return _outside(text, partial(_CARD.sub, self._card))

    def _repeated(self, text: str, *, name: bool) -> str:
        """Mask the secrets that were met on this connection, the longest first."""
        found = [each for each in self._handed if each in text]
        found += [each for each in self._met if each in text and not (name and each.isalpha())]
        if not found:
            return text
        either = "|".join(map(re.escape, sorted(set(found), key=len, reverse=True)))
        return re.sub(either, self._again, text)

    def _again(self, found: re.Match[str]) -> str:
        placeholder = self._handed.get(found[0]) or self._met[found[0]]
        self.masked[placeholder.split(":")[1]] += 1
        return placeholder

    def _as(self, label: str) -> _Found:
        return lambda found: self._placeholder(label, found[0])

    def _assigned(self, text: str) -> str:
        """Mask what is assigned to a secret's name, unless it is a scheme with credentials."""
        parts: list[str] = []
        at = 0
        for found in _ASSIGNED.finditer(text):
            parameter = text[max(found.start() - 1, 0) : found.start()] in ("?", "&")
            if found.start() < at or not self._is_secret(found[1], parameter=parameter):
                continue
            value = _VALUE.match(text, found.end())
            if value is not None and not _SCHEME.match(text, value.start()):
                placeholder = self._placeholder(found[1], value[0])
                if not value[0].isalpha():  # "token: missing"
                    self._meet(value[0], placeholder)
                parts += [text[at : value.start()], placeholder]
                at = value.end()
        return "".join([*parts, text[at:]])

    def _scheme(self, found: re.Match[str]) -> str:
        """Mask credentials behind their scheme, and no words: a basic membership."""
        if found[2].isalpha() and (found[2].islower() or found[2].istitle()):
            return found[0]
        placeholder = self._placeholder("credentials", found[2])
        self._meet(found[2], placeholder)
        return f"{found[1]} {placeholder}"

    def _long(self, found: re.Match[str]) -> str:
        """Mask a long run of characters that is hexadecimal, or random as base64 is."""
        run = found[0]
        if _HEX.search(run):
            return self._placeholder("hex", run)
        kinds = (str.isupper, str.islower, str.isdigit)
        return self._placeholder("base64", run) if all(any(map(k, run)) for k in kinds) else run

    def _card(self, found: re.Match[str]) -> str:
        return self._placeholder("card", found[0]) if self._is_card(found[0]) else found[0]

    def _is_card(self, text: str) -> bool:
        """Whether it is a number of a payment card, by its length and its check digit (Luhn)."""
        digits = [int(char) for char in text if char.isdigit()]
        if not self._defaults or not 13 <= len(digits) <= 19:
            return False
        doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
        return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0

    def target(self, target: str) -> str:
        """Return a request's path and query with the secrets masked."""
        path, mark, query = target.partition("?")
        return self.value(path) + mark + "&".join(map(self._parameter, query.split("&")))

    def _parameter(self, parameter: str) -> str:
        name, equals, value = parameter.partition("=")
        named = unquote_plus(name)
        given = value if value in self._handed else unquote_plus(value)
        secret = self._is_secret(named, parameter=True)
        found = self._handed_over(named, given) if secret else self.text(given)
        if given in self._handed:
            self._handed.setdefault(value, self._handed[given])
        name = name if self.value(named) == named else quote(self.value(named), safe="<>:")
        return name + equals + (value if found == given else quote(found, safe="<>:"))

    def headers(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return a handshake's headers with the secrets in their values masked."""
        return [(name, self._header(name, value)) for name, value in headers]

    def _header(self, name: str, value: str) -> str:
        plain = plain_name(name)
        if plain in self._keep:
            return value
        if plain == "secwebsocketprotocol":
            return self._protocols(value)
        if not self._is_secret(name):
            return self.text(value)
        if "cookie" in plain:
            return self._cookies(name, value)
        scheme, space, credentials = value.partition(" ")
        if plain.endswith("authorization") and space and credentials:
            return f"{scheme} {self._handed_over(name, credentials)}"
        return self._handed_over(name, value)

    def _cookies(self, header: str, value: str) -> str:
        """Mask the values of cookies, and keep their names."""
        first, *others = value.split(";")
        name, equals, secret = first.partition("=")
        if not equals:
            return self._handed_over(header, value)
        found = f"{name}={self._handed_over(header, secret)}"
        if header.lower() == "set-cookie":  # the others are attributes
            return ";".join([found, *(self.value(each) for each in others)])
        return ";".join([found, *(self._cookies(header, each) for each in others)])

    def _protocols(self, value: str) -> str:
        """Mask what is no name of a subprotocol, but a token that is handed over as one.

        It is the element behind a secret's name, what follows that name and a dot, or too long.
        """
        found: list[str] = []
        follows = False  # whether it is behind a secret's name
        for each in (part.strip() for part in value.split(",")):
            head, dot, rest = each.rpartition(".")
            if dot and self._is_secret(head):
                found.append(f"{head}.{self._handed_over('protocol', rest)}")
            elif (
                follows
                or "secwebsocketprotocol" in self._names
                or (self._defaults and len(each) >= _PROTOCOL_LENGTH)
            ):
                found.append(self._handed_over("protocol", each))
            else:
                found.append(self.value(each))
            follows = self._is_secret(found[-1]) and not is_masked(found[-1])
        return ", ".join(found)

    def _handed_over(self, label: str, secret: str) -> str:
        """Return a secret of the handshake masked; it is masked elsewhere from now on."""
        scheme, _, credentials = secret.partition(" ")
        if credentials.strip() and (_SCHEME.fullmatch(secret) or credentials in self._handed):
            return f"{scheme} {self._handed_over(label, credentials)}"
        placeholder = self._placeholder(label, secret)
        if len(secret) >= _SHORTEST and not is_masked(secret):
            self._handed[secret] = placeholder
        return placeholder


def _label(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]", "", name.lower())[:40] or "secret"


def _outside(text: str, change: Callable[[str], str]) -> str:
    """Return a text changed everywhere but in its placeholders."""
    if "<masked:" not in text:
        return change(text)
    parts, at = [], 0
    for found in PLACEHOLDER.finditer(text):
        parts += [change(text[at : found.start()]), found[0]]
        at = found.end()
    return "".join([*parts, change(text[at:])])


def _dumped(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which was an escape
        return json.dumps(value, separators=(",", ":"))
    return text
