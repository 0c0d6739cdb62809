"""The report in a real browser: its parts, its keys, and that texts of peers stay texts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # has none
from playwright.async_api import Page, expect

from interop.records import CellResult, Verdict
from interop.reports.files import report
from interop.reports.live import Live
from interop.reports.pairs import CORE
from interop.reports.results import Results

from .. import cells
from ..cells import frame
from .conftest import Open

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVERS = ["python/ZapServer", "dart@0.3.0/ZapServer", "judge/Raw"]
CLIENTS = ["python/ZapConsumer", "dart@0.5.0/ZapConsumer", "judge/Raw"]
RED = {"s": "python/ZapServer", "c": "dart@0.5.0/ZapConsumer", "n": "echo.null"}
MANY = {"s": "python/ZapServer", "c": "python/ZapConsumer", "n": "order.many"}
FRAMES = 100_000

SCRIPT = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
HOSTILE = f"{SCRIPT}\x00\x07\x1b[31m\u202e\u2028\ud800 ${{1}} <!-- {{{{ 7*7 }}}}"


def cell(
    server: str, client: str, name: str, verdict: Verdict = "passed", **more: Any
) -> CellResult:
    data = {"server": server, "client": client, "scenario": name, **more}
    return cells.cell(verdict, **data)


def red() -> CellResult:
    """Return a failed cell, in which all that a peer says is hostile."""
    note = {"on": "error", "message": HOSTILE, "t_ms": 13.0}
    return cell(
        RED["s"],
        RED["c"],
        RED["n"],
        "failed",
        rules=["W-2"],
        reason=f"no event: {HOSTILE}",
        raised=f"no event: {HOSTILE}",
        frames=[
            frame("client", '{"eventName":"echo","payload":null}', t_ms=10.0),
            frame("server", f'{{"event_name":"{HOSTILE}"}}', t_ms=12.0, length=200),
        ],
        frames_total=2,
        notifications={"server": [], "clients": [[note]]},
        requests={"server": [], "clients": [[{"op": "send", "args": {"event": HOSTILE},
                                              "t_ms": 9.0, "done_ms": 11.0, "outcome": "ok"}]]},
        violations=[{"author": "server", "violation": "no eventName", "excused": False,
                     "frame": 1}],
        culprit={"side": "server", "api": RED["s"], "why": "it wrote no eventName in frame 1",
                 "basis": "frame", "frame": 1},
    )  # fmt: skip


def late(client: str) -> CellResult:
    """Return another failure of the same side."""
    culprit = {"side": "server", "api": RED["s"], "why": "it fails alone", "basis": "row"}
    return cell(RED["s"], client, "order.many", "failed", reason="late", raised="late",
                culprit=culprit)  # fmt: skip


def run(*more: CellResult, **facts: Any) -> Results:
    core = [pattern.replace("*", "bmp") for pattern in CORE]
    found: list[CellResult] = [
        cell(server, client, name)
        for server in SERVERS[:2]
        for client in CLIENTS[:2]
        for name in core
    ]
    passes = cell(SERVERS[1], RED["c"], RED["n"],
                  frames=[frame("server", '{"eventName":"echo","payload":null}')])  # fmt: skip
    excuse = {"peer": "dart", "role": "server", "cause": f"its cause {SCRIPT}"}
    known = cell(SERVERS[1], CLIENTS[0], RED["n"], "deviating", reason="dart", excuses=[excuse])
    lacks = cell(SERVERS[1], CLIENTS[0], "room.none", "unsupported", severity="should",
                 rule="Rooms hold members.")  # fmt: skip
    alone = cell(SERVERS[0], "judge/Raw", "frames.ping")
    results = Results(
        started="2026-02-03T04:05:06+00:00",
        engine="local",
        servers=SERVERS,
        clients=CLIENTS,
        not_run={"go@0.2.3/ZapConnector": f"install Go {SCRIPT}"},
        cells=[*found, passes, known, lacks, alone, *more],
        **facts,
    )
    return results


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a red run's page, with another run before it."""
    many = [
        frame("client", f'{{"eventName":"tick","payload":{n}}}', t_ms=float(n))
        for n in range(FRAMES)
    ]
    big = cell(MANY["s"], MANY["c"], MANY["n"], frames=many, frames_total=FRAMES)
    before = run(cell(RED["s"], RED["c"], RED["n"]))
    before.started = "2026-01-01T00:00:00+00:00"
    return written(tmp_path_factory.mktemp("report"), run(red(), big), before)


