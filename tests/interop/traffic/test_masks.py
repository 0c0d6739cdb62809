from __future__ import annotations

import json
import time

import pytest

from interop.traffic.masks import PLACEHOLDER, Masks, is_masked

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
CARD = "4111 1111 1111 1111"


@pytest.mark.parametrize(
    "name",
    ["password", "Pass-Word", "user_password", "accessToken", "API_KEY", "pin", "clientSecret",
     "Authorization", "card.number"],
)  # fmt: skip
def test_a_secret_by_its_name(name: str) -> None:
    found = json.loads(Masks().text(json.dumps({"a": [{name: "hunter2", "b": "hunter2x"}]})))
    assert is_masked(found["a"][0][name])
    assert found["a"][0]["b"] == "hunter2x"


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
