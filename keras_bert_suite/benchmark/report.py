"""Tables of a benchmark: for people (text and Markdown) and for machines (JSON)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from keras_bert_suite.benchmark.contest import MATMUL, Outcome, Ratio

SHARE = "useful FLOP / matmul rate"  # what such a line says it is against
_MEMORY = ", memory"
_HEADER = ("work", "against", "ratio", "quartiles", "wanted", "ours", "theirs", "difference")
_SYMBOLS = {"FLOP": "FLOP", "bytes": "B"}
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """One case with every measurement, and what was made of them."""
    case = outcome.case
    entrants = {
        label: {
            "seconds": [run.seconds for run in runs],
            "units": [run.units for run in runs],
            "rate": Ratio.spread([run.rate for run in runs]).median,
            "peak_bytes_a_unit": outcome.peak_bytes(label),
            "notes": dict(runs[-1].notes),
            "versions": outcome.versions[label],
        }
        for label, runs in outcome.runs.items()
    }
    found: dict[str, Any] = {
        "work": case.name,
        "unit": case.unit,
        "ours": case.entrant.label,
        "entrants": entrants,
        "lines": list(lines(outcome)),
    }
    share = outcome.useful_share()
    if share is not None:
        found["useful_flop"] = case.useful_flop
        found["useful_share_of_matmul_rate"] = vars(share)
    return found


def lines(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """What the table has to say about a case: a dict a line.

    Keys: against, ratio, low, high, wanted (or None), reached (or None where nothing is wanted),
    ours and theirs (units a second), difference (or None); with memory also ours_bytes and
    theirs_bytes, a unit.
    """
    case, own = outcome.case, outcome.case.entrant.label
    share = outcome.useful_share()
    if share is not None:
        ours = [case.useful_flop / run.seconds for run in outcome.runs[own]]  # type: ignore[operator]
        rates = Ratio.spread(ours).median, _median_rate(outcome, MATMUL.label)
        yield _line(SHARE, share, case.wanted_share, rates, None)
    for rival in case.rivals:
        label = rival.entrant.label
        rates = _median_rate(outcome, own), _median_rate(outcome, label)
        difference = outcome.differences.get(label)
        yield _line(label, outcome.ratio(label), rival.wanted, rates, difference)
        if case.shows_memory:
            memory = outcome.peak_bytes(own), outcome.peak_bytes(label)
            value = memory[1] / memory[0] if memory[0] else float("inf")
            ratio = Ratio(value, value, value)
            yield _line(f"{label}{_MEMORY}", ratio, rival.wanted_memory, memory, None)


def _line(
    against: str,
    ratio: Ratio,
    wanted: float | None,
    rates: tuple[float, float],
    difference: float | None,
) -> dict[str, Any]:
    return {
        "against": against,
        "ratio": ratio.median,
        "low": ratio.low,
        "high": ratio.high,
        "wanted": wanted,
        "reached": None if wanted is None else ratio.median >= wanted,
        "ours": rates[0],
        "theirs": rates[1],
        "difference": difference,
    }


def _median_rate(outcome: Outcome, label: str) -> float:
    return Ratio.spread(outcome.rates(label)).median


def table(results: dict[str, Any]) -> list[list[str]]:
    """The rows of the table, the header first."""
    rows = [list(_HEADER)]
    for suite in results["suites"]:
        for case in suite["cases"]:
            work = f"{suite['name']}: {case['work']}"
            if not case["lines"]:
                own = case["entrants"][case["ours"]]["rate"]
                rows.append([work, "-", "", "", "", _rate(own, case["unit"]), "", ""])
            for line in case["lines"]:
                rows.append([work, *_cells(line, case["unit"])])
                work = ""
    return rows


def _cells(line: dict[str, Any], unit: str) -> list[str]:
    if line["against"].endswith(_MEMORY):
        ours, theirs = (f"{number(line[key])}B" for key in ("ours", "theirs"))
    else:
        unit = "FLOP" if line["against"] == SHARE else unit
        ours, theirs = (_rate(line[key], unit) for key in ("ours", "theirs"))
    wanted = ""
    if line["wanted"] is not None:
        wanted = f"{line['wanted']:.2f} {'yes' if line['reached'] else 'NO'}"
    difference = "" if line["difference"] is None else f"{line['difference']:.1e}"
    quartiles = f"{line['low']:.2f} - {line['high']:.2f}"
    return [line["against"], f"{line['ratio']:.2f}", quartiles, wanted, ours, theirs, difference]


def _rate(value: float, unit: str) -> str:
    return f"{number(value)}{_SYMBOLS.get(unit, '')}/s"


def number(value: float) -> str:
    """A number with three digits and its prefix: 12.3 k."""
    for size, prefix in _PREFIXES:
        if value >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g} "


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """The table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def markdown(results: dict[str, Any]) -> str:
    """The table and what it was measured on, as Markdown."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in table(results)]
    lines_of_table = [f"| {' | '.join(row)} |" for row in rows]
    lines_of_table.insert(1, "|" + "---|" * len(_HEADER))
    machine = results["machine"]
    about = [
        "# Benchmark",
        "",
        f"`{results['command']}`",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; load before the "
        f"run {machine['load']:.1f}. {results['rounds']} rounds, contestants in turns; a ratio "
        "above 1 says that this package is faster: the median over the rounds, taken within a "
        "round, and the quartiles. Difference: the largest between the numbers that both compute.",
        "",
    ]
    remarks = [
        f"- {suite['name']}: {suite['about']} {suite['seconds']:.0f} s."
        for suite in results["suites"]
    ]
    remarks += [f"- {text}" for text in notes(results)]
    versions = f"Versions: {_versions(results)}."
    away = [f"Not measured: {text}" for text in results["absent"]]
    return "\n".join([*about, *lines_of_table, "", *remarks, "", versions, *away]) + "\n"


def notes(results: dict[str, Any]) -> Iterator[str]:
    """What contestants had to tell in their last run, a line a case."""
    for suite in results["suites"]:
        for case in suite["cases"]:
            told = [
                f"{label} {', '.join(f'{name} {value:.3f}' for name, value in found.items())}"
                for label, found in ((k, v["notes"]) for k, v in case["entrants"].items())
                if found
            ]
            if told:
                yield f"{suite['name']}, {case['work']}, last run: {'; '.join(told)}"


def _versions(results: dict[str, Any]) -> str:
    found: dict[str, set[str]] = {}
    for suite in results["suites"]:
        for case in suite["cases"]:
            for entrant in case["entrants"].values():
                for name, version in entrant["versions"].items():
                    found.setdefault(name, set()).add(version)
    return ", ".join(f"{name} {' and '.join(sorted(v))}" for name, v in sorted(found.items()))
