import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy_bert import encode, pool

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.encoder import Encoder

_CONFIG = EncoderConfig(
    vocab_size=50,
    hidden_size=32,
    num_layers=3,
    num_heads=4,
    intermediate_size=64,
    max_positions=16,
    initializer_range=0.2,  # large, so that every part moves the output
)


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(1)
    encoder = Encoder(_CONFIG)
    for variable in encoder.weights:  # biases and norms away from 0 and 1
        if variable.name in ("bias", "beta", "gamma"):
            variable.assign_add(tf.random.normal(variable.shape, stddev=0.1))
    return encoder


def _batch(masks):
    random = np.random.default_rng(2)
    mask = np.array(masks, "int32")
    return {
        "token_ids": random.integers(1, 50, mask.shape).astype("int32"),
        "segment_ids": random.integers(0, 2, mask.shape).astype("int32"),
        "padding_mask": mask,
    }


_MASKS = [[1] * 9, [1] * 4 + [0] * 5, [1, 0, 1, 1, 0, 0, 1, 0, 0]]


def test_equals_bert_in_numpy(encoder):
    batch = _batch(_MASKS)
    outputs = encoder(batch, return_all_hidden_states=True)
    expected = encode(encoder, batch["token_ids"], batch["segment_ids"], batch["padding_mask"])
    real = batch["padding_mask"] > 0
    assert len(outputs["all_hidden_states"]) == len(expected) == 4
    for ours, theirs in zip(outputs["all_hidden_states"], expected, strict=True):
        np.testing.assert_allclose(ours.numpy()[real], theirs[real], atol=1e-5)
        assert not ours.numpy()[~real].any()
    np.testing.assert_array_equal(outputs["sequence_output"], outputs["all_hidden_states"][-1])
    np.testing.assert_allclose(outputs["pooled_output"], pool(encoder, expected), atol=1e-5)


_FAMILIES = {
    "roberta": {"num_segments": 1, "pad_token_id": 1, "layer_norm_epsilon": 1e-5},
    "albert": {"embedding_size": 8, "share_layers": True, "activation": "gelu_tanh"},
    "distilbert": {"num_segments": 0, "use_pooler": False},
    "electra": {"embedding_size": 8, "use_pooler": False},
}


@pytest.mark.parametrize("family", _FAMILIES)
def test_every_family_equals_numpy(family, tmp_path):
    config = _CONFIG.replace(family=family, **_FAMILIES[family])
    encoder = Encoder(config)
    for variable in encoder.weights:
        variable.assign_add(tf.random.normal(variable.shape, stddev=0.1))
    assert len(encoder.blocks) == (1 if family == "albert" else 3)
    batch = _batch(_MASKS)
    outputs = encoder(batch, return_all_hidden_states=True)
    segment_ids = batch["segment_ids"] * (config.num_segments > 1)  # one segment: not read
    expected = encode(encoder, batch["token_ids"], segment_ids, batch["padding_mask"])
    real = batch["padding_mask"] > 0
    for ours, theirs in zip(outputs["all_hidden_states"], expected, strict=True):
        np.testing.assert_allclose(ours.numpy()[real], theirs[real], atol=1e-5)
    np.testing.assert_allclose(outputs["pooled_output"], pool(encoder, expected), atol=1e-5)

    given = {**batch, "position_ids": np.tile(np.arange(9, dtype="int32"), (3, 1))}
    np.testing.assert_array_equal(encoder(given)["sequence_output"], outputs["sequence_output"])
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    assert again.config == config
    np.testing.assert_array_equal(again(batch)["sequence_output"], outputs["sequence_output"])


def test_every_weight_of_a_shared_block_and_a_projection_is_trained():
    config = _CONFIG.replace(family="albert", **_FAMILIES["albert"])
    encoder = Encoder(config)
    batch = _batch(_MASKS)
    with tf.GradientTape() as tape:
        outputs = encoder(batch, training=True)
        loss = tf.reduce_sum(outputs["sequence_output"] ** 2)
        loss += tf.reduce_sum(outputs["pooled_output"] ** 2)
    gradients = tape.gradient(loss, [v.value for v in encoder.trainable_variables])
    assert all(gradient is not None for gradient in gradients)


