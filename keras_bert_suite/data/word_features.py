"""Token ids, targets and places of words: what tasks that label words share."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.bucketing import RaggedFeatures
from keras_bert_suite.data.word_rows import WordRows, word_rows
from keras_bert_suite.text.plain_words import plain_words
from keras_bert_suite.text.tokenizer import Tokenizer

_SENTENCES_PER_CALL = 2048


def word_features(
    texts: Sequence[str],
    words: Sequence[Sequence[str] | None],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    tags: Sequence[Sequence[int]] | None = None,
    tags_of_later_pieces: Sequence[int] = (),
) -> RaggedFeatures:
    """Tokenizes sentences as the served model does: the same functions, in big batches.

    Args:
      texts: the sentences.
      words: the words of each, which stand in its text with one character between each two; None
        for a text whose words are to be found (`plain_words`).
      tokenizer: the model's.
      max_length: tokens of the longest row; a longer sentence is several rows (`word_rows`).
      tags: of each word, an id, or -1 for a word that does not count; None without targets.
      tags_of_later_pieces: id of a word's tag -> id for its second and later pieces.

    Returns:
      RaggedFeatures with "token_ids"; "word_starts" and "word_ends", the characters of the word
      that begins at a token (-1 for a start where none does, or counts in another row); and with
      tags "tag_ids" and "tag_weights".
    """
    make_rows = _row_maker(tokenizer, max_length)
    parts: list[dict[str, np.ndarray]] = []
    for begin in range(0, len(texts), _SENTENCES_PER_CALL):
        chunk = slice(begin, begin + _SENTENCES_PER_CALL)
        located = _located(texts[chunk], words[chunk])
        rows = make_rows(tf.RaggedTensor.from_row_lengths(*located.strings()))
        part = _places(rows, located) | {"token_ids": rows.token_ids.flat_values.numpy()}
        part["lengths"] = rows.token_ids.row_lengths().numpy().astype(np.int32)
        part["example_index"] = rows.sentences.numpy() + begin
        if tags is not None:
            flat = np.fromiter(itertools.chain.from_iterable(tags[chunk]), np.int32)
            part |= _targets(rows, flat, np.asarray(tags_of_later_pieces, np.int32))
        parts.append(part)
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return RaggedFeatures(
        lengths=arrays.pop("lengths"),
        example_index=arrays.pop("example_index"),
        tokens=arrays,
        pad_values={"token_ids": tokenizer.pad_id, "word_starts": -1},
    )


def batch_of_texts(
    texts: tf.Tensor, tokenizer: Tokenizer, *, max_length: int
) -> dict[str, tf.Tensor]:
    """The batch for running texts, in the graph: for serving.

    Args:
      texts: string [batch], any bytes.
      tokenizer: the model's.
      max_length: tokens of the longest row.

    Returns:
      token_ids, segment_ids, padding_mask: int32 [rows, longest row], more rows than texts where a
      text is long, with "example_index" int32 [rows]; "words" string, "starts", "ends" int32:
      [batch, most words], and "num_words" int32 [batch]; "word_slots" int32 [rows, longest row],
      where in the flat words the word stands that begins at the token, or one beyond the last.
    """
    words, starts, ends = plain_words(texts)
    rows = word_rows(words, tokenizer, max_length=max_length)
    padded = words.to_tensor(default_value="")
    # The number of a word through all texts -> its slot in the padded words.
    text = tf.cast(words.value_rowids(), tf.int32)
    column = tf.range(tf.size(text)) - tf.cast(tf.gather(words.row_starts(), text), tf.int32)
    slot = tf.concat([text * tf.shape(padded)[1] + column, [tf.size(padded)]], 0)
    number = tf.where(rows.is_first.flat_values, rows.words.flat_values, tf.size(text))
    slots = rows.words.with_flat_values(tf.gather(slot, number))
    token_ids = rows.token_ids.to_tensor(default_value=tokenizer.pad_id)
    mask = tf.sequence_mask(rows.token_ids.row_lengths(), tf.shape(token_ids)[1], dtype=tf.int32)
    return {
        "token_ids": token_ids,
        "segment_ids": tf.zeros_like(token_ids),
        "padding_mask": mask,
        "words": padded,
        "example_index": rows.sentences,
        "starts": starts.to_tensor(),
        "ends": ends.to_tensor(),
        "num_words": tf.cast(words.row_lengths(), tf.int32),
        "word_slots": slots.to_tensor(default_value=tf.size(padded)),
    }


def answers_of_texts(
    answers: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor], *, labels: Sequence[str]
) -> dict[str, tf.Tensor]:
    """Brings the answers at tokens to the words of the texts, in the graph.

    Args:
      answers: "tag_ids" int32 and "tag_scores" float32 [rows, length].
      batch: of `batch_of_texts`.
      labels: names of the tags.

    Returns:
      "words", "tags" string, "starts", "ends" int32, "tag_scores" float32: [batch, most words];
      "num_words" int32 [batch]. Behind a text's words: "" and 0.
    """
    shape = tf.shape(batch["words"])
    real = tf.sequence_mask(batch["num_words"], shape[1])
    # Rows that the model call had to widen have no words there.
    columns = tf.shape(batch["word_slots"])[1]
    slots = tf.reshape(batch["word_slots"], [-1, 1])

    def of_words(key: str) -> tf.Tensor:
        values = tf.reshape(answers[key][:, :columns], [-1])
        # One slot more takes the tokens where no word begins.
        placed = tf.tensor_scatter_nd_update(
            tf.zeros([tf.reduce_prod(shape) + 1], values.dtype), slots, values
        )
        return tf.reshape(placed[:-1], shape)

    return {
        "words": batch["words"],
        "tags": tf.where(real, tf.gather(tf.constant(list(labels)), of_words("tag_ids")), ""),
        "tag_scores": of_words("tag_scores"),
        "starts": batch["starts"],
        "ends": batch["ends"],
        "num_words": batch["num_words"],
    }


class _Located:
    """The words of some sentences in one line, with the characters of each in its sentence."""

    def __init__(self, words: list[str | bytes], lengths, starts, ends):
        self.words = words
        self.lengths = np.asarray(lengths, np.int64)
        self.starts = np.asarray(starts, np.int32)
        self.ends = np.asarray(ends, np.int32)

    def strings(self) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.constant(self.words, tf.string), tf.constant(self.lengths, tf.int64)


def _located(texts: Sequence[str], words: Sequence[Sequence[str] | None]) -> _Located:
    bare = [place for place, known in enumerate(words) if known is None]
    split = {}
    if bare:
        parts = _compiled_plain_words(tf.constant([texts[place] for place in bare]))
        lists = zip(*(part.to_list() for part in parts), strict=True)
        split = dict(zip(bare, lists, strict=True))
    flat: list[str | bytes] = []
    lengths, starts, ends = [], [], []
    for place, known in enumerate(words):
        if known is None:
            known, begins, stops = split[place]
        else:
            stops = list(itertools.accumulate(len(word) + 1 for word in known))
            begins = [0, *stops[:-1]]
            stops = [stop - 1 for stop in stops]
        flat += known
        lengths.append(len(known))
        starts += begins
        ends += stops
    return _Located(flat, lengths, starts, ends)


def _places(rows: WordRows, located: _Located) -> dict[str, np.ndarray]:
    words, is_first = rows.words.flat_values.numpy(), rows.is_first.flat_values.numpy()
    starts = np.full(words.shape, -1, np.int32)
    ends = np.zeros(words.shape, np.int32)
    starts[is_first] = located.starts[words[is_first]]
    ends[is_first] = located.ends[words[is_first]]
    return {"word_starts": starts, "word_ends": ends}


def _targets(rows: WordRows, tags: np.ndarray, later: np.ndarray) -> dict[str, np.ndarray]:
    words, is_first = rows.words.flat_values.numpy(), rows.is_first.flat_values.numpy()
    found = np.append(tags, -1)[words]  # a token without a word that counts has word -1
    weights = (found >= 0).astype(np.int32)
    found = np.maximum(found, 0)
    return {"tag_ids": np.where(is_first, found, later[found]), "tag_weights": weights}


@functools.lru_cache(maxsize=4)
def _row_maker(tokenizer: Tokenizer, max_length: int):
    """A compiled `word_rows`."""
    spec = tf.RaggedTensorSpec([None, None], tf.string, row_splits_dtype=tf.int64)
    return tf.function(
        lambda words: word_rows(words, tokenizer, max_length=max_length),
        input_signature=[spec],
        autograph=False,
    )


@functools.cache
def _compiled_plain_words_function():
    return tf.function(
        plain_words, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
    )


def _compiled_plain_words(texts: tf.Tensor):
    return _compiled_plain_words_function()(texts)
