"""Labels for pieces of a text: slots, entities, mentions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from keras_bert_suite.choices import option
from keras_bert_suite.tasks import label_names, table_files
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.span_files import SpanExample, example_of
from keras_bert_suite.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.data.bucketing import RaggedFeatures
    from keras_bert_suite.models.heads.head import Head
    from keras_bert_suite.text.tokenizer import Tokenizer

_ENUMERATED, _GIVEN = "enumerated", "given"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpanClassification(Task[SpanExample]):
    """Finds the spans that have a label, or tells the labels of given spans.

    Files are what `tasks/table_files.py` reads, rows as in `tasks/span_files.py`. A span is
    represented by its first token, its last and the mean of all (`span_representation` "pooled"),
    or by the tokens on both sides of its boundaries ("boundary"). With `candidates` "enumerated"
    every span of up to `max_span_width` tokens is classified and the likeliest that do not overlap
    are the answer; with "given" each span of a row gets a label. Exact span F1 is the score.

    Attributes:
      with_context: whether rows have a context, which becomes the second text.

    Source: Lee et al. 2017, arXiv:1707.07045, section 4; Joshi et al. 2019, arXiv:1907.10529.
    """

    name: ClassVar[str] = "span"
    best_by: ClassVar[str] = "f1"

    span_representation: str = option(
        "pooled",
        help="What stands for a span: pooled (its first and last token and the mean of all) or "
        "boundary (its first and last token and their neighbours outside).",
    )
    candidates: str = option(
        _ENUMERATED, help="Which spans get labels: enumerated (all, most none) or given."
    )
    max_span_width: int = option(16, kind="integer", help="Tokens of the widest enumerated span.")
    span_size: int = option(256, kind="integer", help="Width of the span head's hidden layer.")
    span_negatives: float = option(
        1.0, kind="float", help="Share of the spans without a label that count in a step's loss."
    )
    max_spans: int = option(32, kind="integer", help="Most spans found in a text.", adjustable=True)
    labels: tuple[str, ...] = option(
        (),
        kind="list",
        help="All label names in the order of their ids, comma separated (default: those of the "
        "training file, sorted).",
    )
    with_context: bool = False

    def __post_init__(self):
        for key, allowed in (
            ("span_representation", ("pooled", "boundary")),
            ("candidates", (_ENUMERATED, _GIVEN)),
        ):
            if getattr(self, key) not in allowed:
                raise ValueError(
                    f"--{key} must be {' or '.join(allowed)}. Received: {getattr(self, key)!r}."
                )
        for key in ("max_span_width", "span_size", "max_spans"):
            if getattr(self, key) < 1:
                raise ValueError(f"--{key} must be at least 1. Received: {getattr(self, key)}.")
        if not 0 < self.span_negatives <= 1:
            raise ValueError(
                f"--span_negatives must be in (0, 1]. Received: {self.span_negatives}."
            )

    @property
    def head_inputs(self) -> tuple[str, ...]:
        return ("span_starts", "span_ends") if self._given else ()

    def fit(self, path: str | Path, *, bad_rows: BadRows) -> tuple[Self, list[SpanExample]]:
        examples = self.read(path, bad_rows=bad_rows)
        found = {span.label for example in examples for span in example.spans or ()}
        labels = self.labels or label_names.in_order(label for label in found if label is not None)
        if len(labels) < (2 if self._given else 1):
            raise ValueError(
                f"{path}: there must be a label to learn, and two where the spans are given. "
                f"Received: {', '.join(map(repr, labels)) or 'none'}."
            )
        with_context = any(example.context for example in examples)
        return dataclasses.replace(self, labels=labels, with_context=with_context), examples

    def read(self, path: str | Path, *, bad_rows: BadRows) -> list[SpanExample]:
        examples = []
        for row in table_files.read_rows(path, bad_rows=bad_rows):
            try:
                example = example_of(row.values, with_spans=True)
                self._check_labels(example)
            except ValueError as error:
                bad_rows.add(path, row.line, str(error))
            else:
                examples.append(example)
        if not examples:
            raise ValueError(f"{path}: no row in it can be used.")
        return examples

    def example(self, record: Mapping[str, Any]) -> SpanExample:
        example = example_of(record, with_spans=self._given)
        if self._given:
            unlabelled = tuple(dataclasses.replace(s, label=None) for s in example.spans or ())
            return dataclasses.replace(example, spans=unlabelled)
        return dataclasses.replace(example, spans=None)

    def features(
        self, examples: Sequence[SpanExample], tokenizer: Tokenizer, *, max_length: int
    ) -> RaggedFeatures:
        from keras_bert_suite.tasks.graph.span_features import span_features

        return span_features(
            examples,
            tokenizer,
            label_ids={label: i for i, label in enumerate(self.labels)},
            given=self._given,
            with_context=self.with_context,
            max_length=max_length,
        )

    def feature_remarks(self, features: RaggedFeatures) -> list[str]:
        starts, ends = features.rows["span_starts"], features.rows["span_ends"]
        wanted = features.rows["span_label_ids"] >= 0
        lost = int((wanted & (starts < 0)).sum())
        wide = int((wanted & (starts >= 0) & (ends - starts >= self.max_span_width)).sum())
        reasons = [f"{lost:,} cut off or without a token"] if lost else []
        if wide and not self._given:  # given ones share the width of the widest
            reasons.append(f"{wide:,} wider than --max_span_width, {self.max_span_width} tokens")
        if not reasons:
            return []
        return [f"of {int(wanted.sum()):,} spans are not learnt: {'; '.join(reasons)}"]

    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        from keras_bert_suite.models.heads.span_classification import SpanClassificationHead

        return SpanClassificationHead.for_encoder(
            config,
            labels=self.labels,
            representation=self.span_representation,
            candidates=self.candidates,
            max_width=self.max_span_width,
            span_size=self.span_size,
            negatives=self.span_negatives,
            dtype=dtype,
        )

    def decode(
        self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """[B, spans] each: float32 "scores"; int32 "labels" (-1: no span), "starts", "ends".

        [start, end) in characters of the text, or in columns where the batch has no offsets.
        """
        from keras_bert_suite.tasks.graph import span_answers

        if self._given:
            return span_answers.labelled_spans(outputs, batch)
        return span_answers.found_spans(
            outputs, batch, max_width=self.max_span_width, max_spans=self.max_spans
        )

    def predictions(
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[SpanExample]
    ) -> list[dict[str, Any]]:
        """{"spans": [{"start", "end", "label", "score", "text"}]}, in the order of the text.

        Given spans keep their own order. Where the spans are known, "text", the context if there is
        one, and "gold" come first.
        """
        answers = []
        for row, example in enumerate(examples):
            columns = [decoded[key][row].tolist() for key in ("starts", "ends", "labels")]
            if self._given:
                asked = example.spans or ()
                columns[0] = [span.start for span in asked]
                columns[1] = [span.end for span in asked]
            spans = [
                {
                    "start": start,
                    "end": end,
                    # A given span that was cut off, or has no token, gets no label.
                    "label": self.labels[label] if label >= 0 else None,
                    "score": float(str(score)),
                    "text": example.text[start:end],
                }
                for start, end, label, score in zip(*columns, decoded["scores"][row], strict=False)
                if label >= 0 or self._given
            ]
            if not self._given:
                spans.sort(key=lambda one: one["start"])
            answers.append({**self._known(example), "spans": spans})
        return answers

    def score(
        self, predictions: Sequence[Mapping[str, Any]], examples: Sequence[SpanExample]
    ) -> dict[str, Any]:
        """Exact span precision, recall and F1 (percent), and the same of each label."""
        from keras_bert_suite.evaluation.spans import span_scores

        gold = [[(s.start, s.end, str(s.label)) for s in e.spans or ()] for e in examples]
        found = [
            [(s["start"], s["end"], s["label"]) for s in p["spans"] if s["label"] is not None]
            for p in predictions
        ]
        return {"num_examples": len(examples), **span_scores(gold, found)}

    def report(self, metrics: Mapping[str, Any]) -> str:
        width = max([len("label"), *map(len, metrics["labels"])])
        lines = [f"{'label':{width}}  precision  recall      F1  spans"]
        for label, one in {**metrics["labels"], "all": metrics}.items():
            count = f"{one['support']:5d}" if "support" in one else ""
            lines.append(
                f"{label:{width}}  {one['precision']:9.2f}  {one['recall']:6.2f}  {one['f1']:6.2f}"
                f"  {count}".rstrip()
            )
        return "\n".join(lines)

    def signature(self) -> dict[str, dict[str, Any]]:
        inputs = ["text"]
        inputs += ["context"] if self.with_context else []
        inputs += ["spans"] if self._given else []
        return {"serving_default": {"inputs": inputs}}

    def serving_features(
        self, texts: Mapping[str, tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        """Given candidates come as strings: "3-7, 12-20", characters [start, end)."""
        from keras_bert_suite.tasks.graph import span_features

        rows = span_features.span_rows(
            texts["text"], texts.get("context"), tokenizer, max_length=max_length
        )
        if self._given:
            spans = span_features.parsed_candidates(texts["spans"])
            rows |= span_features.span_columns(rows, spans)
        return rows

    def served(
        self,
        decoded: Mapping[str, tf.Tensor],
        batch: Mapping[str, tf.Tensor],
        texts: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """{"span_label" string ("" where there is no more), "span_score", "span_start",
        "span_end"}: [B, spans] each."""
        import tensorflow as tf

        del batch, texts
        names = tf.constant([*self.labels, ""])
        labels = tf.where(decoded["labels"] < 0, len(self.labels), decoded["labels"])
        return {
            "span_label": tf.gather(names, labels),
            "span_score": decoded["scores"],
            "span_start": decoded["starts"],
            "span_end": decoded["ends"],
        }

    @property
    def _given(self) -> bool:
        return self.candidates == _GIVEN

    def _check_labels(self, example: SpanExample) -> None:
        known = set(self.labels)
        for span in example.spans or ():
            if span.label is None:
                raise ValueError(f'the span [{span.start}, {span.end}) has no "label".')
            if known and span.label not in known:
                raise ValueError(f"unknown label {span.label!r}. {label_names.known(self.labels)}")

    def _known(self, example: SpanExample) -> dict[str, Any]:
        if example.spans is None or any(span.label is None for span in example.spans):
            return {}
        context = {"context": example.context} if self.with_context else {}
        gold = [dataclasses.asdict(span) for span in example.spans]
        return {"text": example.text, **context, "gold": gold}
