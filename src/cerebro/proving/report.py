"""Scores as people and programs read them: rows of a table, one JSON object, a page with each run's timeline."""

from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from cerebro.proving.drill import Run
from cerebro.proving.score import Middle, Row, Scores, Share
from cerebro.spine.errors import Invalid

PAGE = Path("docs/reference/drills.md")

COLUMNS = (
    "kind", "runs", "felt", "finding", "case", "finding s", "case s", "cause 1st", "cause 1-3",
    "recovered s", "unaided", "prevented", "harmful", "cases/run",
)  # fmt: skip
RUNS_SHOWN_MAX = 400


def cells(row: Row) -> list[str]:
    """A row of the table, in the order of `COLUMNS`."""
    return [
        row.kind,
        str(row.run_count),
        _share(row.felt),
        _share(row.noticed),
        _share(row.detected),
        _middle(row.finding_s),
        _middle(row.case_s),
        _share(row.cause_top1),
        _share(row.cause_top3),
        _middle(row.recovery_s),
        _share(row.resolved_unaided),
        str(row.prevented),
        str(row.harmful),
        f"{row.cases_per_run:.1f}",
    ]


def summary(scores: Scores) -> str:
    """One line for people."""
    total, false = scores.total, scores.false_cases
    return (
        f"{scores.watcher} on the {scores.ground} ground: {total.detected.count} of {total.run_count} faults became "
        f"a case ({_span(total.detected)}; false cases alone would have made it {scores.by_chance:.0%}), "
        f"median {_middle(total.case_s)} s; cause first {total.cause_top1.count} ({_span(total.cause_top1)}), "
        f"resolved unaided {total.resolved_unaided.count} ({_span(total.resolved_unaided)}), "
        f"{total.prevented} of them before anyone felt it; "
        f"harmful {total.harmful}, and {harm_elsewhere(scores)} where nothing was wrong; "
        f"false cases {false.value:.2f} an hour ({false.low:.2f} … {false.high:.2f}; "
        f"{false.count} in {false.hours:.1f} h)."
    )


def harm_elsewhere(scores: Scores) -> int:
    """Actions on controls and in quiet stretches: every one is harm."""
    return sum(row.harmful for row in scores.controls)


def as_object(scores: Scores) -> dict[str, object]:
    """The scores as one JSON object. Shares are 0 … 1; times are seconds, -1 for never."""
    total, false = scores.total, scores.false_cases
    return {
        "watcher": scores.watcher,
        "ground": scores.ground,
        "runs": total.run_count,
        "detected": round(total.detected.value, 4),
        "detected_interval": [round(total.detected.low, 4), round(total.detected.high, 4)],
        "cause_top1": round(total.cause_top1.value, 4),
        "detected_by_chance": round(scores.by_chance, 4),
        "cause_top3": round(total.cause_top3.value, 4),
        "resolved_unaided": round(total.resolved_unaided.value, 4),
        "resolved_unaided_interval": [round(total.resolved_unaided.low, 4), round(total.resolved_unaided.high, 4)],
        "prevented": total.prevented,
        "harmful": total.harmful + harm_elsewhere(scores),
        "false_cases_per_hour": round(false.value, 4),
        "false_cases_interval": [round(false.low, 4), round(false.high, 4)],
        "quiet_hours": round(false.hours, 3),
        "median_s": total.case_s.value,
        "median_interval_s": [total.case_s.low, total.case_s.high],
        "by_kind": [asdict(row) for row in scores.rows],
        "controls": [asdict(row) for row in scores.controls],
    }


def markdown(scores: Scores) -> str:
    """The table for the documentation."""
    rows = [*scores.rows, scores.total] if scores.total.run_count else []
    return "\n".join([*heading(COLUMNS), *(line(cells(row)) for row in [*rows, *scores.controls])]) + "\n"


