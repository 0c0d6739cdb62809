"""What a close frame may carry; the rest is tested where connections end."""

from __future__ import annotations

import pytest

from zaptools.protocol.close import LOST, CloseInfo, check_close


def test_info() -> None:
    assert CloseInfo(1000) == (1000, "", None)
    assert LOST == (1006, "", None)


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_codes_for_frames(code: int) -> None:
    check_close(code, "x" * 123)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
def test_codes_for_no_frame(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        check_close(code, "")


def test_reasons_for_no_frame() -> None:
    with pytest.raises(ValueError, match="123"):
        check_close(1000, "\u00fc" * 62)
