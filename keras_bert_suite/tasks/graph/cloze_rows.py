"""Rows of cloze prompts: texts in the slots of a pattern, inside the graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from keras_bert_suite.tasks.cloze_pattern import Segment, Slot
from keras_bert_suite.text import packing
from keras_bert_suite.text.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class ClozeRows:
    """Makes rows `[CLS] segment [SEP]` or `[CLS] segment [SEP] segment [SEP]`.

    Attributes:
      segments: of `cloze_pattern.segments_of`.
    """

    segments: tuple[Segment, ...]

    def __call__(
        self, texts: Sequence[tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        """The rows of a batch; what is too long is cut from the texts, never from the pattern.

        Args:
          texts: string [batch] for each slot, any bytes.
          tokenizer: the one that the segments were made by.
          max_length: tokens of the longest row.

        Returns:
          `Tokenizer.pack`'s batch, and bool [batch] "cut".

        Raises:
          ValueError: `max_length` leaves no room for a piece of each text.
        """
        slots = [part for segment in self.segments for part in segment if isinstance(part, Slot)]
        spaced = {slot.text: slot.spaced for slot in slots}
        whole = [
            tokenizer.ragged_ids(_after_space(text) if spaced[place] else text)
            for place, text in enumerate(texts)
        ]
        budget = max_length - self._fixed(tokenizer)
        if budget < len(texts):
            raise ValueError(
                f"The pattern itself takes {self._fixed(tokenizer)} tokens, and each text needs "
                f"one more: raise --sequence_length or shorten it. Received: {max_length} tokens."
            )
        kept = packing.truncate(*whole, *[None] * (2 - len(whole)), budget=budget)
        count = tf.shape(texts[0])[0]
        rows = [_joined(segment, kept, count) for segment in self.segments]
        lengths = tf.add_n([ids.row_lengths() for ids in whole])
        return {**tokenizer.pack(*rows), "cut": lengths > budget}

    def _fixed(self, tokenizer: Tokenizer) -> int:
        words = sum(
            len(part) for segment in self.segments for part in segment if not isinstance(part, Slot)
        )
        return words + tokenizer.num_special_tokens(pair=len(self.segments) == 2)


def _after_space(texts: tf.Tensor) -> tf.Tensor:
    """The texts with a space before them; an empty one stays empty."""
    return tf.where(texts == "", texts, tf.strings.join([" ", texts]))


def _joined(
    segment: Segment, texts: Sequence[tf.RaggedTensor | None], count: tf.Tensor
) -> tf.RaggedTensor:
    """int32 [batch, (pieces)]: a segment with the texts in its slots."""
    parts = [tf.RaggedTensor.from_tensor(tf.zeros([count, 0], tf.int32))]
    for part in segment:
        if isinstance(part, Slot):
            parts.append(texts[part.text])
        else:
            parts.append(tf.tile(tf.constant([part], tf.int32), [count, 1]))
    return tf.concat(parts, axis=1)
