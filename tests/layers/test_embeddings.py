import numpy as np
import tensorflow as tf
from layer_checks import check_layer

from keras_bert_suite.layers.embeddings import Embeddings


def test_keras_contract():
    layer = Embeddings(
        vocab_size=9,
        max_positions=5,
        num_segments=3,
        hidden_size=4,
        dropout=0.1,
        layer_norm_epsilon=1e-5,
        initializer_range=0.5,
    )
    ids = tf.constant([3, 8, 0])
    check_layer(
        layer,
        lambda layer, training: layer(ids, tf.range(3), tf.zeros_like(ids), training=training),
    )


def test_three_tables_are_summed_and_normalised():
    layer = Embeddings(vocab_size=2, max_positions=2, num_segments=2, hidden_size=2)
    layer.build()
    layer.token_embeddings.embeddings.assign([[0, 0], [1, 0]])
    layer.position_embeddings.embeddings.assign([[0, 0], [2, 0]])
    layer.segment_embeddings.embeddings.assign([[0, 0], [0, 1]])
    # [1, 0] + [2, 0] + [0, 1] = [3, 1]: mean 2, deviation 1 -> [1, -1]
    output = layer(tf.constant([1]), tf.constant([1]), tf.constant([1]))
    np.testing.assert_allclose(output, [[1.0, -1.0]], atol=1e-6)