def written(folder: Path, results: Results, *before: Results) -> str:
    path = folder / "report.html"
    path.write_bytes(report(results, before))
    return path.as_uri()


def at(url: str, **place: str) -> str:
    return f"{url}#{urlencode(place)}"


async def hash_of(page: Page) -> str:
    found: str = await page.evaluate("decodeURIComponent(location.hash)")
    return found


async def test_a_red_run_says_first_which_side_and_which_frame(opened: Open, url: str) -> None:
    async with opened(url) as page:
        await expect(page.locator(".state")).to_have_text(
            "✗ 1 cell not as expected; at fault: server python/ZapServer"
        )
        await expect(page.locator("h1")).to_contain_text("1 of 4 pairs is broken")
        first = page.locator("section:visible").nth(1).locator(".cause")
        await expect(first.locator("h3")).to_contain_text("server python/ZapServer")
        await expect(first.locator(".at-fault")).to_contain_text("Frame 1, server → client")
        await first.get_by_role("link", name="Show echo.null").click()
        await expect(page.locator("h1:visible")).to_have_text("echo.null")
        await expect(page.locator(".culprit")).to_have_text(
            "At fault: the server, python/ZapServer"
        )
        fault = page.locator("#fault")
        await expect(fault).to_contain_text("▶ at fault")
        await expect(fault).to_contain_text("event_name")
        await expect(fault).to_contain_text("breach: no eventName")
        await page.get_by_role("link", name="Frame 1, server → client").click()
        await expect(fault).to_be_focused()
        await expect(fault).to_be_in_viewport()


async def test_one_drills_down_from_the_grid_and_back(opened: Open, url: str) -> None:
    async with opened(url) as page:
        pair = page.locator(f'[data-pair="{RED["s"]} {RED["c"]}"]')
        await expect(pair).to_contain_text("broken")
        await pair.click()
        await expect(page.locator("h1:visible")).to_be_focused()
        await expect(page.locator(".culprit")).to_contain_text("broken: echo.null: no event")
        await expect(page.locator(".scenarios li").first).to_contain_text("server at fault")
        await page.get_by_role("link", name="echo.null").first.click()
        await expect(page.locator("h1:visible")).to_have_text("echo.null")
        beside = page.get_by_role("heading", name="Beside dart@0.3.0/ZapServer, which passes")
        await expect(beside).to_be_visible()
        await expect(page.locator(".texts mark").first).to_contain_text("_name")
        await page.keyboard.press("Escape")
        await expect(page.locator("h1:visible")).to_have_text(f"{RED['s']} ↔ {RED['c']}")
        await page.keyboard.press("Escape")
        await expect(pair).to_be_focused()
        assert await hash_of(page) == ""


async def test_filters_are_in_the_url_and_a_link_opens_the_same(opened: Open, url: str) -> None:
    async with opened(url) as page:
        form = page.locator("#filters")
        await form.get_by_label("Peer").select_option("dart")
        await form.locator("[name=role]").select_option("server")
        await form.get_by_label("Severity").select_option("should")
        await form.get_by_label("Text").press_sequentially("members ROOM")
        await form.get_by_label("unsupported").check()
        wanted = "#peer=dart&role=server&severity=should&q=members+ROOM&verdict=unsupported"
        assert await hash_of(page) == wanted
        await expect(page.locator("#matches h2")).to_have_text("1 cell matches")
        await expect(page.locator("#matching")).to_have_text("1 cell of 22 matches")
        await expect(page.locator("#grid tbody tr:visible")).to_have_count(1)
        link = page.url
    async with opened(link) as page:
        await expect(page.get_by_label("Peer")).to_have_value("dart")
        await expect(page.get_by_label("Text")).to_have_value("members ROOM")
        await page.locator("#matches a").click()
        await expect(page.locator("h1:visible")).to_have_text("room.none")
        await page.keyboard.press("Escape")
        await expect(page.locator(".note")).to_contain_text("1 cell of 6 fit the filter")
        await page.get_by_role("link", name="All pairs").click()
        await page.get_by_role("button", name="Clear").click()
        await expect(page.locator("#matches")).to_be_hidden()
        await expect(page.locator("#grid tbody tr:visible")).to_have_count(3)
        assert await hash_of(page) == ""