def test_what_stands_in_the_padding_changes_nothing(encoder):
    batch = _batch(_MASKS)
    other = {**batch, "token_ids": np.where(batch["padding_mask"] > 0, batch["token_ids"], 49)}
    np.testing.assert_array_equal(
        encoder(batch)["sequence_output"], encoder(other)["sequence_output"]
    )


def test_more_padding_and_other_rows_change_nothing(encoder):
    batch = _batch(_MASKS)
    wider = {key: np.pad(value, [[0, 0], [0, 5]]) for key, value in batch.items()}
    alone = {key: value[1:2, :4] for key, value in batch.items()}
    output = encoder(batch)["sequence_output"]
    np.testing.assert_allclose(encoder(wider)["sequence_output"][:, :9], output, atol=1e-5)
    np.testing.assert_allclose(encoder(alone)["sequence_output"], output[1:2, :4], atol=1e-5)


@pytest.mark.parametrize("masks", [_MASKS, [[0] * 4, [1] * 4], [[0] * 3] * 2, [[1]]])
def test_static_shapes_give_the_same_numbers_and_gradients(encoder, masks):
    batch = {key: tf.constant(value) for key, value in _batch(masks).items()}

    def loss_and_gradients(batch):
        with tf.GradientTape() as tape:
            outputs = encoder(batch)
            loss = tf.reduce_sum(tf.sin(outputs["sequence_output"])) + tf.reduce_sum(
                outputs["pooled_output"]
            )
        gradients = tape.gradient(loss, [v.value for v in encoder.trainable_variables])
        return outputs, [tf.convert_to_tensor(gradient) for gradient in gradients]

    unpadded = loss_and_gradients(batch)
    padded = tf.function(loss_and_gradients, jit_compile=True)(batch)
    for ours, theirs in zip(tf.nest.flatten(unpadded), tf.nest.flatten(padded), strict=True):
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(ours, theirs, atol=2e-4)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("mixed_bfloat16", 0.1)])
def test_without_dropout_training_changes_no_number_and_no_gradient(dtype, tolerance, jit_compile):
    config = _CONFIG.replace(hidden_dropout=0.0, attention_dropout=0.0)
    encoder = Encoder(config, dtype=dtype)
    batch = {key: tf.constant(value) for key, value in _batch(_MASKS).items()}

    @tf.function(jit_compile=jit_compile)
    def output_and_gradients(training):
        with tf.GradientTape() as tape:
            output = encoder(batch, training=training)["sequence_output"]
            loss = tf.reduce_sum(tf.sin(tf.cast(output, tf.float32)))
        variables = [v.value for v in encoder.blocks[0].trainable_variables]
        return output, tape.gradient(loss, variables)

    found, expected = (tf.nest.flatten(output_and_gradients(flag)) for flag in (True, False))
    for one, other in zip(found, expected, strict=True):
        one, other = (np.asarray(tf.cast(x, tf.float32)) for x in (one, other))
        np.testing.assert_allclose(one, other, atol=tolerance * max(1, np.abs(other).max()))


def test_defaults_fill_in_for_absent_keys(encoder):
    batch = _batch(_MASKS[:2])
    token_ids = batch["token_ids"] * batch["padding_mask"]
    full = {**batch, "token_ids": token_ids, "segment_ids": np.zeros_like(token_ids)}
    np.testing.assert_array_equal(
        encoder({"token_ids": token_ids})["sequence_output"], encoder(full)["sequence_output"]
    )


def test_position_ids_are_honoured(encoder):
    batch = _batch([[1] * 4])
    shifted = {key: np.pad(value, [[0, 0], [3, 0]]) for key, value in batch.items()}
    given = {**batch, "position_ids": np.arange(3, 7, dtype="int32")[None]}
    np.testing.assert_allclose(
        encoder(given)["sequence_output"], encoder(shifted)["sequence_output"][:, 3:], atol=1e-5
    )


