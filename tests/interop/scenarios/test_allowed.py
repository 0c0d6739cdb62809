"""What scenarios allow where the specification and the contract leave a choice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from interop.control.patience import Patience
from interop.scenarios.test_contract import check_told
from interop.scenarios.test_lifecycle import check_answer
from interop.wire.tap import Tap

WHOLE = {"code": 4003, "reason": "enough"}


@pytest.mark.parametrize(
    "told",
    [
        WHOLE,
        {},
        {"code": 4003},
        {"code": 4003, "reason": None},
        {"code": None, "reason": "enough"},
        {"code": None, "reason": ""},
    ],
)
def test_a_disconnected_may_have_a_code_or_a_reason_alone(told: dict[str, Any]) -> None:
    check_told({"conn": "1", **told}, WHOLE)


@pytest.mark.parametrize(
    "told",
    [{"code": 4003, "reason": ""}, {"code": 1000}, {"code": 4003, "reason": "no"}, {"reason": "x"}],
)
def test_what_a_disconnected_tells_is_what_the_close_frame_had(told: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="one of them or none, got"):
        check_told(told, WHOLE)


@pytest.mark.parametrize(("code", "allowed"), [(4002, True), (1000, True), (1005, True),
                                               (4001, False), (1002, False)])  # fmt: skip
async def test_a_close_frame_is_answered_with_its_code_or_1000_or_none(
    code: int, allowed: bool
) -> None:
    async def wait(**_: Any) -> Any:
        return SimpleNamespace(close_code=code)

    tap = cast(Tap, SimpleNamespace(log=SimpleNamespace(wait=wait)))
    if allowed:
        await check_answer(tap, "client", 4002, Patience(1.0))
    else:
        with pytest.raises(AssertionError, match=f"expected 4002, 1000 or none, got {code}"):
            await check_answer(tap, "client", 4002, Patience(1.0))