async def test_filters_are_above_the_causes_and_leave_those_that_fit(
    opened: Open, tmp_path: Path
) -> None:
    path = written(tmp_path, run(red(), late(RED["c"])))
    async with opened(path, viewport={"width": 1280, "height": 720}) as page:
        form, cause = page.locator("#filters"), page.locator(".cause")
        await expect(page.locator("h1")).to_be_in_viewport(ratio=1)
        await expect(form).to_be_in_viewport(ratio=1)
        await expect(cause.locator("h3")).to_be_in_viewport(ratio=1)
        await form.get_by_label("Text").fill("order.many")
        await expect(cause.get_by_text("1 cell, 1 scenario, 1 pair: late")).to_be_visible()
        await expect(page.get_by_role("link", name="Show echo.null")).to_be_hidden()
        await form.get_by_label("Text").fill("room.none")
        await expect(page.locator("#causes")).to_be_hidden()
        await page.get_by_role("button", name="Clear").click()
        await expect(page.get_by_role("link", name="Show echo.null")).to_be_visible()


async def test_one_culprit_has_one_card(opened: Open, tmp_path: Path) -> None:
    async with opened(written(tmp_path, run(red(), late(CLIENTS[0])))) as page:
        await expect(page.locator(".cause")).to_have_count(1)
        await expect(page.locator(".cause h3")).to_contain_text("2 cells, 2 scenarios, 2 pairs")
        link = page.get_by_role("link", name="Show order.many")
        await expect(link).to_be_hidden()
        await page.get_by_text("1 cell, 1 scenario, 1 pair: late").click()
        await link.click()
        await page.go_back()
        await expect(link).to_be_focused()


async def test_what_is_not_the_answer_is_folded_on_a_phone(opened: Open, url: str) -> None:
    phone = {"width": 390, "height": 844}
    for viewport, is_open in ((phone, False), ({"width": 1280, "height": 800}, True)):
        async with opened(url, viewport=viewport) as page:
            await expect(page.get_by_label("Text")).to_be_visible(visible=is_open)
            asides = await page.locator("details.aside").all()
            assert [await each.get_attribute("open") is not None for each in asides] == [
                is_open
            ] * 2
            await page.keyboard.press("/")
            await expect(page.get_by_label("Text")).to_be_focused()
    async with opened(at(url, q="null"), viewport=phone) as page:
        await expect(page.get_by_label("Text")).to_have_value("null")
        await expect(page.get_by_label("Text")).to_be_visible()


@pytest.mark.parametrize("way", ["back", "Escape", "crumb", "reload"])
async def test_one_returns_to_the_lists_that_were_open(
    opened: Open, tmp_path: Path, way: str
) -> None:
    passed = [cell(RED["s"], RED["c"], f"many.{n:03}") for n in range(150)]
    path = at(written(tmp_path, run(red(), *passed)), s=RED["s"], c=RED["c"])
    async with opened(path, viewport={"width": 800, "height": 600}) as page:
        summary = page.locator("summary", has=page.get_by_role("heading", name="Passed"))
        wrong = page.locator("summary", has=page.get_by_role("heading", name="Not as expected"))
        await summary.click()
        await wrong.click()
        await page.get_by_role("button", name=re.compile("^Show .* more$")).click()
        link = page.get_by_role("link", name="many.140")
        await link.click()
        await expect(page.locator("h1:visible")).to_have_text("many.140")
        if way == "Escape":
            await page.keyboard.press("Escape")
        elif way == "crumb":
            await page.locator(".crumbs a").nth(1).click()
        else:
            await page.go_back()
        if way == "reload":
            await expect(link).to_be_focused()
            await page.reload()
            await expect(page.get_by_role("link", name="many.001")).to_be_visible()
        else:
            await expect(link).to_be_focused()
            await expect(link).to_be_in_viewport()
        assert await summary.locator("..").get_attribute("open") is not None
        assert await wrong.locator("..").get_attribute("open") is None


async def test_versions_are_those_of_the_chosen_peer(opened: Open, url: str) -> None:
    async with opened(url) as page:
        version = page.get_by_label("Version")
        assert await version.locator("option").all_text_contents() == ["any", "0.3.0", "0.5.0"]
        await version.select_option("0.5.0")
        await expect(page.locator("#grid td a:visible")).to_have_count(2)
        await page.get_by_label("Peer").select_option("python")
        await expect(version).to_have_value("")
        assert await version.locator("option").all_text_contents() == ["any"]


