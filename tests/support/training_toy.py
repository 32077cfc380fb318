"""A tiny BERT and a source of random batches, for the tests of the training loop."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.data.source import replica_batch_size
from keras_bert_suite.layers.dropout import Dropout
from keras_bert_suite.losses import sparse_cross_entropy
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.exact_model import ExactModel
from keras_bert_suite.training.optimizers import make_optimizer
from keras_bert_suite.training.precision import policy_name
from keras_bert_suite.training.pretraining_parts import HEADS

VOCABULARY, LENGTH, PREDICTIONS = 40, 12, 5


class RandomSource:
    """Rows of random tokens of random lengths; row r of a step has 1 + (r % 5) predictions, so that
    the replicas' halves hold unequal numbers of masked tokens.

    `poison` {step: factor} puts the factor by which Bag's loss is multiplied (NaN, or a large
    number) in one row of those steps.
    """

    def __init__(self, *, global_batch_size=8, seed=0, poison=None):
        self.global_batch_size = global_batch_size
        self.seed = seed
        self.poison = poison

    def state(self, step):
        return {"step": step, "seed": self.seed}

    def rows(self, step):
        generator = np.random.default_rng([self.seed, step])
        count = self.global_batch_size
        lengths = generator.integers(6, LENGTH + 1, [count, 1])
        real = np.arange(LENGTH) < lengths
        # Sorted rows of few words: something that a model can learn in a few steps.
        ids = np.sort(generator.integers(5, 12, [count, LENGTH]), 1) * real
        order = np.argsort(generator.random([count, LENGTH]) + ~real, 1)[:, :PREDICTIONS]
        weights = np.arange(PREDICTIONS) <= np.arange(count)[:, None] % PREDICTIONS
        poison = np.ones([count], np.float32)
        poison[-1] = (self.poison or {}).get(step, 1.0)
        return {
            **({} if self.poison is None else {"poison": poison}),
            "token_ids": ids.astype(np.int32),
            "segment_ids": (np.arange(LENGTH) >= lengths // 2).astype(np.int32) * real,
            "padding_mask": real.astype(np.int32),
            "prediction_positions": order.astype(np.int32),
            "prediction_ids": np.take_along_axis(ids, order, 1).astype(np.int32),
            "prediction_weights": weights.astype(np.float32),
            "next_sentence_labels": generator.integers(0, 2, [count]).astype(np.int32),
            "sentence_order_labels": generator.integers(0, 2, [count]).astype(np.int32),
            # Every prediction is a span of its own, with no target at either end of the row.
            "span_left_positions": np.maximum(order - 1, 0).astype(np.int32),
            "span_right_positions": np.minimum(order + 1, lengths - 1).astype(np.int32),
            "span_distances": np.ones_like(order, np.int32),
            "span_weights": (weights & (order > 0) & (order < lengths - 1)).astype(np.float32),
        }

    def batches(self, step, *, state=None, pipeline=0, num_pipelines=1, replicas_per_pipeline=1):
        if state is not None and state != self.state(step):
            raise ValueError(f"state {state} does not belong to step {step}")
        rows = replica_batch_size(
            self.global_batch_size,
            pipeline=pipeline,
            num_pipelines=num_pipelines,
            replicas_per_pipeline=replicas_per_pipeline,
        )
        first = pipeline * replicas_per_pipeline

        def generate():
            current = step
            while True:
                everything = self.rows(current)
                for replica in range(first, first + replicas_per_pipeline):
                    part = slice(replica * rows, (replica + 1) * rows)
                    yield {key: value[part] for key, value in everything.items()}
                current += 1

        spec = {
            key: tf.TensorSpec([rows, *value.shape[1:]], value.dtype)
            for key, value in self.rows(0).items()
        }
        return tf.data.Dataset.from_generator(generate, output_signature=spec)


def tiny_model(
    strategy,
    *,
    dropout=0.0,
    precision="float32",
    seed=1,
    num_steps=20,
    num_layers=2,
    objectives=("mlm", "nsp"),
    rematerialize=False,
    **options,
):
    """A compiled BERT, 16 wide; `options` go to compile or make_optimizer."""
    names = ("micro_batches", "jit_compile", "guard_updates", "spike_factor")
    compile_options = {k: options.pop(k) for k in names if k in options}
    config = EncoderConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_layers=num_layers,
        num_heads=2,
        intermediate_size=32,
        max_positions=LENGTH,
        hidden_dropout=dropout,
        attention_dropout=dropout,
        initializer_range=0.1,
    )
    keras.utils.set_random_seed(seed)
    policy = policy_name(precision)
    with strategy.scope():
        model = BertModel(
            Encoder(config, dtype=policy),
            [HEADS[name].for_encoder(config, dtype=policy) for name in objectives],
            dtype=policy,
        )
        for block in model.encoder.blocks:
            block.rematerialize = rematerialize
        optimizer = make_optimizer(
            **{
                "learning_rate": 1e-2,
                "num_steps": num_steps,
                "warmup_steps": 2,
                "precision": precision,
                **options,
            }
        )
        model.compile(optimizer=optimizer, **compile_options)
    return model


class Bag(ExactModel):
    """Tells next_sentence_labels from the mean token embedding: a model that traces fast."""

    term_names = ("bag",)
    metric_term_names = ()

    def __init__(self):
        super().__init__()
        self.table = keras.layers.Embedding(VOCABULARY, 8)
        self.dropout = Dropout(0.3)
        self.classifier = keras.layers.Dense(2)
        self.table.build((None, None))
        self.classifier.build((None, 8))
        self.built = True

    def call(self, batch, training=None):
        mean = tf.reduce_mean(self.table(batch["token_ids"]), 1)
        return self.classifier(self.dropout(mean, training=training))

    def loss_weights(self, batch):
        return {"bag": tf.cast(tf.shape(batch["token_ids"])[0], tf.float32)}

    def loss_terms(self, outputs, batch):
        total, weight = sparse_cross_entropy(outputs, batch["next_sentence_labels"])
        if "poison" in batch:
            total *= tf.reduce_max(batch["poison"])
        return {"bag": (total, weight)}

    def metric_terms(self, outputs, batch):
        return {}


def bag_model(strategy, *, seed=1, num_steps=20, **options):
    keras.utils.set_random_seed(seed)
    with strategy.scope():
        model = Bag()
        compiling = {k: options.pop(k) for k in ("guard_updates", "spike_factor") if k in options}
        optimizer = make_optimizer(**{"learning_rate": 1e-2, "num_steps": num_steps, **options})
        model.compile(optimizer=optimizer, **compiling)
    return model


def weights_of(model):
    return [variable.numpy() for variable in model.variables]
