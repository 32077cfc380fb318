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


def test_keras_contract_of_the_factorised_form_without_segments():
    layer = Embeddings(
        vocab_size=9, max_positions=5, num_segments=0, hidden_size=6, embedding_size=4, dropout=0.1
    )
    ids = tf.constant([3, 8, 0])
    check_layer(layer, lambda layer, training: layer(ids, tf.range(3), training=training))


def test_the_projection_stands_behind_the_norm():
    layer = Embeddings(
        vocab_size=2, max_positions=1, num_segments=0, hidden_size=1, embedding_size=2
    )
    layer.build()
    layer.token_embeddings.embeddings.assign([[0, 0], [5, 1]])
    layer.position_embeddings.embeddings.assign([[0, 0]])
    layer.projection.kernel.assign([[3], [1]])
    layer.projection.bias.assign([10])
    # [5, 1] is normalised to [1, -1]; 3 - 1 + 10 = 12
    np.testing.assert_allclose(layer(tf.constant([1]), tf.constant([0])), [[12.0]], atol=1e-5)


def test_without_segment_ids_every_token_is_in_the_first_segment():
    layer = Embeddings(vocab_size=3, max_positions=2, num_segments=2, hidden_size=4)
    layer.build()
    ids, positions = tf.constant([1, 2]), tf.constant([0, 1])
    zeros = tf.zeros_like(ids)
    np.testing.assert_array_equal(layer(ids, positions), layer(ids, positions, zeros))


def test_three_tables_are_summed_and_normalised():
    layer = Embeddings(vocab_size=2, max_positions=2, num_segments=2, hidden_size=2)
    layer.build()
    layer.token_embeddings.embeddings.assign([[0, 0], [1, 0]])
    layer.position_embeddings.embeddings.assign([[0, 0], [2, 0]])
    layer.segment_embeddings.embeddings.assign([[0, 0], [0, 1]])
    # [1, 0] + [2, 0] + [0, 1] = [3, 1]: mean 2, deviation 1 -> [1, -1]
    output = layer(tf.constant([1]), tf.constant([1]), tf.constant([1]))
    np.testing.assert_allclose(output, [[1.0, -1.0]], atol=1e-6)


def test_in_mixed_precision_rows_and_their_gradients_are_those_of_float32():
    layer = Embeddings(
        vocab_size=2, max_positions=600, num_segments=1, hidden_size=4, dtype="mixed_bfloat16"
    )
    layer.build()
    positions = tf.range(600)
    with tf.GradientTape() as tape:
        embedded = layer(tf.zeros_like(positions), positions)
        # One token 600 times: in 8 bits the sum of its gradients would stop growing early.
        total = tf.reduce_sum(tf.cast(embedded, tf.float32) * [1.0, 0.0, 0.0, 0.0])
    assert embedded.dtype == tf.bfloat16
    tokens, places = (
        tf.convert_to_tensor(gradient)
        for gradient in tape.gradient(
            total,
            [layer.token_embeddings.embeddings.value, layer.position_embeddings.embeddings.value],
        )
    )
    assert tokens.dtype == tf.float32
    np.testing.assert_allclose(tokens[0], tf.reduce_sum(places, 0), rtol=1e-5, atol=1e-4)
