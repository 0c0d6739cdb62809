"""The answer of a gate: in one paragraph, in lines, and as the results of a run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from ..catalog import Api
from ..check.endpoint import Endpoint
from ..records import CellResult, Culprit, Excuse, FrameRecord, Verdict
from ..reports.answer import joined
from ..reports.causes import counted
from ..reports.results import Results, shortened
from .gate import Version, answer_key
from .judgement import Cause
from .play import Asked, name_of
from .versions import named

__all__ = ["advice", "evidence", "paragraph", "results"]

_SHOWN = 160
_CAUSES = 2
"""The causes that the paragraph tells of one group of versions."""

_RULES = {
    "writes": "The server takes what this version writes, and echoes it.",
    "reads": "This version reads what the server writes.",
    "answers": "The server answers what the app asks.",
    "real": "This version, run itself, works with the server.",
}


def paragraph(
    shown: str,
    versions: Sequence[Version],
    broken: str = "",
    silent: Iterable[str] = (),
    *,
    gone: bool = False,
) -> str:
    """Return the answer.

    Args:
        shown: the server's URL.
        broken: why the gate broke off; empty where it did not.
        silent: the texts of ``--ask`` that were not answered.
        gone: whether it broke off since the server went away: what it did before says little.
    """
    if gone:
        return f"Unknown: {shown} cannot be judged: {broken}. {_basis(versions)}"
    bad = [version for version in versions if version.causes]
    already = [version for version in versions if version.already and not version.causes]
    rest = [version for version in versions if not version.causes and not version.already]
    good = [version for version in rest if version.judged]
    unknown = [version for version in rest if not version.judged]
    sentences = []
    if bad:
        sentences.append(f"Do not deploy: {shown} breaks {_names(bad, versions)}.")
        sentences += _groups(bad, versions)
        if good:
            sentences.append(f"The others work ({_names(good, versions)}).")
    elif not broken and not unknown:
        works = f"works with {_names(good, versions)}" if good else "breaks no further version"
        sentences.append(f"Deploy: {shown} {works}, as far as can be seen.")
    if broken or unknown:
        why = broken or "nothing is recorded of them, and they were not run"
        of = f" of {_names(unknown, versions)}" if unknown else ""
        sentences.append(f"{'It' if bad else 'Unknown: it'} cannot be told{of}: {why}.")
    told = {cause.event for version in bad for cause in version.causes if cause.kind == "answers"}
    if rest_of := [f"`{n}`" for n in dict.fromkeys(map(name_of, silent)) if n not in told]:
        sentences.append(f"It did not answer {joined(rest_of)}.")
    if already:
        names = _names(already, versions)
        sentences.append(f"Broken already, as in the baseline: {names}.")
    return " ".join([*sentences, _basis(versions)])


def _names(some: Sequence[Version], among: Sequence[Version]) -> str:
    return named([version.api for version in some], [version.api for version in among])


def _basis(versions: Sequence[Version]) -> str:
    """Return on what the answer rests."""
    ran = sum(version.run is not None and not version.run.error for version in versions)
    records = sum(version.judged for version in versions) - ran
    parts = [f"{ran} {'was' if ran == 1 else 'were'} run"] if ran else []
    parts += [f"{records} judged from records alone"] if records else []
    return f"Of {counted(len(versions), 'version')}, {joined(parts) or 'none was judged'}."


def _main(version: Version) -> list[Cause]:
    """Return the causes that say most: where there are others, a real run shows their effects."""
    return [cause for cause in version.causes if cause.kind != "real"] or version.causes


def _groups(bad: Sequence[Version], among: Sequence[Version]) -> Iterator[str]:
    """Yield a sentence for each group of versions that break in the same way."""
    groups: dict[tuple[tuple[str, ...], ...], list[Version]] = {}
    for version in bad:
        forms = tuple(dict.fromkeys(cause.form for cause in _main(version)))
        groups.setdefault(forms[:_CAUSES], []).append(version)
    for forms, members in groups.items():
        found = _main(members[0])
        alike = [[cause for cause in found if cause.form == form] for form in forms]
        more = len(found) - sum(map(len, alike))
        words = [*map(_sentence, alike), *([counted(more, "more cause")] if more else [])]
        to = f"To {_names(members, among)} it" if len(groups) > 1 else "It"
        yield f"{to} {'; and '.join(words)}."


def _sentence(alike: Sequence[Cause]) -> str:
    """Return what the server does, and to what effect, of causes that differ in the event alone."""
    first = alike[0]
    frame = f" (frame: {shortened(first.frame, _SHOWN)})" if first.frame else ""
    return f"{first.with_events([cause.event for cause in alike])}{frame}: {first.effect}"


def evidence(version: Version) -> str:
    """Return in a line what was found of one version."""
    if version.causes:
        verdict = f"broken, {counted(len(_main(version)), 'cause')}"
    elif version.already:
        verdict = "broken already"
    elif version.judged:
        verdict = "works"
    else:
        verdict = "unknown"
    parts = []
    if version.played is not None:
        echoed = f", {version.played.compared} echoed" if version.played.compared else ""
        parts.append(f"{counted(version.played.texts, 'text')} played{echoed}")
    run = version.run
    if run is None:
        parts.append(f"not run ({version.not_run or 'left out'}), judged from records")
    elif run.error:
        parts.append(f"not run ({run.error}), judged from records")
    else:
        failed = f", failed: {run.causes[0].effect}" if run.causes else ""
        parts.append(f"run: {run.echoed} echoed, {run.pushed} pushed{failed}")
    if version.already:
        parts.append(f"{counted(len(version.already), 'cause')} as in the baseline")
    return f"{version.api.id}: {verdict} ({'; '.join(parts)})"


def advice(versions: Sequence[Version]) -> list[tuple[list[Cause], list[Api]]]:
    """Return every form of cause once, with the versions that it breaks, the most harmful first.

    Of each form these are the causes, one for each event. What a real run shows is left out where
    it has another cause.
    """
    found: dict[tuple[str, ...], tuple[dict[str, Cause], dict[str, Api]]] = {}
    for version in versions:
        for cause in _main(version):
            causes, apis = found.setdefault(cause.form, ({}, {}))
            causes.setdefault(cause.key, cause)
            apis[version.api.id] = version.api
    each = [([*causes.values()], [*apis.values()]) for causes, apis in found.values()]
    return sorted(each, key=lambda form: -len(form[1]))


# --- As results -------------------------------------------------------------------------------


def results(
    endpoint: Endpoint,
    versions: Sequence[Version],
    again: str,
    broken: str = "",
    asked: Asked | None = None,
) -> Results:
    """Return what was found in the form of a run: a cell for each cause, and one where is none.

    Args:
        asked: what became of the events of ``--ask``, each of which is a cell too.
    """
    shown = endpoint.shown
    now = datetime.now(UTC).isoformat(timespec="seconds")
    clients = [version.api.id for version in versions]
    made = Results(now, "check", [shown], clients, {})
    made.duration_s = sum(version.duration_s for version in versions)
    for version in versions:
        if version.done:
            cells = [msgspec.to_builtins(cell) for cell in _cells(shown, version, again, asked)]
            made.cells += msgspec.convert(endpoint.redacted(cells), list[CellResult])
    unknown = [version.api.id for version in versions if not version.judged]
    if not broken and unknown:
        broken = f"nothing is known of {', '.join(unknown)}"
    made.broken = broken
    return made


def _cells(shown: str, version: Version, again: str, asked: Asked | None) -> Iterator[CellResult]:
    for cause in version.causes:
        yield _cell(shown, version, again, "failed", cause)
    for cause in version.already:
        yield _cell(shown, version, again, "deviating", cause)
    kinds = {cause.kind for cause in (*version.causes, *version.already)}
    took = round(version.duration_s * 1000, 1)
    for kind, rule in _RULES.items():
        if kind in kinds or kind == "answers":
            continue
        verdict: Verdict = "passed"
        reason = ""
        if kind == "real" and (version.run is None or version.run.error):
            why = version.run.error if version.run is not None else version.not_run
            verdict, reason = "unsupported", f"not run: {why or 'left out'}"
        elif kind != "real" and version.played is None:
            none = version.recorded is None
            what = "nothing is recorded of this version" if none else "it was never connected"
            verdict, reason = "unsupported", what
        yield CellResult(
            verdict=verdict, reason=reason, duration_ms=took, server=shown, client=version.api.id,
            scenario=f"gate.{kind}", rule=rule, severity="must", again=again,
        )  # fmt: skip
    yield from _answers(shown, version, again, asked)


def _answers(shown: str, version: Version, again: str, asked: Asked | None) -> Iterator[CellResult]:
    """Yield a cell for each event of ``--ask`` that is no cause: a baseline needs them."""
    causes = {cause.key for cause in (*version.causes, *version.already)}
    silent = {} if asked is None else asked.silent
    for text in dict.fromkeys([*(asked.answered if asked is not None else ()), *silent]):
        if (key := answer_key(text)) in causes:
            continue
        yield CellResult(
            verdict="unsupported" if text in silent else "passed",
            reason=f"it did not answer `{name_of(text)}`{silent[text]}" if text in silent else "",
            duration_ms=0.0, server=shown, client=version.api.id, scenario=f"gate.answers.{key}",
            rule=_RULES["answers"], severity="must", again=again,
        )  # fmt: skip


def _cell(shown: str, version: Version, again: str, verdict: Verdict, cause: Cause) -> CellResult:
    words = f"the server {cause.words}: {cause.effect}"
    text = cause.frame
    frame = FrameRecord(0.0, 1, "server", "client", "text", len(text.encode("utf-8", "replace")),
                        text=text[:400])  # fmt: skip
    excuse = Excuse("baseline", "server", "broken already, as the baseline shows")
    return CellResult(
        verdict=verdict,
        reason=words,
        duration_ms=round(version.duration_s * 1000, 1),
        server=shown,
        client=version.api.id,
        scenario=f"gate.{cause.kind}.{cause.key}",
        rule=_RULES[cause.kind],
        severity="must",
        again=again,
        culprit=Culprit("server", f"it {cause.words}", "frame", shown, 0)
        if verdict == "failed"
        else None,
        raised=words,
        defect=f"the server {cause.words}",
        frames=[frame] if text else [],
        frames_total=1 if text else 0,
        excuses=[excuse] if verdict == "deviating" else [],
    )