def chapter(scores: Sequence[Scores], command: str, title: str) -> str:
    """The part of the documentation's page that one ground's scores fill: what was run, the first watcher in full."""
    if not scores:
        return "Nothing was played yet."
    first = scores[0]
    beside = side_by_side(scores)
    return "\n".join(
        (
            f"{title}: `{command}`.",
            "",
            *(f"- {summary(each)}" for each in scores),
            "",
            f"What {first.watcher} made of each kind:",
            "",
            markdown(first),
            *(("Beside one another, on the same runs:", "") if len(scores) > 1 else ()),
            *((*heading(beside[0]), *map(line, beside[1])) if len(scores) > 1 else ()),
        )
    )


def line(cells: Sequence[str]) -> str:
    """One row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def heading(columns: Sequence[str]) -> list[str]:
    """The first two lines of a Markdown table."""
    return [line(columns), "|---" * len(columns) + "|"]


def rows_in(section: str, page: Path | None = None) -> dict[str, str]:
    """The table rows that a section of the page holds, by their first cell."""
    lines = [row for row in _cut(section, page or PAGE)[1].splitlines() if row.startswith("| ")]
    return {row.split(" | ")[0].removeprefix("| "): row for row in lines[1:]}


def renew(section: str, text: str, page: Path | None = None) -> None:
    """Put the text between a section's two marks; the rest of the page stays as it is.

    Raises:
        Invalid: There is no such page or section, or it cannot be written.
    """
    page = page or PAGE
    before, _, after = _cut(section, page)
    try:
        page.write_text(f"{before}\n{text.strip()}\n{after}")
    except OSError as error:
        raise Invalid(f"{page} cannot be written: {error.strerror}.", "Name a page that you may write.") from error


def _cut(section: str, page: Path) -> tuple[str, str, str]:
    """Up to and with the opening mark, what stands between, and from the closing mark on."""
    opening, closing = f"<!-- {section} -->", f"<!-- /{section} -->"
    try:
        text = page.read_text()
    except OSError as error:
        raise Invalid(f"{page} cannot be read: {error.strerror}.", "Run it where the page is.") from error
    head, found, rest = text.partition(opening)
    inner, closed, tail = rest.partition(closing)
    if not found or not closed:
        raise Invalid(f"{page} has no place for {section}.", f"Put {opening} and {closing} where it shall stand.")
    return head + opening, inner, closing + tail


def page(scores: Sequence[Scores], runs: Sequence[Run], command: str) -> str:
    """A page that stands alone: the tables, then each run's timeline; nothing is fetched from anywhere."""
    tables = "".join(_section(each) for each in scores)
    shown = "".join(_timeline(run) for run in runs[:RUNS_SHOWN_MAX])
    more = f"<p>{len(runs) - RUNS_SHOWN_MAX} more runs are not shown.</p>" if len(runs) > RUNS_SHOWN_MAX else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Drills of Cerebro</title><style>{STYLE}</style><body><h1>Drills</h1>"
        f"<p>Made by <code>{escape(command)}</code>. Shares carry their 95 % interval (Wilson), medians theirs "
        f"(bootstrap). “felt” is the ground's own measure; “case” is what a person is shown.</p>"
        f"{tables}<h2>Runs</h2>{shown}{more}</body></html>"
    )


STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1c2430;background:#fff}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #d9dee6;white-space:nowrap}
tr.total td{font-weight:600;border-top:2px solid #8893a5}
details{margin:.3rem 0;border-bottom:1px solid #e6e9ef;padding-bottom:.3rem}
summary{cursor:pointer}svg{width:100%;height:46px;background:#f5f7fa;border-radius:4px}
.good{color:#17663a}.bad{color:#a3232b}ol{margin:.3rem 0 .6rem 1.2rem;padding:0;font-size:13px}
@media(prefers-color-scheme:dark){body{color:#dfe5ee;background:#12161c}svg{background:#1c222b}
th,td,details{border-color:#303844}.good{color:#6fd39b}.bad{color:#ff8f94}}
"""
COLOURS = {
    "fault": "#a3232b", "end": "#6b7686", "effect": "#d98200", "finding": "#2b6cb0", "case": "#6b3fa0",
    "resolved": "#17663a", "recovery": "#17663a", "act": "#0f766e", "cleared": "#9fb3c8",
}  # fmt: skip


def _section(scores: Scores) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    rows = [("", row) for row in scores.rows] + [("total", scores.total)] * bool(scores.total.run_count)
    body = "".join(_html_row(mark, row) for mark, row in [*rows, *(("", row) for row in scores.controls)])
    title = f"{escape(scores.watcher)} on the {escape(scores.ground)} ground"
    return f"<h2>{title}</h2><p>{escape(summary(scores))}</p><table><tr>{head}</tr>{body}</table>"


def _html_row(mark: str, row: Row) -> str:
    return f'<tr class="{mark}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells(row)) + "</tr>"


def _timeline(run: Run) -> str:
    """One run: a line with its moments, and the same in words."""
    plan, seen = run.plan, run.observation
    start, end = -min(60.0, plan.quiet_s), plan.fault_s + plan.after_s
    marks = "".join(_mark(note.what, note.at_ms / 1000, note.text, start, end) for note in run.notes)
    lasts = _bar(0.0, plan.fault_s, start, end)
    words = "".join(f"<li>{note.at_ms / 1000:+.0f} s, {note.what}: {escape(note.text)}</li>" for note in run.notes)
    verdict = f"case after {seen.case_ms / 1000:.0f} s" if seen.case_ms >= 0 else "no case"
    title = f"{plan.kind}, seed {plan.seed}, {seen.injection.target.text or 'nothing broken'}; {run.watcher}: {verdict}"
    return (
        f"<details><summary>{escape(title)}</summary>"
        f'<svg viewBox="0 0 1000 46" preserveAspectRatio="none">{lasts}{marks}</svg><ol>{words}</ol></details>'
    )


def _place(at_s: float, start: float, end: float) -> float:
    return 10 + 980 * min(1.0, max(0.0, (at_s - start) / max(1.0, end - start)))


def _bar(from_s: float, to_s: float, start: float, end: float) -> str:
    left, right = _place(from_s, start, end), _place(to_s, start, end)
    return f'<rect x="{left:.1f}" y="18" width="{right - left:.1f}" height="10" fill="#a3232b" opacity=".25"/>'


def _mark(what: str, at_s: float, text: str, start: float, end: float) -> str:
    place, colour = _place(at_s, start, end), COLOURS.get(what, "#6b7686")
    return f'<rect x="{place:.1f}" y="8" width="3" height="30" fill="{colour}"><title>{escape(text)}</title></rect>'


def _share(share: Share) -> str:
    return f"{share.count}/{share.of}" if share.of else "-"


def _span(share: Share) -> str:
    return f"{share.value:.0%}, {share.low:.0%} … {share.high:.0%}"


def _middle(middle: Middle) -> str:
    if middle.count == 0:
        return "-"
    return f"{middle.value:.0f}" if middle.count == 1 else f"{middle.value:.0f} ({middle.low:.0f}…{middle.high:.0f})"


def side_by_side(scores: Sequence[Scores]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for a terminal: each kind once, the watchers beside one another."""
    columns = [
        "kind",
        "runs",
        "felt",
        *(f"{each.watcher}: {what}" for each in scores for what in ("case", "after s", "harmful")),
    ]
    first = scores[0]
    total = [first.total] if first.total.run_count else []
    kinds = [row.kind for row in (*first.rows, *total, *first.controls)]
    found = [{row.kind: row for row in (*each.rows, each.total, *each.controls)} for each in scores]
    rows = [
        [kind, str(found[0][kind].run_count), _share(found[0][kind].felt)]
        + [
            cell
            for each in found
            for cell in (_share(each[kind].detected), _middle(each[kind].case_s), str(each[kind].harmful))
        ]
        for kind in kinds
    ]
    return columns, rows
