"""Sentence embeddings: one vector a text, learnt from pairs of texts that belong together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from keras_bert_suite.choices import option
from keras_bert_suite.tasks import table_files
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.tasks.text_task import pair_columns

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.data.bucketing import RaggedFeatures
    from keras_bert_suite.models.heads.head import Head
    from keras_bert_suite.text.tokenizer import Tokenizer

_PAIR = ("text_a", "text_b")
_SCORE = "score"
_PAIRS_PER_CALL = 1024


@dataclasses.dataclass(frozen=True)
class EmbeddingExample:
    """A text, or a pair of texts.

    Attributes:
      texts: one or two.
      ranked: whether a score is asked for.
      gold: how alike people find the two, in the file's unit; None where nobody said.
    """

    texts: tuple[str, ...]
    ranked: bool = False
    gold: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Embedding(Task[EmbeddingExample]):
    """A vector for each text: the mean of its tokens or its first token, of any layer.

    Any encoder answers without fine-tuning. Files to learn from are what `tasks/table_files.py`
    reads, with the columns `text_a` and `text_b` (GLUE's names are known too): pairs that belong
    together; the pairs of a batch are each other's negatives. The score: how early each text's own
    second text comes when all second texts of the file are sorted by cosine similarity. Where a
    file to score has numbers that say how alike two texts are, in the column `score` (STS-B) or
    `label_column`, it is the correlation of the similarities with them; `label_column` makes
    Spearman's choose the best checkpoint.

    Source: Reimers and Gurevych 2019, arXiv:1908.10084; Henderson et al. 2017, arXiv:1705.00652.
    """

    name: ClassVar[str] = "embedding"
    head_is_remade: ClassVar[bool] = True

    pooling: str = option("mean", help="mean (of all tokens) or cls (the first).", adjustable=True)
    normalize: str = option("yes", help="Vectors of length 1: yes or no.", adjustable=True)
    layer: int = option(
        -1,
        kind="integer",
        help="Layer to read: 0 the embeddings, 1 the first block, -1 the last.",
        adjustable=True,
    )
    temperature: float = option(
        0.05, kind="float", help="What cosine similarities are divided by in the loss."
    )
    text_a_column: str | None = option(
        help="Column of the first texts of pairs (default: text_a).", adjustable=True
    )
    text_b_column: str | None = option(
        help="Column of the second texts of pairs (default: text_b).", adjustable=True
    )
    label_column: str | None = option(
        help="Column of how alike two texts are (default: score, where it is there).",
        adjustable=True,
    )

    def __post_init__(self):
        for key, allowed in (("pooling", ("mean", "cls")), ("normalize", ("yes", "no"))):
            if getattr(self, key) not in allowed:
                raise ValueError(
                    f"--{key} must be {' or '.join(allowed)}. Received: {getattr(self, key)!r}."
                )
        if not self.temperature > 0:
            raise ValueError(f"--temperature must be positive. Received: {self.temperature}.")

    @property
    def best_by(self) -> str:  # type: ignore[override]
        return "spearman" if self.label_column else "mean_reciprocal_rank"

    def fit(self, path: str | Path, *, bad_rows: BadRows) -> tuple[Self, list[EmbeddingExample]]:
        examples = self.read(path, bad_rows=bad_rows)
        if any(example.gold is not None for example in examples):
            raise ValueError(
                f"{path}: what is learnt are pairs that belong together, and the column "
                f"{self.label_column or _SCORE!r} says how far they do. Keep the pairs that do and "
                "leave the column out. A --dev_file may have it."
            )
        return self, examples

    def read(self, path: str | Path, *, bad_rows: BadRows) -> list[EmbeddingExample]:
        rows = list(table_files.read_rows(path, bad_rows=bad_rows))
        present = table_files.columns_of(rows)
        pair = self._pair(present)
        scored = next((c for c in (self.label_column, _SCORE) if c in present), None)
        examples = []
        for row in rows:
            try:
                texts = tuple(table_files.text_value(row.values, column) for column in pair)
                gold = None if scored is None else table_files.number_value(row.values, scored)
            except ValueError as error:
                bad_rows.add(path, row.line, str(error))
            else:
                examples.append(EmbeddingExample(texts, ranked=True, gold=gold))
        if not examples:
            raise ValueError(f"{path}: no row in it can be used.")
        return examples

    def example(self, record: Mapping[str, Any]) -> EmbeddingExample:
        pair = self._pair([*record])
        columns = pair if "text" not in record and pair[0] in record else ("text",)
        return EmbeddingExample(tuple(table_files.text_value(record, c) for c in columns))

    def _pair(self, present: Sequence[str]) -> tuple[str, str]:
        first, second = pair_columns(present)
        return self.text_a_column or first, self.text_b_column or second

    def features(
        self, examples: Sequence[EmbeddingExample], tokenizer: Tokenizer, *, max_length: int
    ) -> RaggedFeatures:
        import numpy as np

        from keras_bert_suite.data.text_features import text_features

        index = [place for place, one in enumerate(examples) for _ in one.texts]
        features = text_features(
            [(text,) for one in examples for text in one.texts],
            tokenizer,
            max_length=max_length,
            rows={},
        )
        return dataclasses.replace(
            features,
            example_index=np.array(index, np.int32),
            keep_together=all(len(one.texts) == 2 for one in examples),
        )

    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        from keras_bert_suite.models.heads.layer_vectors import EmbeddingHead

        return EmbeddingHead.for_encoder(
            config,
            layer=self.layer,
            pooling=self.pooling,
            normalized=self.normalize == "yes",
            temperature=self.temperature,
            dtype=dtype,
        )

    def decode(
        self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """{"embedding": float32 [B, hidden]}."""
        del batch
        return {"embedding": outputs["embedding"]}

    def predictions(
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[EmbeddingExample]
    ) -> list[dict[str, Any]]:
        """{"embedding": [numbers]} of a text, {"similarity": cosine} of a pair.

        Pairs of a file with a score have their texts before and the "rank" of the second text, from
        1, among all second texts after it.
        """
        import numpy as np

        vectors = decoded["embedding"]
        starts = np.searchsorted(decoded["example_index"], np.arange(len(examples)))
        pairs = [place for place, one in enumerate(examples) if len(one.texts) == 2]
        units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        firsts = units[starts[pairs]] if pairs else units[:0]
        seconds = units[starts[pairs] + 1] if pairs else units[:0]
        ranked = any(one.ranked for one in examples)
        ranks = _ranks(firsts, seconds) if ranked else np.zeros([len(pairs)], np.int32)
        answers: list[dict[str, Any]] = [{} for _ in examples]
        for place, first, second, rank in zip(pairs, firsts, seconds, ranks, strict=True):
            known: dict[str, Any] = {}
            if ranked:
                known = dict(zip(_PAIR, examples[place].texts, strict=True))
            gold = examples[place].gold
            known |= {} if gold is None else {"gold": gold}
            answers[place] = {**known, "similarity": _short(first @ second)}
            answers[place] |= {"rank": int(rank)} if ranked else {}
        for place, one in enumerate(examples):
            if len(one.texts) == 1:
                answers[place] = {"embedding": [_short(x) for x in vectors[starts[place]]]}
        return answers

    def score(
        self, predictions: Sequence[Mapping[str, Any]], examples: Sequence[EmbeddingExample]
    ) -> dict[str, Any]:
        """Mean reciprocal rank of the right second text, and how often it comes first.

        With the pairs' own numbers Pearson's and Spearman's correlation too, as of STS-B.
        """
        import numpy as np

        from keras_bert_suite.evaluation import regression as scores

        correlations = {}
        if all(example.gold is not None for example in examples):
            sides = np.array([[e.gold for e in examples], [p["similarity"] for p in predictions]])
            correlations = {"pearson": scores.pearson(*sides), "spearman": scores.spearman(*sides)}
        ranks = [prediction["rank"] for prediction in predictions]
        return {
            "num_examples": len(examples),
            **correlations,
            "mean_reciprocal_rank": sum(1 / rank for rank in ranks) / len(ranks),
            "accuracy": sum(rank == 1 for rank in ranks) / len(ranks),
            "mean_similarity": sum(p["similarity"] for p in predictions) / len(ranks),
        }

    def report(self, metrics: Mapping[str, Any]) -> str:
        if "spearman" in metrics:
            return (
                f"Pearson correlation: {metrics['pearson']:.4f}\n"
                f"Spearman correlation: {metrics['spearman']:.4f}\n"
                f"mean similarity of the pairs: {metrics['mean_similarity']:.4f}"
            )
        return (
            f"mean reciprocal rank among {metrics['num_examples']:,}: "
            f"{metrics['mean_reciprocal_rank']:.4f}\nfirst: {metrics['accuracy']:.4f}\n"
            f"mean similarity of the pairs: {metrics['mean_similarity']:.4f}"
        )

    def signature(self) -> dict[str, dict[str, Any]]:
        return {"serving_default": {"inputs": ["text"]}}

    def serving_features(
        self, texts: Mapping[str, tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        return tokenizer.pack(tokenizer.ragged_ids(texts["text"]), max_length=max_length)


def _ranks(firsts: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """int [pairs]: the place of each pair's second text by similarity to its first, from 1."""
    import numpy as np

    ranks = []
    for start in range(0, len(firsts), _PAIRS_PER_CALL):
        similarities = firsts[start : start + _PAIRS_PER_CALL] @ seconds.T
        own = similarities[np.arange(len(similarities)), start + np.arange(len(similarities))]
        ranks.append(1 + (similarities > own[:, None]).sum(1))
    return np.concatenate(ranks)


def _short(value: Any) -> float:
    # The shortest digits that give the float32 back, not the 17 of its float64.
    return float(str(value))
