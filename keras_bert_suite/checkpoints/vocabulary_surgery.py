"""Models with more words, or with another vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import numpy as np

from keras_bert_suite.checkpoints.surgery import rebuild, weight_value
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.text.tokenizer import Tokenizer
from keras_bert_suite.text.vocabulary import CONTINUATION_MARK
from keras_bert_suite.text.wordpiece_tokenizer import WordPieceTokenizer

ROW_METHODS = ("pieces", "mean")


def add_words(
    model: BertModel,
    tokenizer: Tokenizer,
    words: Mapping[str, Sequence[str]],
    *,
    new_rows: str = "pieces",
) -> tuple[BertModel, Tokenizer]:
    """Returns the model and the tokenizer with words that they know as a whole.

    The tokenizer takes the longest entry that fits, so it finds an added word wherever a word of a
    text begins with it; texts without such words keep their ids and their answers. Rows that only
    padded the table give way to the words.

    Args:
      model, tokenizer: with the same ids.
      words: word -> the words of the old vocabulary, or spelt in it, whose mean its row begins
        with; none for `new_rows`.
      new_rows: "pieces" (the mean of the pieces that the word was made of so far, of all rows if
        there are none) or "mean" (of all rows).

    Raises:
      ValueError: no words, one that is empty, there already or no single word to the tokenizer, a
        source that the old vocabulary cannot spell, another method, or a tokenizer that is not
        WordPiece.
    """
    if not words:
        raise ValueError("There must be at least one word to add. Received: none")
    known = set(tokenizer.vocabulary)
    for word in words:
        _check_new(word, known)
    grown = _with_vocabulary(tokenizer, [*tokenizer.vocabulary, *words])
    for word, found in zip(words, grown.tokenize(list(words)), strict=True):
        if found.tokens != [word]:
            _refuse(word, found.tokens, tokenizer)
    sources = [[index] for index in range(tokenizer.vocab_size)]
    rows = _RowSources(tokenizer, new_rows)
    sources += [
        rows.of_words(word, given) if given else rows.of(word) for word, given in words.items()
    ]
    return _with_rows(model, sources, pad_id=tokenizer.pad_id, used=tokenizer.vocab_size), grown


def swap_vocabulary(
    model: BertModel,
    tokenizer: Tokenizer,
    vocabulary: Sequence[str],
    *,
    new_rows: str = "pieces",
) -> tuple[BertModel, Tokenizer]:
    """Returns the model and the tokenizer with another vocabulary.

    Entries of both keep their rows, whatever their ids; the others begin as `new_rows` says.

    Args:
      model, tokenizer: with the same ids. The casing stays.
      vocabulary: entries in the order of their new ids; has the special tokens.
      new_rows: see `add_words`.

    Raises:
      ValueError: a vocabulary that is none, another method, or a tokenizer that is not WordPiece.
    """
    swapped = _with_vocabulary(tokenizer, vocabulary)
    rows = _RowSources(tokenizer, new_rows)
    sources = [rows.of(entry) for entry in swapped.vocabulary]
    return _with_rows(model, sources, pad_id=swapped.pad_id, used=tokenizer.vocab_size), swapped


class _RowSources:
    """Which old rows a new row is the mean of."""

    def __init__(self, tokenizer: Tokenizer, method: str):
        if method not in ROW_METHODS:
            raise ValueError(
                f"New rows are made by one of {', '.join(ROW_METHODS)}. Received: {method!r}"
            )
        self._ids = {token: index for index, token in enumerate(tokenizer.vocabulary)}
        self._by_pieces = method == "pieces"
        self._all = list(range(tokenizer.vocab_size))

    def of(self, entry: str) -> list[int]:
        """Its own row, or those of its pieces, or all."""
        if entry in self._ids:
            return [self._ids[entry]]
        return (self._pieces(entry) if self._by_pieces else None) or self._all

    def of_words(self, word: str, given: Sequence[str]) -> list[int]:
        """The rows of the given words, in pieces where need be."""
        ids = []
        for source in given:
            pieces = self._pieces(source)
            if not pieces:
                raise ValueError(
                    f"The row of the new word {word!r} must come from words that the vocabulary "
                    f"can spell. Received: {source!r}"
                )
            ids += pieces
        return ids

    def _pieces(self, entry: str) -> list[int]:
        """Longest match first, as the tokenizer does; empty where there is none."""
        ids: list[int] = []
        mark = CONTINUATION_MARK if entry.startswith(CONTINUATION_MARK) else ""
        rest = entry.removeprefix(mark)
        while rest:
            ends = range(len(rest), 0, -1)
            end = next((end for end in ends if mark + rest[:end] in self._ids), 0)
            if not end:
                return []
            ids.append(self._ids[mark + rest[:end]])
            rest, mark = rest[end:], CONTINUATION_MARK
        return ids


def _with_rows(
    model: BertModel, sources: Sequence[Sequence[int]], *, pad_id: int, used: int
) -> BertModel:
    """The model whose row i is the mean of the old rows `sources[i]`.

    Where the number of words stays, rows behind the `used` ones, which pad the table, stay too.
    """
    tables = [model.encoder.embeddings.token_embeddings.embeddings]
    tables += [head.bias for head in model.heads.values() if hasattr(head, "vocab_size")]
    changed = []
    for variable in tables:
        old = weight_value(variable)
        rows = _mean_rows(old[:used], sources)
        if len(sources) == used:
            rows = np.concatenate([rows, old[used:]])
        changed.append((variable, rows))
    config = model.encoder.config.replace(vocab_size=len(changed[0][1]), pad_token_id=pad_id)
    return rebuild(model, config, changed=changed)


def _mean_rows(old: np.ndarray, sources: Sequence[Sequence[int]]) -> np.ndarray:
    """[len(sources), ...] in the dtype of `old`; a single source is copied to the bit."""
    mean_of_all = old.astype(np.float32).mean(0)
    new = old[[ids[0] for ids in sources]]
    for index, ids in enumerate(sources):
        if len(ids) == len(old) > 1:
            new[index] = mean_of_all
        elif len(ids) > 1:
            new[index] = old[list(ids)].astype(np.float32).mean(0)
    return new


def _with_vocabulary(tokenizer: Tokenizer, vocabulary: Sequence[str]) -> Tokenizer:
    if not isinstance(tokenizer, WordPieceTokenizer):
        raise ValueError(
            "Only the vocabulary of WordPiece can be edited: other tokenizers find their pieces by "
            f"merges or by scores, which new words lack. Received: a {type(tokenizer).__name__}"
        )
    return WordPieceTokenizer(
        vocabulary,
        lowercase=tokenizer.lowercase,
        strip_accents=tokenizer.strip_accents,
        split_cjk=tokenizer.split_cjk,
    )


def _check_new(word: str, known: Set[str]) -> None:
    if not word:
        raise ValueError("A word to add must not be empty")
    if any(character.isspace() for character in word):
        raise ValueError(f"A word to add must have no white space in it. Received: {word!r}")
    if word in known:
        raise ValueError(f"A word to add must be new. The vocabulary has {word!r} already")


def _refuse(word: str, tokens: Sequence[str], tokenizer: Tokenizer) -> None:
    lower = word.lower()
    remedy = f". Write it {lower!r}" if tokenizer.lowercase and lower != word else ""
    raise ValueError(
        "A word to add must be one word to the tokenizer: without punctuation, and in lower case "
        f"without accents if the model is. Received: {word!r}, which is read as "
        f"{' '.join(tokens) or 'nothing'}{remedy}"
    )
