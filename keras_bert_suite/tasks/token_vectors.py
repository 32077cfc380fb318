"""Contextual token embeddings: the vectors of a text's tokens at any layer, as features."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from keras_bert_suite.choices import option
from keras_bert_suite.tasks import table_files
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.span_files import SpanExample
from keras_bert_suite.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.data.bucketing import RaggedFeatures
    from keras_bert_suite.models.heads.head import Head
    from keras_bert_suite.text.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenVectors(Task[SpanExample]):
    """One vector a token, special tokens included, from any layer of any encoder.

    There is nothing to learn and nothing to score: bin/predict.py and bin/export_model.py give the
    vectors.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 5.3 (the feature-based approach).
    """

    name: ClassVar[str] = "token_vectors"
    best_by: ClassVar[str] = ""
    learns: ClassVar[bool] = False
    head_is_remade: ClassVar[bool] = True

    vocabulary: ClassVar[tuple[str, ...]] = ()  # of the tokenizer, see `for_tokenizer`

    layer: int = option(
        -1,
        kind="integer",
        help="Layer to read: 0 the embeddings, 1 the first block, -1 the last.",
        adjustable=True,
    )

    def for_tokenizer(self, tokenizer: Tokenizer) -> Self:
        task = copy.copy(self)
        object.__setattr__(task, "vocabulary", tokenizer.vocabulary)
        return task

    def fit(self, path: str | Path, *, bad_rows: BadRows) -> NoReturn:
        raise ValueError(f"The task {self.name!r} learns nothing. Give {path} to bin/predict.py.")

    def read(self, path: str | Path, *, bad_rows: BadRows) -> NoReturn:
        raise ValueError(f"The task {self.name!r} has no score. Give {path} to bin/predict.py.")

    def score(self, predictions: Any, examples: Any) -> NoReturn:
        raise ValueError(f"The task {self.name!r} has no score.")

    def report(self, metrics: Mapping[str, Any]) -> NoReturn:
        raise ValueError(f"The task {self.name!r} has no score.")

    def example(self, record: Mapping[str, Any]) -> SpanExample:
        return SpanExample(table_files.text_value(record, "text"))

    def features(
        self, examples: Sequence[SpanExample], tokenizer: Tokenizer, *, max_length: int
    ) -> RaggedFeatures:
        from keras_bert_suite.tasks.graph.span_features import span_features

        return span_features(
            examples,
            tokenizer,
            label_ids={},
            given=False,
            with_context=False,
            max_length=max_length,
        )

    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        from keras_bert_suite.models.heads.layer_vectors import TokenVectorsHead

        return TokenVectorsHead.for_encoder(config, layer=self.layer, dtype=dtype)

    def decode(
        self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """float32 "token_vectors" [B, S, H]; int32 [B, S] "token_ids", "padding_mask"; offsets."""
        keys = ("token_ids", "padding_mask", "char_starts", "char_ends")
        return {
            "token_vectors": outputs["token_vectors"],
            **{key: batch[key] for key in keys if key in batch},
        }

    def predictions(
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[SpanExample]
    ) -> list[dict[str, Any]]:
        """{"tokens": [{"token", "start", "end", "vector"}]}.

        [start, end) in characters; both 0 for special tokens.
        """
        lengths = decoded["padding_mask"].sum(1)
        return [
            {"tokens": [self._token(decoded, row, column) for column in range(lengths[row])]}
            for row in range(len(examples))
        ]

    def signature(self) -> dict[str, dict[str, Any]]:
        return {"serving_default": {"inputs": ["text"]}}

    def serving_features(
        self, texts: Mapping[str, tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        from keras_bert_suite.tasks.graph.span_features import span_rows

        return span_rows(texts["text"], None, tokenizer, max_length=max_length)

    def _token(self, decoded: Mapping[str, np.ndarray], row: int, column: int) -> dict[str, Any]:
        # The shortest digits that give the float32 back, not the 17 of its float64.
        vector = [float(str(x)) for x in decoded["token_vectors"][row, column]]
        return {
            "token": self.vocabulary[decoded["token_ids"][row, column]],
            "start": int(decoded["char_starts"][row, column]),
            "end": int(decoded["char_ends"][row, column]),
            "vector": vector,
        }