async def test_a_link_to_what_is_not_there_says_so(opened: Open, url: str) -> None:
    async with opened(at(url, **{**RED, "n": "no.such"})) as page:
        await expect(page.locator(".note")).to_contain_text("no cell no.such")
    async with opened(at(url, s="go/None", c="judge/None", n="no.such")) as page:
        await expect(page.locator(".note")).to_have_text(
            "This run has no row go/None and no column judge/None."
        )
    async with opened(at(url, s=SERVERS[0], c="go/None")) as page:
        await expect(page.locator(".note")).to_have_text("This run has no column go/None.")


async def test_copy_copies_the_command(opened: Open, url: str) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    async with opened(at(url, **RED), permissions=permissions) as page:
        command = page.locator("#detail .command").first
        await command.get_by_role("button").click()
        await expect(command.get_by_role("button")).to_have_text("Copied")
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied == await command.locator("code").text_content()
        assert copied.startswith("python -m interop run --server python/ZapServer --client dart@")


async def test_the_keyboard_alone_is_enough(opened: Open, url: str) -> None:
    async with opened(url) as page:
        await page.keyboard.press("/")
        await expect(page.get_by_label("Text")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.get_by_label("Text")).not_to_be_focused()
        links = page.locator("#grid td a")
        assert [await each.get_attribute("tabindex") for each in await links.all()].count("0") == 1
        await links.first.focus()
        for key, pair in (
            ("ArrowRight", "python/ZapServer dart@0.5.0/ZapConsumer"),
            ("ArrowDown", "dart@0.3.0/ZapServer dart@0.5.0/ZapConsumer"),
            ("Home", "dart@0.3.0/ZapServer python/ZapConsumer"),
            ("ArrowUp", "python/ZapServer python/ZapConsumer"),
            ("End", "python/ZapServer judge/Raw"),
            ("ArrowLeft", "python/ZapServer dart@0.5.0/ZapConsumer"),
        ):
            await page.keyboard.press(key)
            await expect(page.locator(f'[data-pair="{pair}"]')).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("h1:visible")).to_have_text(f"{RED['s']} ↔ {RED['c']}")
        passed = page.locator("summary").filter(has_text="Passed")
        await passed.press("Enter")
        await page.get_by_role("link", name="order.pushed").press("Enter")
        await expect(page.locator("h1:visible")).to_have_text("order.pushed")
        await page.keyboard.press("ArrowRight")
        await expect(page.locator("h1:visible")).to_have_text("lifecycle.connected-once")
        await page.keyboard.press("ArrowLeft")
        await expect(page.locator("h1:visible")).to_have_text("order.pushed")


async def test_what_is_missing_is_a_row_of_its_own(opened: Open, tmp_path: Path) -> None:
    gaps = [
        {"at": "wire", "what": f"event name=tick {SCRIPT}", "t_ms": 12.0, "author": "server"},
        {"at": "client", "what": "event 'tick', waited for 5 s", "t_ms": 20.0},
    ]
    other = cell(SERVERS[1], CLIENTS[0], "order.many", "failed", reason="late", missing=gaps,
                 frames=[frame("client", "hi", t_ms=10.0)], frames_total=1)  # fmt: skip
    path = written(tmp_path, run(red(), other))
    async with opened(path) as page:
        card = page.locator(".cause", has_text="late")
        await expect(card).to_contain_text("Missing on the wire, from the server event name=tick")
    async with opened(at(path, s=SERVERS[1], c=CLIENTS[0], n="order.many")) as page:
        found = page.locator(".timeline .gap")
        await expect(found).to_have_count(2)
        await expect(found.nth(0).locator(".to-client")).to_contain_text("event name=tick </script")
        await expect(found.nth(1).locator(".client")).to_contain_text("missing: event 'tick'")
        await page.get_by_role("link", name="Missing on the wire, from the server").click()
        await expect(found.nth(0)).to_be_focused()
        assert (await Axe().run(page)).response["violations"] == []


async def test_from_a_failure_one_goes_to_the_next_failure(opened: Open, tmp_path: Path) -> None:
    other = cell(SERVERS[1], CLIENTS[0], "order.many", "warned", reason="late")
    async with opened(at(written(tmp_path, run(red(), other)), **RED)) as page:
        await expect(page.locator(".crumbs .prev")).to_have_count(0)
        await page.get_by_role("link", name="next failure").click()
        await expect(page.locator("h1:visible")).to_have_text("order.many")
        await expect(page.locator(".crumbs")).to_contain_text(f"{SERVERS[1]} ↔ {CLIENTS[0]}")
        await expect(page.get_by_role("link", name="next failure")).to_have_count(0)
        await page.keyboard.press("ArrowLeft")
        await expect(page.locator("h1:visible")).to_have_text("echo.null")


