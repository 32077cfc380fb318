"""Texts with labelled spans, from the objects of JSON lines or lists and of Restaurant8k.

objects:       {"text", "spans": [{"start", "end", "label"}]} each, characters [start, end); a
               span's "text", where it is given, must be what stands there. Optionally "context", a
               text or a list of texts that help to read it (the question that it answers).
Restaurant8k:  a list of {"userInput": {"text"}, "labels": [{"slot", "valueSpan": {"startIndex",
               "endIndex"}}], "context": {"requestedSlots": [...]}}; the names of the requested
               slots become the context.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_bert_suite.tasks import table_files


@dataclasses.dataclass(frozen=True)
class Span:
    """Characters [start, end) of a text; the label is None where it is not known."""

    start: int
    end: int
    label: str | None = None


@dataclasses.dataclass(frozen=True)
class SpanExample:
    """A text with its spans, and what helps to read it.

    Attributes:
      text: the text.
      context: "" where there is none.
      spans: None where they are not known.
    """

    text: str
    context: str = ""
    spans: tuple[Span, ...] | None = None


def example_of(values: Mapping[str, Any], *, with_spans: bool) -> SpanExample:
    """The example of one row.

    Args:
      values: the row.
      with_spans: whether the row must have spans; otherwise they are read where they are.

    Raises:
      ValueError: the reason why the row has none.
    """
    if "userInput" in values:
        values = _from_restaurant8k(values)
    text = table_files.text_value(values, "text")
    context = values.get("context") or ""
    if isinstance(context, list):
        context = ", ".join(map(str, context))
    if not isinstance(context, str):
        raise ValueError(f'"context" must be a text or a list of texts. Received: {context!r}.')
    table_files.check_unicode(context, '"context"')
    spans = values.get("spans")
    if spans is None and not with_spans:
        return SpanExample(text, context)
    if not isinstance(spans, list):
        raise ValueError(
            'a row needs "spans", a list, empty where there is none. '
            f"Received: {'nothing' if spans is None else repr(spans)}."
        )
    return SpanExample(text, context, tuple(_span(span, text) for span in spans))


def _from_restaurant8k(values: Mapping[str, Any]) -> dict[str, Any]:
    """The row as JSON lines have it; protocol buffers leave out what is 0 or empty."""

    def inside(value: Any, key: str, default: Any) -> Any:
        found = value.get(key, default) if isinstance(value, dict) else None
        if not isinstance(found, type(default)):
            raise ValueError(f"{key!r} must be there, as in Restaurant8k. Received: {value!r}.")
        return found

    requested = inside(inside(values, "context", {}), "requestedSlots", [])
    spans = []
    for label in inside(values, "labels", []):
        place = inside(label, "valueSpan", {})
        start, end = inside(place, "startIndex", 0), inside(place, "endIndex", 0)
        spans.append({"start": start, "end": end, "label": inside(label, "slot", "")})
    return {
        "text": inside(inside(values, "userInput", {}), "text", ""),
        "context": [str(slot).replace("_", " ") for slot in requested],
        "spans": spans,
    }


def _span(span: Any, text: str) -> Span:
    if not isinstance(span, dict):
        raise ValueError(f'a span must be an object with "start" and "end". Received: {span!r}.')
    start, end, label = (span.get(key) for key in ("start", "end", "label"))
    if any(not isinstance(place, int) or isinstance(place, bool) for place in (start, end)):
        raise ValueError(f'a span\'s "start" and "end" must be whole numbers. Received: {span!r}.')
    if not 0 <= start < end <= len(text):
        raise ValueError(
            f"a span [start, end) must lie in the text, of {len(text)} characters, and not be "
            f"empty. Received: [{start}, {end})."
        )
    if label is not None:
        label = table_files.label_value(span, "label")
    given = span.get("text")
    if given is not None and given != text[start:end]:
        raise ValueError(f"the span [{start}, {end}) is {text[start:end]!r} and not {given!r}.")
    return Span(start, end, label)
