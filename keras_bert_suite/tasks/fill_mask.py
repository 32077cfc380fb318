"""Fill-mask: the words that a masked language model puts where a text says [MASK]."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from keras_bert_suite.choices import option
from keras_bert_suite.tasks import table_files
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.data.bucketing import RaggedFeatures
    from keras_bert_suite.models.heads.head import Head
    from keras_bert_suite.text.tokenizer import Tokenizer

# How a text may write the mask, whatever the model's own token is called.
_MASK = re.compile(r"\[MASK\]|<mask>")


@dataclasses.dataclass(frozen=True)
class MaskedExample:
    """A text with masks, and the word of each where they are known."""

    text: str
    words: tuple[str, ...] | None = None


class _WordIds(dict[str, int]):
    """The id of the one piece that a word (after a space) is; ValueError where it is not one."""

    def __init__(self, tokenizer: Tokenizer):
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, word: str) -> int:
        ids = self._tokenizer.tokenize([f" {word}"])[0].ids
        if len(ids) != 1 or ids[0] == self._tokenizer.unk_id:
            raise ValueError(
                "the word of a mask must be one piece of the vocabulary. Received: "
                f"{word!r}, which is {len(ids)} pieces or unknown."
            )
        self[word] = ids[0]
        return ids[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FillMask(Task[MaskedExample]):
    """The likeliest words at each `[MASK]` (or `<mask>`) of a text, from the masked-LM head.

    Files with targets are what `tasks/table_files.py` reads, with the columns `text` and `label`:
    the words of the masks, parted by spaces, each one piece of the vocabulary. Any pre-trained
    model with a masked-LM head answers without fine-tuning.
    """

    name: ClassVar[str] = "fill_mask"
    best_by: ClassVar[str] = "accuracy"
    goes_on_with_head: ClassVar[bool] = True

    # Of the tokenizer, see `for_tokenizer`: its words, and the ids of those that a file gives.
    words: ClassVar[tuple[str, ...]] = ()
    word_ids: ClassVar[_WordIds | None] = None

    top_k: int = option(
        5, kind="integer", help="Words to give for each [MASK], best first.", adjustable=True
    )

    def __post_init__(self):
        if self.top_k < 1:
            raise ValueError(f"--top_k must be at least 1. Received: {self.top_k}.")

    def for_tokenizer(self, tokenizer: Tokenizer) -> Self:
        task = copy.copy(self)
        texts = tokenizer.detokenize([[i] for i in range(tokenizer.vocab_size)])
        words = (text.strip() or tokenizer.vocabulary[i] for i, text in enumerate(texts))
        object.__setattr__(task, "words", tuple(words))
        object.__setattr__(task, "word_ids", _WordIds(tokenizer))
        return task

    @property
    def head_inputs(self) -> tuple[str, ...]:
        return ("prediction_positions",)

    def fit(self, path: str | Path, *, bad_rows: BadRows) -> tuple[Self, list[MaskedExample]]:
        return self, self.read(path, bad_rows=bad_rows)

    def read(self, path: str | Path, *, bad_rows: BadRows) -> list[MaskedExample]:
        examples = []
        for row in table_files.read_rows(path, bad_rows=bad_rows):
            try:
                example = self.example(row.values)
                words = tuple(table_files.text_value(row.values, "label").split())
                count = len(_MASK.findall(example.text))
                if len(words) != count:
                    raise ValueError(
                        f"every [MASK] needs a word in column 'label', parted by spaces. Received: "
                        f"{count} masks and {len(words)} words."
                    )
                for word in words if self.word_ids is not None else ():
                    self.word_ids[word]  # raises for one that cannot stand at a mask
            except ValueError as error:
                bad_rows.add(path, row.line, str(error))
            else:
                examples.append(dataclasses.replace(example, words=words))
        if not examples:
            raise ValueError(f"{path}: no row in it can be used.")
        return examples

    def example(self, record: Mapping[str, Any]) -> MaskedExample:
        text = table_files.text_value(record, "text")
        if not _MASK.search(text):
            raise ValueError("the text has no [MASK] to fill.")
        return MaskedExample(text)

    def features(
        self, examples: Sequence[MaskedExample], tokenizer: Tokenizer, *, max_length: int
    ) -> RaggedFeatures:
        import numpy as np

        from keras_bert_suite.tasks.graph.mask_features import mask_features

        features = mask_features(
            [example.text for example in examples], tokenizer, max_length=max_length
        )
        if not examples or examples[0].words is None:
            return features
        positions = features.rows["prediction_positions"]
        ids = np.zeros_like(positions)
        word_ids = _WordIds(tokenizer) if self.word_ids is None else self.word_ids
        for row, example in enumerate(examples):
            kept = int((positions[row] > 0).sum())  # the masks that were not cut off
            ids[row, :kept] = [word_ids[word] for word in (example.words or ())[:kept]]
        targets = {
            "prediction_ids": ids,
            "prediction_weights": (positions > 0).astype(np.float32),
        }
        return dataclasses.replace(features, rows={**features.rows, **targets})

    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        from keras_bert_suite.models.heads.masked_lm import MaskedLMHead

        return MaskedLMHead.for_encoder(config, dtype=dtype)

    def decode(
        self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """[B, masks, k]: int32 "word_ids", -1 where there are no more masks, float32 "scores"."""
        import tensorflow as tf

        logits = outputs["mlm_logits"]
        scores, ids = tf.math.top_k(tf.nn.softmax(logits), min(self.top_k, logits.shape[-1]))
        there = (batch["prediction_positions"] > 0)[:, :, None]  # [CLS] is never a mask
        return {"word_ids": tf.where(there, ids, -1), "scores": tf.where(there, scores, 0.0)}

    def predictions(
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[MaskedExample]
    ) -> list[dict[str, Any]]:
        """{"filled": the text with the best words, "masks": [[{"word", "score"}, ...], ...]}.

        Masks that were cut off stay in the text and have no words. Where the words are known,
        "text" and "gold" come first.
        """
        answers = []
        for row, example in enumerate(examples):
            masks = [
                [
                    {"word": self.words[word], "score": float(str(score))}
                    for word, score in zip(*one, strict=True)
                ]
                for one in zip(decoded["word_ids"][row], decoded["scores"][row], strict=True)
                if one[0][0] >= 0
            ]
            filled = _filled(example.text, [mask[0]["word"] for mask in masks])
            known = {} if example.words is None else {"text": example.text, "gold": example.words}
            answers.append({**known, "filled": filled, "masks": masks})
        return answers

    def score(
        self, predictions: Sequence[Mapping[str, Any]], examples: Sequence[MaskedExample]
    ) -> dict[str, Any]:
        """The share of masks whose word comes first, and is among the top k; cut masks count."""
        first = among = masks = 0
        lowercase = self.words and not any(word != word.lower() for word in self.words[200:])
        for prediction, example in zip(predictions, examples, strict=True):
            for place, word in enumerate(example.words or ()):
                masks += 1
                found = prediction["masks"][place] if place < len(prediction["masks"]) else []
                words = [one["word"] for one in found]
                word = word.lower() if lowercase else word
                first += words[:1] == [word]
                among += word in words
        return {
            "num_examples": len(examples),
            "num_masks": masks,
            "accuracy": first / masks,
            "top_k_accuracy": among / masks,
            "top_k": self.top_k,
        }

    def report(self, metrics: Mapping[str, Any]) -> str:
        return (
            f"accuracy: {metrics['accuracy']:.4f}\naccuracy of the best {metrics['top_k']}: "
            f"{metrics['top_k_accuracy']:.4f}\nmasks: {metrics['num_masks']:,}"
        )

    def signature(self) -> dict[str, dict[str, Any]]:
        return {"serving_default": {"inputs": ["text"]}}

    def serving_features(
        self, texts: Mapping[str, tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        from keras_bert_suite.tasks.graph.mask_features import mask_rows

        return mask_rows(texts["text"], tokenizer, max_length=max_length)

    def served(
        self,
        decoded: Mapping[str, tf.Tensor],
        batch: Mapping[str, tf.Tensor],
        texts: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """[B, masks, k]: string "word" ("" where a text has no more masks), float32 "score"."""
        import tensorflow as tf

        del batch, texts
        words = tf.constant([*self.words, ""])
        ids = decoded["word_ids"]
        return {
            "word": tf.gather(words, tf.where(ids < 0, len(self.words), ids)),
            "score": decoded["scores"],
        }


def _filled(text: str, words: Sequence[str]) -> str:
    """The text with the first masks replaced by words; a piece that continues one joins it."""
    parts, masks = _MASK.split(text), _MASK.findall(text)
    best = [word.removeprefix("##") for word in words]
    shown = [*best, *masks[len(best) :]]
    return parts[0] + "".join(word + part for word, part in zip(shown, parts[1:], strict=True))
