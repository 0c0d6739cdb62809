"""Patience: a time that passes only while the peers keep up."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest

from interop.control.patience import SHORT, STEP, Patience
from interop.errors import PeerDied
from tests.support import until

from ..fake_peer import good
from .test_session import connected


class FakePeer:
    """Answers as often as it was told to; then it keeps who asks waiting, or dies."""

    def __init__(self, answers: int, *, dies: bool = False) -> None:
        self.answers = answers
        self.dies = dies
        self.asked = 0
        self.more = asyncio.Event()

    async def check_alive(self) -> None:
        self.asked += 1
        if self.asked > self.answers:
            if self.dies:
                raise PeerDied("gone")
            await self.more.wait()


async def never(patience: Patience) -> None:
    """Wait for what does not come."""
    nothing: Callable[[], object] = lambda: None  # noqa: E731  # typed
    assert await patience.until(asyncio.Event(), nothing) is None


async def test_what_is_there_is_returned_without_asking_anybody() -> None:
    assert await Patience(60, [FakePeer(0)]).until(asyncio.Event(), lambda: "x") == "x"


async def test_what_comes_in_time_is_returned() -> None:
    news, there = asyncio.Event(), list[str]()
    waiting = asyncio.ensure_future(
        Patience(60).until(news, lambda: there[1] if len(there) > 1 else None)
    )
    for each in ("first", "second"):
        await asyncio.sleep(0)
        there.append(each)
        news.set()
    assert await waiting == "second"


async def test_plain_time_passes_with_no_peers() -> None:
    await never(Patience(0))
    await never(Patience(2.5 * STEP))


async def test_a_step_counts_once_every_peer_has_answered() -> None:
    quick, slow = FakePeer(99), FakePeer(2)
    waiting = asyncio.ensure_future(never(Patience(4 * STEP, [quick, slow])))
    await until(lambda: slow.asked == 3)
    for _ in range(5):
        await asyncio.sleep(STEP)
    assert not waiting.done()
    slow.more.set()
    await waiting
    assert (quick.asked, slow.asked) == (4, 4)


async def test_what_comes_with_the_last_answer_has_come_in_time() -> None:
    there = list[str]()

    class Late(FakePeer):
        async def check_alive(self) -> None:
            there.append("late")  # and no news of it

    found = await Patience(STEP, [Late(1)]).until(asyncio.Event(), lambda: there or None)
    assert found == ["late"]


async def test_a_peer_that_is_gone_ends_the_waiting() -> None:
    await never(Patience(60, [FakePeer(1, dies=True)]))


@pytest.mark.parametrize("turns", range(4))
async def test_a_peer_that_dies_when_what_is_waited_for_comes_is_no_error(turns: int) -> None:
    dead, news, failed, there = asyncio.Event(), asyncio.Event(), list[object](), list[str]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failed.append(context))

    class Dying(FakePeer):
        async def check_alive(self) -> None:
            self.asked += 1
            await dead.wait()
            raise PeerDied("gone")

    dying = Dying(0)
    patience = Patience(60, [dying, FakePeer(0)])
    waiting = asyncio.ensure_future(patience.until(news, lambda: there or None))
    await until(lambda: dying.asked == 1)
    dead.set()
    for _ in range(turns):  # of the loop, that the peer's end and the news are apart
        await asyncio.sleep(0)
    there.append("news")
    news.set()
    assert await waiting == ["news"]
    await asyncio.sleep(0)
    gc.collect()  # a task's error is told when it is forgotten
    assert failed == []


async def test_a_session_is_a_peer() -> None:
    async with connected(good) as session:
        await never(Patience(2 * STEP, [session]))


async def test_a_limit_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with Patience(0.01).limit():
            await asyncio.Event().wait()
    async with Patience(2 * STEP).limit():
        pass


async def test_a_patience_can_be_longer() -> None:
    patience = Patience(0.3, [FakePeer(0)])
    assert patience.at_least(5) == Patience(5, patience.pace, short=5)
    assert patience.at_least(0.1) == patience
    assert patience.unless_failing(5) == Patience(5, patience.pace)
    assert patience.times(5) == Patience(1.5, patience.pace, short=5 * SHORT)
    assert str(patience) == "0.3 s"


async def test_where_a_failure_is_expected_the_wait_is_short() -> None:
    patience = Patience(60, failing=lambda: True)
    assert [str(p) for p in (patience, patience.unless_failing(99))] == [f"{SHORT:g} s"] * 2
    assert str(patience.at_least(1)) == "1 s"
    assert str(patience.times(2)) == f"{2 * SHORT:g} s"
    assert str(Patience(0.1, failing=lambda: True)) == "0.1 s"
    peer = FakePeer(99)
    await never(Patience(60, [peer], lambda: True))
    assert peer.asked == round(SHORT / STEP)


async def test_a_failure_that_becomes_expected_shortens_a_wait_under_way() -> None:
    peer = FakePeer(99)
    await never(Patience(60, [peer], lambda: peer.asked >= 7))
    assert peer.asked == 7
