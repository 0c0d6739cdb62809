"""A real Chromium, started once for a module's tests, and its pages."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from interop.errors import CannotRun
from interop.runtimes.chromium import DECLINED, find_chromium

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path; where there is none, a test is skipped, and fails in CI."""
    try:
        return str(find_chromium())
    except CannotRun as exc:
        named = os.environ.get("CHROMIUM", DECLINED) != DECLINED
        (pytest.fail if named or os.environ.get("CI") else pytest.skip)(str(exc))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # Without its sandbox: it cannot have one as root, nor in many containers.
        started = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        await started.close()


@pytest.fixture
def opened(browser: Browser) -> Open:
    """Return what opens a page and checks, at its end, that nothing was wrong and nothing fetched.

    It takes the URL, and arguments of `Browser.new_context`.
    """

    @asynccontextmanager
    async def opened(url: str, **more: Any) -> AsyncIterator[Page]:
        context = await browser.new_context(**more)
        page = await context.new_page()
        page.set_default_timeout(30_000)
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
        origin = url.partition("#")[0].rpartition("/")[0]
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(origin) else problems.append(f"asked {request.url}")
            ),
        )
        await page.goto(url)
        if more.get("java_script_enabled", True):
            await page.wait_for_selector("html[data-ready]", state="attached")
        yield page
        assert problems == []
        await context.close()

    return opened
