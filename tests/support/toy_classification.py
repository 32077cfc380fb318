"""A task that a fresh tiny encoder learns in seconds: one word of the text tells the label."""

from __future__ import annotations

import csv
import json
import random

WORDS = {
    "animal": ["cat", "dog", "cow", "hen"],
    "food": ["bread", "soup", "rice", "cake"],
    "tool": ["saw", "axe", "drill", "file"],
}
FILLERS = ["the", "a", "one", "some", "of", "with", "and", "on", "old", "new", "red", "small"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *FILLERS, *sum(WORDS.values(), [])]


def texts(count, *, seed=0, longest=12):
    """Returns [(text, label)]: 2 to `longest` words, of which one is of the label's."""
    rng = random.Random(seed)
    found = []
    for index in range(count):
        label = sorted(WORDS)[index % len(WORDS)]
        words = rng.choices(FILLERS, k=rng.randrange(1, longest))
        words.insert(rng.randrange(len(words) + 1), rng.choice(WORDS[label]))
        found.append((" ".join(words), label))
    return found


def pairs(count, *, seed=0):
    """Returns [(text_a, text_b, label)]: "same" where both have words of one label."""
    rng = random.Random(seed)
    seconds = texts(count, seed=seed + 1, longest=4)
    rng.shuffle(seconds)
    return [
        (a, b, "same" if label_a == label_b else "other")
        for (a, label_a), (b, label_b) in zip(
            texts(count, seed=seed, longest=4), seconds, strict=True
        )
    ]


def write_rows(path, header, rows):
    """Writes a CSV, TSV or JSON-lines file, as the ending tells; returns the path."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            csv.writer(file).writerows([header, *rows])
        elif path.suffix == ".tsv":
            file.writelines("\t".join(row) + "\n" for row in [header, *rows])
        else:
            file.writelines(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows)
    return path


def tokenizer():
    from keras_bert_suite.text.tokenizer import Tokenizer

    return Tokenizer(VOCABULARY)


def encoder_config():
    from keras_bert_suite.config import EncoderConfig

    return EncoderConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        intermediate_size=64,
        max_positions=32,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        initializer_range=0.1,
    )


def write_model_directory(path):
    """Writes a fresh encoder with its tokenizer; returns the path."""
    import keras

    from keras_bert_suite.checkpoints.model_directory import save_model
    from keras_bert_suite.models.encoder import Encoder

    keras.utils.set_random_seed(7)
    save_model(Encoder(encoder_config()), path, tokenizer=tokenizer())
    return path
