from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from urllib.parse import unquote

import pytest

from interop.traffic.masks import PLACEHOLDER, Masks, is_masked

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
SECRET = "hdr-S3cret-Token"
CARD = "4111 1111 1111 1111"


@pytest.mark.parametrize(
    "name",
    ["password", "Pass-Word", "user_password", "accessToken", "API_KEY", "pin", "clientSecret",
     "Authorization", "card.number"],
)  # fmt: skip
def test_a_secret_by_its_name(name: str) -> None:
    found = json.loads(Masks().text(json.dumps({"a": [{name: "hunter2", "b": "hunter3x"}]})))
    assert is_masked(found["a"][0][name])
    assert found["a"][0]["b"] == "hunter3x"


@pytest.mark.parametrize("name", ["key", "opinion", "authors", "path", "name", "signal"])
def test_other_names_are_none(name: str) -> None:
    text = json.dumps({name: "hunter2"})
    assert Masks().text(text) == text


@pytest.mark.parametrize(
    "text", [JWT, f"see {JWT}.", CARD, CARD.replace(" ", "-"), "ab" * 16, "aB3" * 11,
             "Bearer abcdef123", "https://ada:lovelace@host/", "a b; token = x", "?key=abc"],
)  # fmt: skip
def test_a_secret_by_its_form(text: str) -> None:
    assert PLACEHOLDER.search(Masks().value(text))
    assert Masks(defaults=False).value(text) == text


@pytest.mark.parametrize(
    "text", ["4111 1111 1111 1112", "550e8400-e29b-41d4-a716-446655440000", "a basic membership",
             "ada@example.com", "12:30", "2026-01-02T03:04:00Z", "a perfectly usual sentence", ""],
)  # fmt: skip
def test_what_looks_like_none(text: str) -> None:
    assert Masks().value(text) == text


def test_the_same_secret_has_the_same_placeholder_and_in_another_recording_another() -> None:
    one, other = Masks(), Masks()
    text = '{"token":"abc"}'
    assert one.text(text) == one.text(text) != other.text(text)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1234, int), (12.5, float), (True, bool), (None, type(None)), ([123456], list)],
)
def test_the_type_stays(value: object, kind: type) -> None:
    found = Masks().json({"secret": value})["secret"]
    assert type(found) is kind
    assert (found == value) is (value in (True, None))


def test_a_number_has_as_many_digits() -> None:
    masks = Masks()
    for digits in range(1, 12):
        assert len(str(masks.json({"pin": 10**digits - 1})["pin"])) == digits


def test_json_within_a_string_is_looked_at() -> None:
    found = Masks().json({"body": '{"password":"hunter2"}'})["body"]
    assert is_masked(json.loads(found)["password"])


def test_own_names_and_patterns() -> None:
    masks = Masks(["nick-name", "/N-[0-9]+/"], keep=["token"], emails=True)
    found = masks.json({"nickName": "Ada", "token": "t", "id": "N-12", "to": "ada@example.com"})
    assert [name for name, value in found.items() if is_masked(value)] == ["nickName", "id", "to"]
    with pytest.raises(ValueError, match=r"/\(/ is no regular expression: "):
        Masks(["/(/"])


def test_a_secret_of_the_handshake_is_known_in_all_of_its_connection() -> None:
    masks = Masks()
    one, other = masks.for_connection(), masks.for_connection()
    one.headers([("Authorization", "Bearer plainword")])
    assert is_masked(one.text('{"echo":"you are plainword"}'))
    assert not is_masked(other.text('{"echo":"you are plainword"}'))


CHANNELS: dict[str, Callable[[Masks], str]] = {
    "header": lambda masks: masks.headers([("Authorization", f"Bearer {SECRET}")])[0][1],
    "other header": lambda masks: masks.headers([("X-Token", SECRET)])[0][1],
    "scheme in a header": lambda masks: masks.headers([("X-Token", f"Bearer {SECRET}")])[0][1],
    "cookie": lambda masks: masks.headers([("Cookie", f"a={SECRET}")])[0][1],
    "subprotocol": lambda masks: masks.headers(
        [("Sec-WebSocket-Protocol", f"access_token, {SECRET}")])[0][1],
    "query": lambda masks: unquote(masks.target(f"/?token={SECRET}")),
    "member": lambda masks: masks.text(f'{{"password":"{SECRET}"}}'),
    "authorization": lambda masks: masks.text(f'{{"authorization":"Bearer {SECRET}"}}'),
    "JSON in a text": lambda masks: masks.text(json.dumps({"a": f'{{"pwd":"{SECRET}"}}'})),
    "scheme": lambda masks: masks.text(f'{{"x":"Bearer {SECRET}"}}'),
    "assigned": lambda masks: masks.text(f"log: token={SECRET} and more"),
}  # fmt: skip
REPEATED = [
    f'{{"x":"{SECRET}"}}',
    f'{{"x":["so {SECRET}."]}}',
    f"{SECRET}: it",
    f'{{"{SECRET}":null}}',
    f'{{"eventName":"to {SECRET}"}}',
]


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(CHANNELS, 2)))
def test_a_secret_has_one_placeholder_in_all_channels(first: str, second: str) -> None:
    masks = Masks().for_connection()
    found = [CHANNELS[first](masks), CHANNELS[second](masks), *map(masks.text, REPEATED)]
    placeholders = [PLACEHOLDER.findall(text) for text in found]
    assert all(len(each) == 1 for each in placeholders), found
    assert len({each[0] for each in placeholders}) == 1, found
    assert not any("<masked:" in PLACEHOLDER.sub("", text) for text in found), found
    assert masks.masked.total() == len(found)


