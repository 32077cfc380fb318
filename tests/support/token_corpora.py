"""A tiny vocabulary and token records for the tests of the data room."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# 40 words and 20 continuation pieces; ids 5..44 and 45..64.
WORDS = tuple(f"w{chr(97 + i // 10)}{chr(97 + i % 10)}" for i in range(40))
PIECES = tuple(f"##{chr(97 + i)}" for i in range(20))
VOCABULARY = (*SPECIALS, *WORDS, *PIECES, ".")
FIRST_WORD, FIRST_PIECE = 5, 45


def tiny_tokenizer():
    """A tokenizer of VOCABULARY; its special ids are 0 (pad), 1, 2 (cls), 3 (sep), 4 (mask)."""
    from keras_bert_suite.text.tokenizer import Tokenizer

    return Tokenizer(VOCABULARY)


def random_documents(
    count: int, *, seed: int = 0, sentences=(1, 12), tokens=(1, 20)
) -> list[tuple[int, list[list[int]]]]:
    """Documents as (document_id, sentences of ids); about one token in three continues a word."""
    rng = random.Random(seed)
    documents = []
    for identity in range(count):
        document = []
        for _ in range(rng.randint(*sentences)):
            ids = [rng.randrange(FIRST_WORD, FIRST_PIECE)]
            for _ in range(rng.randint(*tokens) - 1):
                is_word = rng.random() < 0.67
                low, high = (FIRST_WORD, FIRST_PIECE) if is_word else (FIRST_PIECE, 65)
                ids.append(rng.randrange(low, high))
            document.append(ids)
        documents.append((identity, document))
    return documents


def write_shards(
    directory: Path, documents: Sequence[tuple[int, list[list[int]]]], *, num_shards: int = 1
) -> str:
    """Writes documents to shards in turn; gives the glob of the files."""
    from keras_bert_suite.data import records

    writers = [
        records.ShardWriter(directory / records.shard_name("train", index, num_shards))
        for index in range(num_shards)
    ]
    for number, (identity, sentences) in enumerate(documents):
        record = records.encode_record(
            document_id=identity,
            token_ids=[token for sentence in sentences for token in sentence],
            sentence_lengths=[len(sentence) for sentence in sentences],
        )
        writers[number % num_shards].write(record)
    for writer in writers:
        writer.close()
    return str(directory / "train-*.tfrecord")
