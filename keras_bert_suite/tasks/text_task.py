"""What the tasks on whole texts share: columns, files, token ids, the served signature."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from keras_bert_suite.choices import option
from keras_bert_suite.tasks import table_files
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.data.bucketing import RaggedFeatures
    from keras_bert_suite.text.tokenizer import Tokenizer

Target = TypeVar("Target")

# The columns to take where no flag names any: our own names first, then those of GLUE's files.
_TEXT_COLUMNS = (
    ("text",),
    ("text_a", "text_b"),
    ("sentence1", "sentence2"),  # MNLI, RTE, STS-B, WNLI
    ("question", "sentence"),  # QNLI
    ("question1", "question2"),  # QQP
    ("#1 String", "#2 String"),  # MRPC
    ("premise", "hypothesis"),
    ("sentence",),  # SST-2, CoLA
)
# The served inputs, by the number of texts.
_INPUTS: dict[int, tuple[str, ...]] = {1: ("text",), 2: ("text_a", "text_b")}


@dataclasses.dataclass(frozen=True)
class TextExample(Generic[Target]):
    """A text or a pair of texts, and its target where it is known."""

    texts: tuple[str, ...]
    label: Target | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTask(Task[TextExample[Target]]):
    """A task on [CLS] a [SEP], or on [CLS] a [SEP] b [SEP].

    Files are what `tasks/table_files.py` reads. A file with the column `text` holds single texts,
    one with `text_a` and `text_b` holds pairs; GLUE's own names are known too. A task that no
    training file has fitted finds the columns of each file and record by these names. Numbers for
    names stand for the columns of a table without a header.

    Subclasses say what a target is: `_target`, `_fitted`, `_target_rows`.
    """

    text_column: str | None = option(
        help="Column of single texts (default: text). Of a table without a header columns are told "
        "by number, 0 for the first and -1 for the last.",
        adjustable=True,
    )
    text_a_column: str | None = option(
        help="Column of the first texts of pairs (default: text_a).", adjustable=True
    )
    text_b_column: str | None = option(
        help="Column of the second texts of pairs (default: text_b).", adjustable=True
    )
    label_column: str | None = option(
        help="Column of the labels (default: label, or gold_label, score, ... of GLUE's files).",
        adjustable=True,
    )

    def __post_init__(self):
        pair = (self.text_a_column, self.text_b_column)
        if self.text_column and any(pair):
            raise ValueError(
                "A task takes single texts or pairs of texts: --text_column, or "
                "--text_a_column with --text_b_column. Received: both."
            )
        if any(pair) and not all(pair):
            raise ValueError(
                "A pair needs both columns, --text_a_column and --text_b_column. "
                f"Received: {pair[0] or 'none'} and {pair[1] or 'none'}."
            )

    @abc.abstractmethod
    def _target(self, values: Mapping[str, Any]) -> Target:
        """The target of a row; raises ValueError with the reason why there is none."""

    @abc.abstractmethod
    def _fitted(self, path: str | Path, examples: Sequence[TextExample[Target]]) -> Self:
        """This task with what the targets of the training file decide."""

    @abc.abstractmethod
    def _target_rows(self, examples: Sequence[TextExample[Target]]) -> dict[str, np.ndarray]:
        """The targets as batch keys, one value an example."""

    def _default_label_columns(self) -> tuple[str, ...]:
        return ("label", "gold_label", "Quality", "is_duplicate")

    def fit(self, path: str | Path, *, bad_rows: BadRows) -> tuple[Self, list[TextExample[Target]]]:
        rows = list(table_files.read_rows(path, bad_rows=bad_rows, named=self._told_columns))
        task = self._with_columns(path, table_files.columns_of(rows))
        examples = list(task._examples(path, rows, bad_rows))
        return task._fitted(path, examples), examples

    def read(self, path: str | Path, *, bad_rows: BadRows) -> list[TextExample[Target]]:
        rows = list(table_files.read_rows(path, bad_rows=bad_rows, named=self._told_columns))
        task = self._with_columns(path, table_files.columns_of(rows))
        examples = list(task._examples(path, rows, bad_rows))
        if not examples:
            raise ValueError(f"{path}: none of the {len(rows)} rows can be used.")
        return examples

    def records(
        self, path: str | Path, *, bad_rows: BadRows
    ) -> Iterator[tuple[int | str, dict[str, Any]]]:
        rows = table_files.read_rows(path, bad_rows=bad_rows, named=self._text_columns)
        return ((row.line, row.values) for row in rows)

    def example(self, record: Mapping[str, Any]) -> TextExample[Target]:
        columns = self._text_columns or _found_columns([*record])
        if not set(columns) <= set(record) and set(self._inputs) <= set(record):
            columns = self._inputs  # as a server takes them, whatever the training file's names
        return TextExample(tuple(table_files.text_value(record, column) for column in columns))

    def features(
        self, examples: Sequence[TextExample[Target]], tokenizer: Tokenizer, *, max_length: int
    ) -> RaggedFeatures:
        from keras_bert_suite.data.text_features import text_features

        known = bool(examples) and examples[0].label is not None
        return text_features(
            [example.texts for example in examples],
            tokenizer,
            max_length=max_length,
            rows=self._target_rows(examples) if known else {},
        )

    def signature(self) -> dict[str, dict[str, Any]]:
        return {"serving_default": {"inputs": list(self._inputs)}}

    def serving_features(
        self, texts: Mapping[str, tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        ids = [tokenizer.ragged_ids(texts[name]) for name in self._inputs]
        return tokenizer.pack(*ids, max_length=max_length)

    def _known(self, example: TextExample[Target]) -> dict[str, Any]:
        """Texts and "gold" of an example whose target is known, so that errors can be read."""
        if example.label is None:
            return {}
        names = _INPUTS[len(example.texts)]
        return dict(zip(names, example.texts, strict=True), gold=example.label)

    @property
    def _text_columns(self) -> tuple[str, ...]:
        told = (self.text_column, self.text_a_column, self.text_b_column)
        return tuple(column for column in told if column)

    @property
    def _told_columns(self) -> tuple[str | None, ...]:
        # A label's column alone says nothing of a header, since texts are then found by name.
        return (*self._text_columns, self.label_column) if self._text_columns else ()

    @property
    def _label_name(self) -> str:
        return self.label_column or self._default_label_columns()[0]

    @property
    def _inputs(self) -> tuple[str, ...]:
        return _INPUTS[2 if self.text_a_column else 1]

    def _with_columns(self, path: str | Path, present: Sequence[str]) -> Self:
        """This task with its columns, from the flags or by the default names; checks them."""
        task = self
        if not self._text_columns:
            single = "text" in present
            if single and "text_a" in present and "text_b" in present:
                raise ValueError(
                    f"{path} has the columns text and text_a, text_b: say by --text_column, or by "
                    "--text_a_column with --text_b_column, which are meant."
                )
            names = _found_columns(present)
            columns = ("text_column",) if len(names) == 1 else ("text_a_column", "text_b_column")
            task = dataclasses.replace(self, **dict(zip(columns, names, strict=True)))
        if not self.label_column:
            defaults = self._default_label_columns()
            label_column = next((name for name in defaults if name in present), defaults[0])
            task = dataclasses.replace(task, label_column=label_column)
        task._require_columns(path, present)
        return task

    def _require_columns(self, path: str | Path, present: Sequence[str]) -> None:
        wanted = [*self._text_columns, self._label_name]
        if not set(wanted) <= set(present):
            raise ValueError(table_files.missing_columns(path, wanted, present))

    def _examples(
        self, path: str | Path, rows: Sequence[table_files.Row], bad_rows: BadRows
    ) -> Iterator[TextExample[Target]]:
        for row in rows:
            try:
                texts = tuple(table_files.text_value(row.values, c) for c in self._text_columns)
                target = self._target(row.values)
            except ValueError as error:
                bad_rows.add(path, row.line, str(error))
            else:
                yield TextExample(texts, target)


def _found_columns(present: Sequence[str]) -> tuple[str, ...]:
    """The columns of one text or of two, by the names that are known."""
    if "text" not in present and ("text_a" in present or "text_b" in present):
        return ("text_a", "text_b")
    return next((names for names in _TEXT_COLUMNS if set(names) <= set(present)), ("text",))


def pair_columns(present: Sequence[str]) -> tuple[str, str]:
    """The columns of two texts, by the names that are known; ours where none is there."""
    pairs = (names for names in _TEXT_COLUMNS if len(names) == 2 and set(names) <= set(present))
    first, second = next(pairs, ("text_a", "text_b"))
    return first, second