def test_a_secret_has_one_placeholder_on_all_connections() -> None:
    masks = Masks()
    one = CHANNELS["cookie"](masks.for_connection())
    other = CHANNELS["member"](masks.for_connection())
    assert PLACEHOLDER.findall(one) == PLACEHOLDER.findall(other)


def test_a_secret_of_a_message_is_known_in_the_rest_of_its_connection() -> None:
    masks = Masks()
    one, other = masks.for_connection(), masks.for_connection()
    one.text('{"password":"hunter2-pa55","pin":271828,"otp":"12345"}')
    again = '{"note":"Hello hunter2-pa55","n":271828,"s":"271828","short":"12345"}'
    found = json.loads(one.text(again))
    assert is_masked(found["note"])
    assert is_masked(found["s"])
    assert found["n"] != 271828
    assert len(str(found["n"])) == 6
    assert found["short"] == "12345"
    assert other.text(again) == again


def test_a_longer_secret_is_masked_before_one_that_is_a_part_of_it() -> None:
    masks = Masks().for_connection()
    masks.text('{"password":["abc123","abc123-def456"]}')
    assert PLACEHOLDER.sub("*", masks.text("so abc123-def456")) == "so *"


def test_a_secret_of_two_words_is_masked_as_a_whole() -> None:
    masks = Masks().for_connection()
    found = masks.text('{"password":["hunter22","correct hunter22"]}')
    assert PLACEHOLDER.sub("*", found) == '{"password":["*","*"]}'


def test_a_word_that_a_message_has_as_a_secret_is_not_looked_for_in_names() -> None:
    masks = Masks().for_connection()
    masks.text('{"auth":"success"}')
    text = '{"eventName":"success","payload":{"success":1}}'
    assert masks.text(text) == text
    assert is_masked(masks.text('{"x":"success"}'))


def test_a_secret_that_is_a_name_is_in_no_placeholder() -> None:
    masks = Masks().for_connection()
    masks.headers([("Authorization", f"Bearer {SECRET}")])
    assert SECRET.lower() not in masks.text(f'{{"{SECRET}":"x"}}').lower()


def test_a_secret_that_is_a_part_of_placeholders() -> None:
    masks = Masks().for_connection()
    masks.text('{"password":"masked","secret":"password"}')
    found = masks.text('{"x":"password masked"}')
    assert PLACEHOLDER.sub("*", found) == '{"x":"* *"}'


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("v1, v2", "v1, v2"),
        ("access_token, hunter22", "access_token, *"),
        ("base64url.bearer.authorization.k8s.io.hunter22, base64.k8s",
         "base64url.bearer.authorization.k8s.io.*, base64.k8s"),
        ("x" * 32, "*"),
    ],
)  # fmt: skip
def test_subprotocols(value: str, found: str) -> None:
    ((_, masked),) = Masks().headers([("Sec-WebSocket-Protocol", value)])
    assert PLACEHOLDER.sub("*", masked) == found


def test_cookies_keep_their_names() -> None:
    found = Masks().headers([("Cookie", "a=1; b=2"), ("Set-Cookie", "sid=3; Path=/")])
    assert [PLACEHOLDER.sub("*", value) for _, value in found] == ["a=*; b=*", "sid=*; Path=/"]


@pytest.mark.parametrize(
    "text", ["a" * 9, "a.", "eyJ", "a=b ", "1 ", "://", "x:", "bearer ", "token:", '{"a":', "?key="]
)  # fmt: skip
def test_it_takes_no_more_than_linear_time(text: str) -> None:
    """Measured against itself: eight times the text in no more than forty times the time."""
    masks = Masks()

    def took(times: int) -> float:
        began = time.process_time()
        masks.text(text * times)
        return time.process_time() - began

    assert took(16_000) < 40 * max(took(2_000), 0.001)