def test_a_batch_of_no_rows_gives_no_rows(encoder):
    outputs = encoder({key: value[:0] for key, value in _batch([[1] * 4]).items()})
    assert outputs["sequence_output"].shape == (0, 4, 32)
    assert outputs["pooled_output"].shape == (0, 32)


def test_keras_file_round_trip_is_bitwise(encoder, tmp_path):
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    assert again.config == _CONFIG
    batch = _batch(_MASKS)
    np.testing.assert_array_equal(again(batch)["pooled_output"], encoder(batch)["pooled_output"])


def test_works_in_a_functional_model(encoder):
    token_ids = keras.Input([None], dtype="int32", name="token_ids")
    outputs = encoder({"token_ids": token_ids})
    scores = keras.layers.Dense(3)(outputs["pooled_output"])
    model = keras.Model(token_ids, scores)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ids = _batch(_MASKS[:2])["token_ids"]
    history = model.fit(ids, np.array([0, 2]), epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize(
    ("policy", "tolerance"), [("mixed_bfloat16", 0.15), ("mixed_float16", 0.02)]
)
def test_mixed_precision_stays_close(encoder, policy, tolerance):
    half = Encoder(_CONFIG, dtype=policy)
    half.set_weights(encoder.get_weights())
    batch = _batch(_MASKS)
    outputs = half(batch)
    assert outputs["sequence_output"].dtype.name == policy.removeprefix("mixed_")
    np.testing.assert_allclose(
        tf.cast(outputs["sequence_output"], tf.float32),
        encoder(batch)["sequence_output"],
        atol=tolerance,
    )


def test_dropout_acts_in_training_only(encoder):
    batch = _batch(_MASKS)
    assert not np.array_equal(
        encoder(batch, training=True)["pooled_output"], encoder(batch)["pooled_output"]
    )
    np.testing.assert_array_equal(encoder(batch)["pooled_output"], encoder(batch)["pooled_output"])


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"ids": np.zeros([1, 2])}, r"must be a dict with `token_ids`. Received: \['ids'\]"),
        ({"token_ids": np.zeros([4], "int32")}, r"must have the shape \[batch, length\]"),
        (
            {"token_ids": np.ones([1, 17], "int32")},
            "at most max_positions=16 tokens. Received rows of 17",
        ),
        (
            {"token_ids": tf.ragged.constant([[1, 2], [3]])},
            r"`token_ids` must be a dense tensor. Received: a RaggedTensor; a tokenizer's pack",
        ),
    ],
)
def test_a_wrong_batch_is_refused(encoder, batch, message):
    with pytest.raises(ValueError, match=message):
        encoder(batch)


def test_a_name_is_no_configuration():
    with pytest.raises(ValueError, match=r"EncoderConfig.from_name, .* Received: 'tiny'"):
        Encoder("tiny")


@pytest.mark.parametrize("key", ["token_ids", "segment_ids", "position_ids"])
def test_a_negative_id_is_refused_and_not_counted_from_the_end(encoder, key):
    batch = {"token_ids": np.ones([1, 2], "int32"), key: np.array([[1, -1]])}
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices\[1\] = -1 is not in"):
        encoder({**batch, "padding_mask": np.ones([1, 2], "int32")})


def test_no_texts_give_no_rows(encoder):
    batch = {"token_ids": np.zeros([0, 0], "int32")}
    assert encoder(batch)["pooled_output"].shape == (0, encoder.config.hidden_size)
    traced = tf.function(
        encoder, input_signature=[{"token_ids": tf.TensorSpec([None, None], tf.int32)}]
    )
    assert traced(tf.nest.map_structure(tf.convert_to_tensor, batch))["sequence_output"].shape == (
        0,
        0,
        encoder.config.hidden_size,
    )
