"""The span head: a label, or none, for pieces of the text."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_bert_suite.layers.activations import get_activation
from keras_bert_suite.layers.dropout import Dropout
from keras_bert_suite.losses import sparse_cross_entropy
from keras_bert_suite.metrics import sparse_accuracy
from keras_bert_suite.models.heads.classifier import checked_labels
from keras_bert_suite.models.heads.head import Head, example_weights

REPRESENTATIONS = ("pooled", "boundary")
CANDIDATES = ("enumerated", "given")
_LABELLED = 0.01  # the prior of Lin et al. 2017, arXiv:1708.02002, section 4.1


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class SpanClassificationHead(Head):
    """Scores the labels of spans of tokens.

    A span is seen as [first token; last token; mean of its tokens] ("pooled") or as the tokens on
    both sides of its boundaries, [first token; last token; token before it; token behind it]
    ("boundary"), and by its width: a dense layer, GELU, LayerNorm, a dense layer. The first dense
    layer is applied to the tokens, not to the spans, whose sums and means come after it: its cost
    does not grow with the number of spans.

    Candidates are "enumerated", all spans of up to `max_width` tokens, of which most have no label:
    class 0 stands for none, label i has class i + 1. Or they are "given", and class i is label i.

    "span_logits" float32 [batch, candidates, classes]. Of enumerated ones the candidate
    `start * max_width + width - 1` are the tokens from column `start` on. The batch has
      span_tokens     int32 [batch, length], 1 where a span may begin and end (default: all tokens);
      span_starts, span_ends   int32 [batch, spans], columns of the first and the last token, -1
                      where there are no more: the labelled spans, or all given ones;
      span_label_ids  int32 [batch, spans], the targets.
    The loss is the cross-entropy: of given spans the mean; of enumerated ones the sum over a row's
    candidates, in the mean over rows, for the few with a label would vanish in a mean.

    Args:
      labels: names of the labels.
      hidden_size: width of the tokens.
      representation: "pooled" or "boundary".
      candidates: "enumerated" or "given".
      max_width: tokens of the widest enumerated span; wider given ones share a width.
      span_size: width of the hidden layer.
      negatives: share of the spans without a label that count in the loss, drawn anew in each
        batch; for "enumerated".
      dropout: probability, on the tokens and on the hidden layer in training.
      initializer_range: standard deviation of the kernels' truncated normal.

    Raises:
      ValueError: fewer than two classes, a repeated label, an unknown name or a number out of
        range.

    Source: Lee et al. 2017, arXiv:1707.07045, section 4 (span representations); Joshi et al. 2019,
    arXiv:1907.10529, section 3.2 (boundaries).
    """

    kind = "span"
    terms = ("span",)
    metric_names = ("span_accuracy",)
    target_key = "span_label_ids"
    uses_pooler = False
    own_options = ("labels", "representation", "candidates", "max_width", "span_size", "negatives")

    def __init__(
        self,
        *,
        labels,
        hidden_size,
        representation="pooled",
        candidates="enumerated",
        max_width=16,
        span_size=256,
        negatives=1.0,
        dropout=0.1,
        initializer_range=0.02,
        name="span",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if representation not in REPRESENTATIONS or candidates not in CANDIDATES:
            raise ValueError(
                f"representation must be one of {', '.join(REPRESENTATIONS)} and candidates one of "
                f"{', '.join(CANDIDATES)}. Received: {representation!r}, {candidates!r}"
            )
        if max_width < 1 or span_size < 1 or not 0 < negatives <= 1:
            raise ValueError(
                "max_width and span_size must be at least 1 and negatives in (0, 1]. Received: "
                f"max_width={max_width}, span_size={span_size}, negatives={negatives}"
            )
        self.labels = [str(label) for label in labels]
        self.enumerated = candidates == "enumerated"
        checked_labels([*self.labels, ""] if self.enumerated else self.labels)
        self.hidden_size, self.representation = hidden_size, representation
        self.candidates, self.max_width, self.span_size = candidates, max_width, span_size
        self.negatives, self.dropout_rate = negatives, dropout
        self.initializer_range = initializer_range
        self._activate = get_activation("gelu")
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.hidden_dropout = Dropout(dropout, dtype=self.dtype_policy, name="hidden_dropout")
        # What each token gives to the spans that begin with it, end with it and hold it (or begin
        # behind it, end before it).
        self.num_parts = 3 if representation == "pooled" else 4
        self.parts = self._dense(span_size * self.num_parts, "parts", use_bias=False)
        # One row a width; together with these no other bias is needed.
        self.widths = keras.layers.Embedding(
            max_width,
            span_size,
            embeddings_initializer="zeros",
            dtype=self.dtype_policy,
            name="widths",
        )
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-12, dtype=self.dtype_policy, name="norm"
        )
        # A fresh head takes one span in a hundred for labelled, so that the many without a label
        # do not drown the others at first.
        prior = np.zeros([len(self.labels) + self.enumerated], np.float32)
        prior[0] = self.enumerated * np.log((1 - _LABELLED) / _LABELLED * len(self.labels))
        self.classifier = self._dense(
            len(prior), "classifier", bias_initializer=keras.initializers.Constant(prior)
        )
        self.build()

    def _dense(self, units, name, **options):
        return keras.layers.Dense(
            units,
            **options,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_range),
            dtype=self.dtype_policy,
            name=name,
        )

    @classmethod
    def for_encoder(cls, config, *, labels, dropout=None, **kwargs):
        """Returns a fresh head for an EncoderConfig; `dropout` None takes the encoder's."""
        return cls(
            labels=labels,
            hidden_size=config.hidden_size,
            dropout=config.hidden_dropout if dropout is None else dropout,
            initializer_range=config.initializer_range,
            **kwargs,
        )

    def build(self, input_shape=None):
        self.parts.build((None, self.hidden_size))
        self.widths.build((None,))
        self.norm.build((None, self.span_size))
        self.classifier.build((None, self.span_size))

    def call(self, encoded, batch, training=None):
        """Returns {"span_logits": float32 [batch, candidates, classes]}.

        {} where the candidates are to be given and are not.
        """
        if not self.enumerated and "span_starts" not in batch:
            return {}
        tokens_BSH = self.dropout(encoded["sequence_output"], training=training)
        parts = tf.split(self.parts(tokens_BSH), self.num_parts, axis=-1)
        spans = self._all_spans if self.enumerated else self._given_spans
        hidden = self.norm(self._activate(spans(parts, batch)))
        logits = self.classifier(self.hidden_dropout(hidden, training=training))
        shape = [tf.shape(logits)[0], -1, logits.shape[-1]]
        return {"span_logits": tf.reshape(tf.cast(logits, tf.float32), shape)}

    def _all_spans(self, parts, batch):
        """[batch, length, max_width, span_size]; beyond the row's end anything."""
        del batch
        reach, length = self.max_width, tf.shape(parts[0])[1]

        def ending(values, after=0):
            """What stands `after` behind each span's last token."""
            # Slices, not a gather: their gradient is a sum of paddings, with no scatter.
            padded = tf.pad(values, [[0, 0], [0, reach + 1], [0, 0]])
            widths = range(after, after + reach)
            return tf.stack([padded[:, w : w + length] for w in widths], axis=2)

        if self.representation == "pooled":
            first, last, inside = parts
            sums = _sums(inside)
            widths = tf.range(1, reach + 1, dtype=tf.float32)[:, None]
            means = (ending(sums, after=1) - sums[:, :-1, None]) / widths
            spans = first[:, :, None] + ending(last) + tf.cast(means, last.dtype)
        else:
            first, last, before, behind = parts
            first += tf.pad(before, [[0, 0], [1, 0], [0, 0]])[:, :-1]
            last += tf.pad(behind, [[0, 0], [0, 1], [0, 0]])[:, 1:]
            spans = first[:, :, None] + ending(last)
        return spans + self.widths(tf.range(reach))

    def _given_spans(self, parts, batch):
        """[batch, spans, span_size]."""
        length = tf.shape(parts[0])[1]
        first = tf.clip_by_value(batch["span_starts"], 0, length - 1)
        last = tf.clip_by_value(batch["span_ends"], first, length - 1)
        width = last - first + 1

        def at(values, columns):
            return tf.gather(values, columns, batch_dims=1)

        spans = at(parts[0], first) + at(parts[1], last)
        if self.representation == "pooled":
            sums = _sums(parts[2])
            means = at(sums, last + 1) - at(sums, first)
            spans += tf.cast(means / tf.cast(width, tf.float32)[..., None], spans.dtype)
        else:
            before, behind = (tf.pad(part, [[0, 0], [1, 1], [0, 0]]) for part in parts[2:])
            spans += at(before, first) + at(behind, last + 2)
        return spans + self.widths(tf.minimum(width, self.max_width) - 1)

    def valid(self, batch):
        """float32 [batch, candidates]: 1 for spans that there are."""
        if not self.enumerated:
            return tf.cast(batch["span_starts"] >= 0, tf.float32)
        tokens = batch["span_tokens"] if "span_tokens" in batch else batch["padding_mask"]
        tokens = tf.cast(tokens, tf.float32)
        padded, length = tf.pad(tokens, [[0, 0], [0, self.max_width]]), tf.shape(tokens)[1]
        ends = tf.stack([padded[:, w : w + length] for w in range(self.max_width)], axis=2)
        return tf.reshape(tokens[:, :, None] * ends, [tf.shape(tokens)[0], -1])

    def loss_weights(self, batch):
        if "span_label_ids" not in batch:
            return {}
        return {"span": self._loss_weight(batch, self._targets(batch)[1])}

    def loss_terms(self, outputs, batch):
        if "span_label_ids" not in batch:
            return {}
        targets, weights = self._targets(batch)
        loss, _ = sparse_cross_entropy(outputs["span_logits"], targets, weights=weights)
        return {"span": (loss, self._loss_weight(batch, weights))}

    def metric_terms(self, outputs, batch):
        if "span_label_ids" not in batch:
            return {}
        targets, weights = self._targets(batch)
        return {"span_accuracy": sparse_accuracy(outputs["span_logits"], targets, weights=weights)}

    def _loss_weight(self, batch, weights):
        if not self.enumerated:
            return tf.reduce_sum(weights)
        return tf.reduce_sum(example_weights(batch, batch["span_starts"][:, 0]))

    def _targets(self, batch):
        """(int32, float32), [batch, candidates] each: the class and how much it counts."""
        labels, weights = batch["span_label_ids"], self.valid(batch)
        if self.enumerated:
            starts, widths = batch["span_starts"], batch["span_ends"] - batch["span_starts"]
            reached = (starts >= 0) & (widths < self.max_width)
            rows, count = tf.shape(weights)[0], tf.shape(weights)[1]
            # Spans out of reach go to one more column, which is cut off.
            column = tf.where(reached, starts * self.max_width + widths, count)
            row = tf.broadcast_to(tf.range(rows)[:, None], tf.shape(column))
            classes = tf.tensor_scatter_nd_update(
                tf.zeros([rows, count + 1], tf.int32), tf.stack([row, column], -1), labels + 1
            )
            labels = classes[:, :-1]
            if self.negatives < 1:
                # The batch is the seed, so that weights and losses agree on the draw.
                seed = tf.stack([tf.reduce_sum(batch["token_ids"]), batch["token_ids"][0, -1]])
                drawn = tf.random.stateless_uniform(tf.shape(weights), seed) < self.negatives
                weights *= tf.cast((labels > 0) | drawn, tf.float32)
        else:
            weights *= tf.cast(labels >= 0, tf.float32)
            labels = tf.maximum(labels, 0)
        return labels, weights * example_weights(batch, labels[:, 0])[:, None]

    def get_config(self):
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in self.own_options},
            "hidden_size": self.hidden_size,
            "dropout": self.dropout_rate,
            "initializer_range": self.initializer_range,
        }


def _sums(values_BSF):
    """float32 [batch, length + 1, size]: the sum of the tokens before each column.

    The sum over a span is a difference of two of these; float32, for they grow.
    """
    sums = tf.cumsum(tf.cast(values_BSF, tf.float32), axis=1)
    return tf.pad(sums, [[0, 0], [1, 0], [0, 0]])
