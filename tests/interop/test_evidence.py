from __future__ import annotations

from interop import evidence
from interop.contract import Notification
from interop.engines import Address
from interop.scenario import Scenario
from interop.tap import Tap
from interop.wire import Frame

from .fake_peer import good
from .test_control import connected

FACTS = Scenario("x", "A rule.", faults=["client"])


def tap(*frames: Frame) -> Tap:
    made = Tap("127.0.0.1", Address("127.0.0.1", 0))
    for frame in frames:
        made.add(frame)
    return made


def test_a_burst_is_cut_and_counted() -> None:
    frame = Frame(0.5, 1, "client", "server", 1, b"{}")
    found = evidence.frames(tap(*[frame] * 100))
    assert len(found["frames"]) == evidence.KEPT
    assert found["frames_total"] == 100


def test_violations_name_author_and_frame() -> None:
    made = tap(
        Frame(0, 1, "judge", "server", 1, b"no JSON"),
        Frame(0, 1, "client", "server", 2, b""),
        Frame(0, 1, "server", "client", 1, b"[]"),
    )
    made.faults.append(("server", "half a frame"))
    assert evidence.violations(FACTS, made) == [
        {"author": "server", "violation": "bytes that are no WebSocket frame: half a frame",
         "excused": False},
        {"author": "client", "violation": "a binary message: events are text messages",
         "frame": 1, "excused": True},
        {"author": "server", "violation": "not an object but an array", "frame": 2,
         "excused": False},
    ]  # fmt: skip


def test_long_values_are_cut() -> None:
    found = evidence.clipped({"a": "x" * 1000, "b": "short"})
    assert found["b"] == "short"
    assert len(found["a"]) == 401
    assert found["a"].endswith("…")


def test_an_account_of_where_a_value_came_from_is_left_out() -> None:
    assert evidence.words("assert 1 == 2\n +  where 1 = <object at 0x7f>") == "assert 1 == 2"


async def test_notes_have_their_time() -> None:
    async with connected(good) as session:
        session.notifications += [Notification("event", {"name": "x" * 1000})] * 70
        session.times += [12.5] * 70
        found = evidence.notes(session, 12.0)
    assert len(found) == evidence.KEPT
    assert (found[0]["on"], found[0]["t_ms"]) == ("event", 500.0)
    assert found[0]["name"].endswith("…")
