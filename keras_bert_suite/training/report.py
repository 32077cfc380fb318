"""`report.html`: the curves, numbers and settings of a run on one page that needs nothing else."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_bert_suite.files import atomic_write
from keras_bert_suite.training.report_chart import Curve, chart, number

# Panels in this order, by the end of a metric's name; then all others, by name.
_ORDER = (
    "loss",
    "accuracy",
    "learning_rate",
    "gradient_norm",
    "tokens_per_second",
    "flops_utilisation",
    "padding_share",
)
_UNITS = {
    "loss": "nats",
    "accuracy": "share right",
    "tokens_per_second": "real, of all workers",
    "gradient_norm": "before clipping",
    "flops_utilisation": "of the peak",
    "padding_share": "share of positions",
}
_KINDS = {"train": "training", "eval": "held-out"}


def write_report(
    directory,
    *,
    history: Iterable[Mapping[str, Any]],
    settings: Mapping[str, Any],
    num_steps: int,
    metrics: Mapping[str, Any] | None = None,
) -> Path:
    """Writes DIRECTORY/report.html; gives its path. It appears whole or not at all.

    Args:
      directory: the run's output directory.
      history: the records of log.jsonl.
      settings: of the run, JSON values.
      num_steps: optimizer steps of the whole run.
      metrics: the final numbers; None for a run that is not through. A "unigram_entropy" among them
        is drawn into the curve of mlm_loss.
    """
    records = list(history)
    step = max((record["step"] for record in records), default=0)
    done = f"{step:,} of {num_steps:,} steps"
    body = [
        f"<h1>{html.escape(Path(directory).resolve().name)}</h1>",
        f"<p>{done}{'' if metrics is not None else ', not finished'}. Lines: means of the records "
        "behind each point; pale band: their lowest and highest.</p>",
        '<div class="charts">',
        *_charts(records, metrics or {}),
        "</div>",
        _table("Final numbers", metrics or {}),
        _table("Settings", settings),
    ]
    path = Path(directory) / "report.html"
    with atomic_write(path) as file:
        file.write(_PAGE.replace("{body}", "\n".join(body)))
    return path


def _charts(records: list[Mapping[str, Any]], metrics: Mapping[str, Any]) -> Iterable[str]:
    curves: dict[str, dict[str, Curve]] = {}
    for record in records:
        for name, value in record.items():
            if name in ("step", "kind") or not isinstance(value, int | float):
                continue
            if math.isfinite(value):
                curve = curves.setdefault(name, {}).setdefault(record["kind"], ([], []))
                curve[0].append(record["step"])
                curve[1].append(float(value))
    losses = [name for name in curves if name.endswith("_loss")]
    if len(losses) == 1:  # the total repeats it
        curves.pop("loss", None)
    entropy = metrics.get("unigram_entropy")
    for name in sorted(curves, key=_place):
        reference = ("unigram entropy", entropy) if name == "mlm_loss" and entropy else None
        yield chart(
            name.replace("_", " "),
            {_KINDS.get(kind, kind): curve for kind, curve in curves[name].items()},
            unit=next((unit for end, unit in _UNITS.items() if name.endswith(end)), ""),
            reference=reference,
            from_zero=not name.endswith("loss"),
        )


def _place(name: str) -> tuple[int, str]:
    ends = [i for i, end in enumerate(_ORDER) if name.endswith(end)]
    # The total loss stands before its terms.
    return (ends[0] if ends else len(_ORDER), "" if name == "loss" else name)


def _table(title: str, values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    rows = "\n".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(_shown(value))}</td></tr>"
        for key, value in values.items()
    )
    return f"<h2>{title}</h2>\n<table>\n{rows}\n</table>"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return number(value, digits=5)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Training report</title>
<style>
:root { color-scheme: light dark; --page: #fcfcfb; --ink: #16191d; --pale: #5c636b;
  --line: #dfe2e6; --training: #2465b8; --held: #c2570c; }
@media (prefers-color-scheme: dark) { :root { --page: #16181b; --ink: #e8eaed; --pale: #9aa1a9;
  --line: #33383e; --training: #6ea8f0; --held: #f0914a; } }
body { margin: 0 auto; max-width: 1320px; padding: 24px; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; }
h2 { font-size: 17px; margin: 28px 0 8px; }
p { color: var(--pale); margin: 0 0 16px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(400px, 100%), 1fr));
  gap: 22px 28px; }
figure { margin: 0; }
figcaption b { font-weight: 600; }
figcaption span { white-space: nowrap; color: var(--pale); font-size: 13px; margin-left: 8px; }
figcaption .training::before, figcaption .held-out::before { content: ""; display: inline-block;
  width: 14px; height: 3px; margin-right: 5px; vertical-align: middle; }
figcaption .training::before { background: var(--training); }
figcaption .held-out::before { background: var(--held); }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 11px; fill: var(--pale); }
.grid { stroke: var(--line); }
.reference { stroke: var(--pale); stroke-dasharray: 5 4; }
path { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
path.training { stroke: var(--training); }
path.held-out { stroke: var(--held); }
polygon.training { fill: var(--training); opacity: 0.16; }
polygon.held-out { fill: var(--held); opacity: 0.16; }
circle.training { fill: var(--training); }
circle.held-out { fill: var(--held); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 3px 24px 3px 0; border-bottom: 1px solid var(--line);
  font-weight: normal; overflow-wrap: anywhere; }
th { color: var(--pale); }
</style>
<body>
{body}
</body>
</html>
"""
