"""Learning a WordPiece vocabulary from text."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from keras_bert_suite.text.tokenizer_files import VOCABULARY_FILE
from keras_bert_suite.text.vocabulary import CONTINUATION_MARK, SPECIAL_TOKENS

# Different raw words held before they are folded into words; bounds the memory.
_MAX_RAW_WORDS = 1_000_000
_FEED_CHARACTERS = 1 << 16
_SAMPLE_CHARACTERS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class VocabularyReport:
    """What `make_vocabulary` did.

    Attributes:
      num_texts: texts read.
      num_entries: entries of the vocabulary.
      unknown_share: share of [UNK] among the pieces of a sample of the texts, in [0, 1].
    """

    num_texts: int
    num_entries: int
    unknown_share: float


def make_vocabulary(
    texts: Iterable[str],
    *,
    output_dir: str | os.PathLike,
    vocab_size: int = 30522,
    lowercase: bool = True,
    min_frequency: int = 2,
    limit_alphabet: int = 1000,
    overwrite: bool = False,
) -> VocabularyReport:
    """Trains a vocabulary and writes the tokenizer's files.

    Args:
      texts: read once, in a stream.
      output_dir: gets vocab.txt, tokenizer_config.json and special_tokens_map.json.
      vocab_size, lowercase, min_frequency, limit_alphabet: see `train_vocabulary`.
      overwrite: replace a vocabulary that is there.

    Raises:
      ValueError: as `train_vocabulary`, or a vocabulary is there already.
      OSError: the files could not be written.
    """
    vocabulary_path = Path(output_dir) / VOCABULARY_FILE
    if vocabulary_path.exists() and not overwrite:
        raise ValueError(
            f"{vocabulary_path} is there already, and a model trained with it would not fit "
            "another one. Choose a new output_dir, or replace it with --overwrite."
        )
    sample = _Sample()
    vocabulary = train_vocabulary(
        sample.watch(texts),
        vocab_size=vocab_size,
        lowercase=lowercase,
        min_frequency=min_frequency,
        limit_alphabet=limit_alphabet,
    )
    # Late: TensorFlow takes seconds to import, and a wrong option is to be refused at once.
    from keras_bert_suite.text.wordpiece_tokenizer import WordPieceTokenizer

    tokenizer = WordPieceTokenizer(vocabulary, lowercase=lowercase)
    tokenizer.save(output_dir)
    ids = tokenizer.ragged_ids(sample.texts).flat_values.numpy()
    return VocabularyReport(
        num_texts=sample.num_seen,
        num_entries=len(vocabulary),
        unknown_share=float((ids == tokenizer.unk_id).mean()),
    )


def train_vocabulary(
    texts: Iterable[str],
    *,
    vocab_size: int = 30522,
    lowercase: bool = True,
    min_frequency: int = 2,
    limit_alphabet: int = 1000,
) -> list[str]:
    """Learns a WordPiece vocabulary: the special tokens, the characters, then the merged pieces.

    The same texts give the same vocabulary, in any order and on any machine. Memory grows with the
    number of different words.

    Args:
      texts: read once, in a stream.
      vocab_size: most entries; fewer come out when the texts hold no more repeated pieces.
      lowercase: whether text is lower-cased and loses its accents, as the tokenizer will.
      min_frequency: how often two pieces must stand side by side to be merged.
      limit_alphabet: characters kept, the most frequent; words with others become [UNK].

    Returns:
      Entries in the order of their ids; [PAD] [UNK] [CLS] [SEP] [MASK] first.

    Raises:
      ValueError: no words in the texts, `vocab_size` too small for the characters, or an option
        below 1.

    Source: the WordPieceTrainer of the `tokenizers` library, that is, byte-pair merges (Sennrich et
    al. 2016, arXiv:1508.07909) over words split as BERT does.
    """
    options = {
        "vocab_size": vocab_size,
        "min_frequency": min_frequency,
        "limit_alphabet": limit_alphabet,
    }
    for name, value in options.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1. Got: {value}")
    words = _count_words(texts, lowercase=lowercase)
    if not words:
        raise ValueError("The texts hold no words to learn a vocabulary from.")
    alphabet, continued = _alphabet(words, limit_alphabet)
    fixed = [*SPECIAL_TOKENS, *alphabet, *continued]
    if len(fixed) > vocab_size:
        raise ValueError(
            f"vocab_size must hold the special tokens ({len(SPECIAL_TOKENS)}) and the characters "
            f"of the texts ({len(alphabet)} at the start of words, {len(continued)} inside them). "
            f"Got: {vocab_size}. Raise it to at least {len(fixed)}, or keep fewer characters with "
            f"limit_alphabet (now {limit_alphabet})."
        )
    return _merge(
        words,
        fixed=fixed,
        alphabet=alphabet,
        vocab_size=vocab_size,
        min_frequency=min_frequency,
    )


class _Sample:
    """Keeps texts from all over a stream, at even distances, no more than a million characters."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.num_seen = 0
        self._stride = 1
        self._size = 0

    def watch(self, texts: Iterable[str]) -> Iterator[str]:
        for text in texts:
            if self.num_seen % self._stride == 0:
                self._keep(text)
            self.num_seen += 1
            yield text

    def _keep(self, text: str) -> None:
        self.texts.append(text)
        self._size += len(text)
        while self._size > _SAMPLE_CHARACTERS and len(self.texts) > 1:
            self.texts = self.texts[::2]
            self._size = sum(map(len, self.texts))
            self._stride *= 2