@pytest.mark.parametrize("way", ["back", "Escape", "All pairs"])
async def test_one_returns_to_the_cause_that_was_left(
    opened: Open, tmp_path: Path, way: str
) -> None:
    other = cell(SERVERS[1], CLIENTS[0], "order.many", "failed", reason="late")
    path = written(tmp_path, run(red(), other))
    still = {"viewport": {"width": 360, "height": 300}, "reduced_motion": "reduce"}
    async with opened(path, **still) as page:
        link = page.get_by_role("link", name="Show order.many")
        await link.scroll_into_view_if_needed()
        top = await page.evaluate("scrollY")
        assert top > 0
        await link.click()
        await expect(page.locator("h1:visible")).to_have_text("order.many")
        assert await page.evaluate("scrollY") == 0
        if way == "back":
            await page.go_back()
        elif way == "All pairs":
            await page.get_by_role("link", name=way).click()
        else:
            await page.keyboard.press(way)
            await expect(page.locator("h1:visible")).to_contain_text("↔")
            await page.keyboard.press(way)
        await expect(link).to_be_focused()
        assert await page.evaluate("scrollY") == top


async def test_hostile_texts_stay_texts(opened: Open, url: str) -> None:
    for place in ({}, {"s": RED["s"], "c": RED["c"]}, RED, {"s": SERVERS[1], "c": CLIENTS[0]}):
        async with opened(at(url, **place)) as page:
            assert "interop" in await page.title()
            assert await page.locator("img").count() == 0
            main = await page.locator("main").inner_text()
            assert "</script><script>document.title='taken'" in main
            assert not set("\x00\x07\x1b\u202e\u2028") & set(main)
            assert "49" not in main
    async with opened(at(url, **RED)) as page:
        fault = page.locator("#fault code")
        await expect(fault).to_contain_text("\\u0000\\u0007\\u001b[31m\\u202e\\u2028\\ud800")


async def test_what_is_not_shown_is_not_in_the_document(opened: Open, url: str) -> None:
    async with opened(at(url, **MANY)) as page:
        rows = page.locator(".timeline > li")
        assert await rows.count() < 110
        more = page.get_by_role("button", name="Show 100 of 99,900 more")
        await more.click()
        assert 200 < await rows.count() < 210
        assert await page.evaluate("document.querySelectorAll('*').length") < 3000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", [{}, {"verdict": "failed"}, {"s": RED["s"], "c": RED["c"]}, RED])
async def test_axe_finds_nothing(
    opened: Open, url: str, scheme: str, place: dict[str, str]
) -> None:
    async with opened(at(url, **place), color_scheme=scheme) as page:
        await page.evaluate(
            "document.querySelectorAll('details').forEach((d) => { d.open = true; })"
        )
        found = await Axe().run(page)
        assert found.response["violations"] == [], found.generate_report()


async def test_the_theme_follows_the_system_and_the_button(opened: Open, url: str) -> None:
    ink = "getComputedStyle(document.body).backgroundColor"
    async with opened(url, color_scheme="dark") as page:
        dark = await page.evaluate(ink)
        button = page.get_by_role("button", name="Theme")
        await button.click()
        await expect(button).to_have_text("Theme: light")
        assert await page.evaluate(ink) != dark
        await page.reload()
        await expect(button).to_have_text("Theme: light")
        await button.click()
        assert await page.evaluate(ink) == dark


async def test_a_phone_scrolls_in_one_direction(opened: Open, url: str) -> None:
    for place in ({}, {"verdict": "failed"}, {"s": RED["s"], "c": RED["c"]}, RED):
        async with opened(at(url, **place), viewport={"width": 360, "height": 740}) as page:
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 360, place


async def test_without_scripts_the_verdict_is_there(opened: Open, url: str) -> None:
    async with opened(url, java_script_enabled=False) as page:
        await expect(page.locator("#grid")).to_contain_text("broken")
        await expect(page.locator(".cause")).to_contain_text("server python/ZapServer")
        await expect(page.locator("#filters")).to_be_hidden()
        await expect(page.locator("noscript")).to_be_visible()


