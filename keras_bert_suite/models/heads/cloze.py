"""The masked-language-model head as a classifier: labels are words that a [MASK] may stand for."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.models.heads.labelled_rows import LabelledRows
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class ClozeHead(LabelledRows, MaskedLMHead):
    """Chooses one label for a row by the words that the masked-LM head expects at its masks.

    "label_logits" [batch, labels]: the head's logits of a label's words, the mean over the words; a
    word of several pieces has the sum of its pieces, each at the mask of its place. All words have
    as many pieces as a row has masks, so what a softmax over the vocabulary would subtract is equal
    for all labels, and the softmax over the labels is that over their words' probabilities.

    The weights are a MaskedLMHead's, which a model directory stores. The targets are `label_ids`,
    int32 [batch], optionally with `example_weights`.

    Args:
      word_ids: for each label a list of words, each a list of ids, one for each mask of a row.
      mask_id: of the mask token; the first masks of a row are read. A row with fewer has logits 0,
        no opinion.
      **kwargs: see MaskedLMHead.

    Raises:
      ValueError: fewer than two labels, a label without words, or words of different lengths.

    Source: Schick and Schuetze 2021, arXiv:2001.07676, section 3.1, without the auxiliary language
      modelling of section 3.3; the mean over words as in their code.
    """

    terms = ("label",)
    metric_names = ("label_accuracy",)
    target_key = "label_ids"
    output_key = "label_logits"
    task_options = ("word_ids", "mask_id")

    def __init__(self, *, word_ids, mask_id, **kwargs):
        self.word_ids = [[[int(i) for i in word] for word in words] for words in word_ids]
        lengths = {len(word) for words in self.word_ids for word in words}
        if len(self.word_ids) < 2 or not all(self.word_ids) or len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                "`word_ids` must have at least two labels, each with words of as many ids as all "
                f"others. Received: {self.word_ids}"
            )
        super().__init__(**kwargs)
        self.mask_id = int(mask_id)
        self.num_masks = lengths.pop()

    def call(self, encoded, batch, training=None):
        """Returns {"label_logits": float32 [batch, labels]}."""
        positions_BM, complete_B = self._masks(batch["token_ids"])
        hidden_BMH = tf.gather(encoded["sequence_output"], positions_BM, batch_dims=1)
        words_BME = self.word_vectors(hidden_BMH)
        # Labels with fewer words than others repeat their first one, with weight 0.
        most = max(len(words) for words in self.word_ids)
        ids = [words + words[:1] * (most - len(words)) for words in self.word_ids]
        shares = [[1 / len(w)] * len(w) + [0.0] * (most - len(w)) for w in self.word_ids]
        ids_LWM, shares_LW = tf.constant(ids), tf.constant(shares)
        size = self.num_masks * (self.embedding_size or self.hidden_size)
        table_VE = tf.convert_to_tensor(encoded["token_embedding_table"])
        rows = tf.reshape(tf.cast(tf.gather(table_VE, ids_LWM), self.compute_dtype), [-1, size])
        scores = tf.matmul(tf.reshape(words_BME, [-1, size]), rows, transpose_b=True)
        scores_BLW = tf.reshape(tf.cast(scores, tf.float32), [-1, *ids_LWM.shape[:2]])
        bias_LWM = tf.gather(tf.convert_to_tensor(self.bias), ids_LWM)
        scores_BLW += tf.reduce_sum(tf.cast(bias_LWM, tf.float32), -1)
        logits_BL = tf.reduce_sum(scores_BLW * shares_LW, -1)
        return {"label_logits": tf.where(complete_B[:, None], logits_BL, 0.0)}

    def _masks(self, token_ids_BS):
        """int32 [batch, masks]: where each row's first masks are; bool [batch]: it has them."""
        is_mask = tf.pad(tf.cast(token_ids_BS == self.mask_id, tf.int32), [[0, 0], [0, 1]])
        missing = tf.maximum(self.num_masks - tf.shape(is_mask)[1], 0)
        # Of equal values top_k takes the first.
        found, positions = tf.math.top_k(tf.pad(is_mask, [[0, 0], [0, missing]]), k=self.num_masks)
        found = found > 0
        return tf.where(found, positions, 0), tf.reduce_all(found, -1)

    def get_config(self):
        return {**super().get_config(), "word_ids": self.word_ids, "mask_id": self.mask_id}