def _count_words(texts: Iterable[str], *, lowercase: bool) -> Counter[str]:
    """How often each word, normalised and split from punctuation, stands in the texts."""
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    normalizer = BertNormalizer(lowercase=lowercase)
    splitter = BertPreTokenizer()
    words: Counter[str] = Counter()
    raw: Counter[str] = Counter()

    def fold() -> None:
        # Normalisation and splitting never look beyond white space: each raw word needs them once.
        for word, count in raw.items():
            for part, _ in splitter.pre_tokenize_str(normalizer.normalize_str(word)):
                words[part] += count
        raw.clear()

    for text in texts:
        raw.update(text.split())
        if len(raw) > _MAX_RAW_WORDS:
            fold()
    fold()
    return words


def _alphabet(words: Mapping[str, int], limit: int) -> tuple[list[str], list[str]]:
    """Characters kept, sorted; and, with the mark, those that stand inside words."""
    counts: Counter[str] = Counter()
    inside: set[str] = set()
    for word, count in words.items():
        for character in word:
            counts[character] += count
        inside.update(word[1:])
    ordered = sorted(counts, key=lambda character: (-counts[character], character))
    kept = sorted(ordered[:limit])
    return kept, [CONTINUATION_MARK + character for character in kept if character in inside]


def _merge(
    words: Mapping[str, int],
    *,
    fixed: list[str],
    alphabet: list[str],
    vocab_size: int,
    min_frequency: int,
) -> list[str]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        limit_alphabet=len(alphabet),
        initial_alphabet=alphabet,
        # Ties between merges fall by id, and the library numbers characters in the order of a
        # hash table that differs from run to run. Named here, they have their ids beforehand.
        special_tokens=fixed,
        continuing_subword_prefix=CONTINUATION_MARK,
        show_progress=False,
    )
    # No normaliser: the words are final.
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.train_from_iterator(_repeated(words), trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.__getitem__)


def _repeated(words: Mapping[str, int]) -> Iterator[str]:
    """Texts in which each word stands as often as it was counted."""
    text: list[str] = []
    size = 0
    for word, count in sorted(words.items()):
        while count:
            repeats = min(count, _FEED_CHARACTERS // (len(word) + 1) + 1)
            text.append(f"{word} " * repeats)
            size += repeats * (len(word) + 1)
            count -= repeats
            if size >= _FEED_CHARACTERS:
                yield "".join(text)
                text, size = [], 0
    yield "".join(text)