async def test_on_paper_there_are_no_controls(opened: Open, url: str) -> None:
    async with opened(url) as page:
        await page.evaluate("dispatchEvent(new Event('beforeprint'))")
        await expect(page.get_by_role("heading", name="Slowest scenarios")).to_be_visible()
        assert await page.locator("details:not([open])").count() == 0
        await page.emulate_media(media="print")
        await expect(page.locator("#filters")).to_be_hidden()
        await expect(page.locator(".copy").first).to_be_hidden()
        await expect(page.locator("#grid")).to_be_visible()


async def test_a_cell_says_when_it_changed(opened: Open, url: str) -> None:
    async with opened(url) as page:
        changed = page.get_by_role("heading", name="Changed since 2026-01-01 00:00")
        await expect(changed).to_be_visible()
        await expect(page.locator("section", has=changed)).to_contain_text("passed → failed")
    async with opened(at(url, **RED)) as page:
        lines = page.locator("#detail details li")
        await expect(lines.nth(0)).to_have_text(
            "failed, with other texts on the wire: since 2026-02-03 04:05"
        )
        await expect(lines.nth(1)).to_have_text("passed: first 2026-01-01 00:00")


async def test_a_green_run_says_so(opened: Open, tmp_path: Path) -> None:
    async with opened(written(tmp_path, run(cell(RED["s"], RED["c"], RED["n"])))) as page:
        await expect(page.locator(".state")).to_have_text("✓ All as expected")
        await expect(page.locator("h1")).to_have_text(
            "All 4 pairs work: 3 without deviations, 1 with named ones."
        )
        await expect(page.locator("#causes")).to_have_count(0)


async def test_a_run_is_shown_while_it_goes_on(opened: Open) -> None:
    results = run()
    done, results.cells = results.cells, []
    with Live(results, total=len(done) + 1) as live:
        for each in done:
            live.add(each)
        async with opened(live.url) as page:
            await expect(page.locator(".state")).to_contain_text("Running: 0 cells")
            await expect(page.locator("#live")).to_have_text(
                f"{len(done)} of {len(done) + 1} cells"
            )
            pair = page.locator(f'[data-pair="{RED["s"]} {RED["c"]}"]')
            await expect(pair).to_contain_text("works")
            text = page.get_by_label("Text")
            await text.fill("null")
            live.add(red())
            await expect(pair).to_contain_text("broken")
            await expect(text).to_be_focused()
            await expect(text).to_have_value("null")
            results.cells = [*done, red()]
            live.end()
            await expect(page.locator(".state")).to_contain_text("✗ 1 cell not as expected")
            await expect(page.locator("#live")).to_be_hidden()
            await page.get_by_role("link", name="Show echo.null").click()
            await expect(page.locator("#fault")).to_contain_text("event_name")


@pytest.mark.parametrize("width", [1280, 390])
async def test_a_check_of_one_server(width: int, opened: Open, tmp_path: Path) -> None:
    url = "wss://host.example/ws"
    where: Any = {"server": url, "client": "judge/Raw", "again": "check it"}
    culprit = {"side": "server", "api": url, "why": "no JSON", "basis": "frame", "frame": 0}
    cells_ = [
        cells.cell("passed", **where, scenario="time.b"),
        cells.cell("failed", **where, scenario="frames.a", raised="no pong", reason="no pong",
                   frames=[frame("server", "5")], frames_total=1, culprit=culprit),
    ]  # fmt: skip
    results = Results("2026-01-02T03:04:05+00:00", "check", [url], ["judge/Raw"], {}, cells=cells_)
    results.folder = None
    results.unjudged = ["3 scenarios that need more"]
    (tmp_path / "check.html").write_bytes(report(results))
    page_url = (tmp_path / "check.html").as_uri()
    async with opened(page_url, viewport={"width": width, "height": 900}) as page:
        assert (await Axe().run(page)).response["violations"] == []
        assert await page.evaluate("document.documentElement.scrollWidth") == width
        await expect(page.locator("h1")).to_contain_text("Broken: 1 of 2 musts")
        await page.locator("#topics a", has_text="time").click()
        await expect(page.locator("#matching")).to_have_text("1 cell of 2 matches")
        await expect(page.locator("#causes")).to_be_hidden()
        await page.locator("#matches a").click()
        await expect(page.locator("#detail h1")).to_have_text("time.b")
        await page.locator(".crumbs a").first.click()
        await page.locator("[type=reset]").dispatch_event("click")
        await page.get_by_role("link", name="Show frames.a").click()
        await expect(page.locator("#detail .fault")).to_contain_text("at fault")
        assert "↔" not in await page.locator("main").inner_text()
        await expect(page.locator("#detail")).not_to_contain_text("show this record")
