"""Cloze prompts: classification as the words that a masked language model puts in a pattern."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from keras_bert_suite.choices import option
from keras_bert_suite.tasks import cloze_pattern
from keras_bert_suite.tasks.classification import Classification
from keras_bert_suite.tasks.text_task import TextExample

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.data.bucketing import RaggedFeatures
    from keras_bert_suite.models.heads.head import Head
    from keras_bert_suite.tasks.graph.cloze_rows import ClozeRows
    from keras_bert_suite.text.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class _Resolved:
    """Pattern and verbalizer in the ids of one vocabulary."""

    rows: ClozeRows
    word_ids: list[list[list[int]]]
    mask_id: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cloze(Classification):
    """Classification by the masked-LM head: the text in a pattern, each label a word at its [MASK].

    Scores are the head's logits of the labels' words alone, see models/heads/cloze.py; training is
    cross-entropy over the labels. Any model with a masked-LM head answers without training, and
    learns from few examples, for it has no fresh weights. It stays a masked language model, which
    a model directory stores as such; pattern and verbalizer are the task's.

    Source: Schick and Schuetze 2021, arXiv:2001.07676, section 3.
    """

    name: ClassVar[str] = "cloze"
    needs_stored_head: ClassVar[bool] = True
    head_is_remade: ClassVar[bool] = True

    resolved: ClassVar[_Resolved | None] = None  # by the tokenizer, see `for_tokenizer`

    pattern: str | None = option(
        help="Cloze: a text with slots and [MASK], as '{text} It was [MASK].' or, of pairs, "
        "'{text_a}? [SEP] [MASK], {text_b}' ([SEP] begins a second segment).",
        adjustable=True,
    )
    verbalizer: Any = option(
        (),
        kind="list",
        help="Cloze: the words at the [MASK] that stand for each label, in the labels' order: "
        "positive=great|good,negative=terrible; or a JSON file of {label: [words]}.",
        adjustable=True,
    )

    def __post_init__(self):
        if not isinstance(self.pattern, str) or not self.pattern.strip():
            raise ValueError(
                "--task=cloze needs --pattern, as '{text} It was [MASK].' or "
                "'{text_a}? [SEP] [MASK], {text_b}'."
            )
        slots = cloze_pattern.slots_of(self.pattern)
        columns = self.text_column or self.text_a_column
        if columns and (len(slots) == 1) != bool(self.text_column):
            raise ValueError(
                f"--pattern has {' and '.join(f'{{{slot}}}' for slot in slots)}, so the examples "
                f"must be {'single texts' if len(slots) == 1 else 'pairs of texts'}. Received the "
                f"column {columns!r} of {'single texts' if self.text_column else 'pairs'}: tell "
                "--text_column, or --text_a_column and --text_b_column, or change the pattern."
            )
        verbalizer = cloze_pattern.checked_verbalizer(self.verbalizer)
        labels = tuple(label for label, *_ in verbalizer)
        if self.labels and self.labels != labels:
            raise ValueError(
                "--labels does not go with --task=cloze: the labels are those of --verbalizer, "
                f"{', '.join(labels)}. Received: {', '.join(self.labels)}."
            )
        object.__setattr__(self, "verbalizer", verbalizer)
        object.__setattr__(self, "labels", labels)
        super().__post_init__()

    @classmethod
    def _accepted(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        given = super()._accepted(options)
        entries = given.get("verbalizer")
        if isinstance(entries, tuple) and all(isinstance(entry, str) for entry in entries):
            given["verbalizer"] = cloze_pattern.verbalizer_from_flag(entries)
        return given

    def adjusted(self, options: Mapping[str, Any]) -> Self:
        given = self._accepted(options)
        # Another verbalizer has its own labels.
        if "verbalizer" in given:
            given["labels"] = ()
        return dataclasses.replace(self, **given)

    def to_config(self) -> dict[str, Any]:
        words = {label: list(words) for label, *words in self.verbalizer}
        return {**super().to_config(), "verbalizer": words}

    def for_tokenizer(self, tokenizer: Tokenizer) -> Self:
        from keras_bert_suite.tasks.graph.cloze_rows import ClozeRows

        num_masks = cloze_pattern.parts_of(str(self.pattern)).count(cloze_pattern.MASK)
        resolved = _Resolved(
            ClozeRows(cloze_pattern.segments_of(str(self.pattern), tokenizer)),
            cloze_pattern.word_ids(self.verbalizer, tokenizer, num_masks=num_masks),
            tokenizer.mask_id,
        )
        task = copy.copy(self)
        object.__setattr__(task, "resolved", resolved)
        return task

    def example(self, record: Mapping[str, Any]) -> TextExample[str]:
        example = super().example(record)
        if len(example.texts) != len(self._inputs):
            raise ValueError(
                f"--pattern needs {' and '.join(map(repr, self._inputs))}. There is: "
                f"{', '.join(map(repr, record))}."
            )
        return example

    def features(
        self, examples: Sequence[TextExample[str]], tokenizer: Tokenizer, *, max_length: int
    ) -> RaggedFeatures:
        from keras_bert_suite.data.text_features import text_features

        known = bool(examples) and examples[0].label is not None
        return text_features(
            [example.texts for example in examples],
            tokenizer,
            max_length=max_length,
            rows=self._target_rows(examples) if known else {},
            frame=self._in_ids.rows,
        )

    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        from keras_bert_suite.models.heads.cloze import ClozeHead

        return ClozeHead.for_encoder(
            config, word_ids=self._in_ids.word_ids, mask_id=self._in_ids.mask_id, dtype=dtype
        )

    def serving_features(
        self, texts: Mapping[str, tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        return self._in_ids.rows([texts[name] for name in self._inputs], tokenizer, max_length)

    @property
    def _in_ids(self) -> _Resolved:
        assert self.resolved is not None, "`for_tokenizer` comes first"
        return self.resolved

    @property
    def _inputs(self) -> tuple[str, ...]:
        return cloze_pattern.slots_of(str(self.pattern))
