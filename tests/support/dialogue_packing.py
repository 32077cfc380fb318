"""Measures packing on the dialogue lines of the ELTeC novels, each a document of its own.

Run it: KBS_DATA=... python tests/support/dialogue_packing.py
"""

from __future__ import annotations

import functools
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import tensorflow as tf

_QUOTES = tuple("\"'\u201c\u2018\u00ab")
SEQUENCE_LENGTH, ROWS = 128, 16


def make_records(data: Path, directory: Path, *, pattern: str = "*.txt"):
    """Writes records of every paragraph that begins with a quotation mark; gives the tokenizer."""
    from keras_bert_suite.data.record_making import make_records
    from keras_bert_suite.text.tokenizer import Tokenizer

    lines = [
        line
        for path in sorted((data / "text_eltec_eng").glob(pattern))
        for line in path.read_text("utf-8").splitlines()
        if line.startswith(_QUOTES)
    ]
    text = directory / "dialogue.txt"
    text.write_text("\n\n".join(lines) + "\n", "utf-8")
    vocabulary = (data / "vocab" / "bert-base-uncased-vocab.txt").read_text("utf-8").split("\n")
    make_tokenizer = functools.partial(Tokenizer, [token for token in vocabulary if token])
    make_records(str(text), make_tokenizer=make_tokenizer, output_dir=directory / "records")
    return make_tokenizer()


def source_of(directory: Path, tokenizer, *, rows: int = ROWS, **options):
    from keras_bert_suite.data.pretraining import PretrainingSource

    return PretrainingSource(
        str(directory / "records" / "train-*"),
        tokenizer=tokenizer,
        sequence_length=SEQUENCE_LENGTH,
        global_batch_size=rows,
        seed=0,
        objectives=("mlm",),
        short_sequence_fraction=0.0,
        **options,
    )


class _Run:
    """Training steps of one kind of rows, timed one by one."""

    def __init__(self, source, config, *, every_position: bool):
        import keras

        from keras_bert_suite.layers import token_layout
        from keras_bert_suite.models.bert_model import BertModel
        from keras_bert_suite.models.encoder import Encoder
        from keras_bert_suite.models.heads.masked_lm import MaskedLMHead

        model = BertModel(Encoder(config), [MaskedLMHead.for_encoder(config)])
        model.compile(keras.optimizers.AdamW(1e-4))
        model.optimizer.build(model.trainable_variables)
        self._step = tf.function(model.train_step, reduce_retracing=True, autograph=False)
        self._batches = iter(source.batches(0))
        static = mock.patch.object(token_layout, "shapes_must_be_static", lambda: every_position)
        with static:  # asked while the step is traced
            for _ in range(3):
                self.tokens_per_second()

    def tokens_per_second(self) -> float:
        """Real tokens a second of one step, the making of the batch left out."""
        batch = next(self._batches)
        tokens = int(tf.reduce_sum(batch["padding_mask"]))
        started = time.perf_counter()
        self._step(batch)
        return tokens / (time.perf_counter() - started)


def measure_speed(directory: Path, tokenizer, *, rounds: int) -> dict[str, float]:
    """Median over rounds of packed tokens/s over those of the other two, taken in turn."""
    from keras_bert_suite.config import EncoderConfig

    config = EncoderConfig.from_name("mini", vocab_size=tokenizer.vocab_size)
    examples = round(source_of(directory, tokenizer, packing=True).real_token_shares()[1] * ROWS)
    runs = {
        "packed": _Run(source_of(directory, tokenizer, packing=True), config, every_position=False),
        # as many slots as packed, one example a row, every slot computed
        "padded": _Run(
            source_of(directory, tokenizer, static_shapes=True), config, every_position=True
        ),
        # as many tokens as packed, one example a row, real tokens computed
        "unpadded": _Run(
            source_of(directory, tokenizer, rows=examples), config, every_position=False
        ),
    }
    ratios: dict[str, list[float]] = {"padded": [], "unpadded": []}
    for _ in range(rounds):
        speeds = {name: run.tokens_per_second() for name, run in runs.items()}
        for name, found in ratios.items():
            found.append(speeds["packed"] / speeds[name])
    return {name: statistics.median(found) for name, found in ratios.items()}


def measure_source(directory: Path, tokenizer, *, batches: int) -> dict[str, float]:
    """Examples a second that the source makes, packed and not."""
    found = {}
    for name, packing in (("packed", True), ("unpacked", False)):
        source = source_of(directory, tokenizer, rows=256 if packing else 1024, packing=packing)
        iterator, count = iter(source.batches(0)), 0
        next(iterator)
        started = time.perf_counter()
        for _ in range(batches):
            batch = next(iterator)
            ids = batch["row_ids"] if packing else batch["padding_mask"]
            count += int(tf.reduce_sum(tf.reduce_max(ids, 1)))
        found[name] = count / (time.perf_counter() - started)
    return found


def main() -> None:
    import os

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        tokenizer = make_records(Path(os.environ["KBS_DATA"]), directory)
        for packing in (True, False):
            share, examples = source_of(directory, tokenizer, packing=packing).real_token_shares()
            print(f"packing={packing}: {share:.2%} real tokens, {examples:.2f} examples a row")
        print("examples/s of the source:", measure_source(directory, tokenizer, batches=20))
        rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
        print(
            "useful tokens/s, packed over ...:", measure_speed(directory, tokenizer, rounds=rounds)
        )


if __name__ == "__main__":
    main()
