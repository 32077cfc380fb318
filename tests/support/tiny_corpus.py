"""Token records of a made-up language, and the flags of a small pre-training run over them."""

from __future__ import annotations

import json
import random
from pathlib import Path

TOPICS, WORDS_OF_A_TOPIC = 6, 10
WORDS = [f"w{index}" for index in range(TOPICS * WORDS_OF_A_TOPIC)]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}


def make_tokenizer():
    from keras_bert_suite.text.tokenizer import Tokenizer

    return Tokenizer(VOCABULARY)


def make_corpus(directory: Path) -> None:
    """Writes records/, vocabulary/ and encoder.json. Every document keeps to the words of its
    topic, so that the context tells much about a masked word, and about the next sentence."""
    from keras_bert_suite.data.record_making import make_records

    generator = random.Random(0)
    documents = []
    for _ in range(60):
        first = generator.randrange(TOPICS) * WORDS_OF_A_TOPIC
        topic = WORDS[first : first + WORDS_OF_A_TOPIC]
        lengths = [generator.randrange(3, 9) for _ in range(generator.randrange(4, 12))]
        documents.append("\n".join(" ".join(generator.choices(topic, k=n)) for n in lengths))
    (directory / "text.txt").write_text("\n\n".join(documents) + "\n")
    make_tokenizer().save(directory / "vocabulary")
    make_records(
        str(directory / "text.txt"),
        make_tokenizer=make_tokenizer,
        output_dir=directory / "records",
        num_shards=2,
        sentences="lines",
        eval_fraction=0.15,
    )
    (directory / "encoder.json").write_text(json.dumps(ENCODER))


def settings_of(directory: Path, **changes) -> dict:
    """The settings of a run of seconds; see PretrainingSettings."""
    return {
        "train_data": str(directory / "records" / "train-*"),
        "eval_data": str(directory / "records" / "eval-*"),
        "tokenizer": str(directory / "vocabulary"),
        "encoder": str(directory / "encoder.json"),
        "sequence_length": 32,
        "global_batch_size": 8,
        "num_steps": 40,
        "learning_rate": 5e-3,
        "log_every": 10,
        "checkpoint_every": 5,
        "output_dir": str(directory / "out"),
        **changes,
    }


def flags_of(settings: dict) -> list[str]:
    return [f"--{name}={value}" for name, value in settings.items()]
