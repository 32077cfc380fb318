import gc

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy_classification
import training_toy as toy

from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.training.optimizers import (
    MatrixDecayAdamW,
    decayed_variables,
    make_optimizer,
    rate_factors,
)

DECAYED = [
    "encoder/embeddings/token_embeddings/embeddings",
    "encoder/embeddings/position_embeddings/embeddings",
    "encoder/embeddings/segment_embeddings/embeddings",
    "encoder/block_0/attention/query_key_value/kernel",
    "encoder/block_0/attention/output_dense/kernel",
    "encoder/block_0/feed_forward/intermediate/kernel",
    "encoder/block_0/feed_forward/output_dense/kernel",
    "encoder/block_1/attention/query_key_value/kernel",
    "encoder/block_1/attention/output_dense/kernel",
    "encoder/block_1/feed_forward/intermediate/kernel",
    "encoder/block_1/feed_forward/output_dense/kernel",
    "encoder/pooler/kernel",
    "masked_lm/transform/kernel",
    "next_sentence/classifier/kernel",
]


@pytest.fixture(scope="module")
def bert(one_device):
    return toy.tiny_model(one_device, weight_decay=0.5)


def test_decays_these_variables_and_no_other(bert):
    assert sorted(decayed_variables(bert.optimizer, bert.trainable_variables)) == sorted(DECAYED)


def lamb_by_hand(weight, gradients, *, rate, decay, adapted, b1=0.9, b2=0.999, epsilon=1e-6):
    """Algorithm 2 of arXiv:1904.00962 in float64."""
    m, v = np.zeros_like(weight), np.zeros_like(weight)
    for t, gradient in enumerate(gradients, start=1):
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        update = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + epsilon)
        ratio = 1.0
        if adapted:
            update = update + decay * weight
            if np.linalg.norm(weight) and np.linalg.norm(update):
                ratio = np.linalg.norm(weight) / np.linalg.norm(update)
        weight = weight - rate * ratio * update
    return weight


def test_lamb_takes_the_steps_of_the_paper():
    optimizer = make_optimizer(
        learning_rate=0.1,
        num_steps=4,
        schedule="constant",
        weight_decay=0.3,
        clip_norm=None,
        optimizer="lamb",
    )
    random = np.random.default_rng(0)
    shapes = {"kernel": (3, 4), "embeddings": (5, 2), "bias": (4,), "gamma": (4,), "beta": (4,)}
    start = {name: random.normal(size=shape) for name, shape in shapes.items()}
    start["embeddings"][:] = 0.0  # no norm: a ratio of 1
    variables = [keras.Variable(value, name=name) for name, value in start.items()]
    gradients = [[random.normal(size=s) for s in shapes.values()] for _ in range(3)]
    optimizer.build(variables)
    for step in gradients:
        optimizer.apply([tf.constant(g, tf.float32) for g in step])
    assert decayed_variables(optimizer, variables) == ["kernel", "embeddings"]
    for index, (variable, name) in enumerate(zip(variables, shapes, strict=True)):
        adapted = name in ("kernel", "embeddings")
        expected = lamb_by_hand(
            start[name],
            [step[index] for step in gradients],
            rate=0.1,
            decay=0.3,
            adapted=adapted,
        )
        np.testing.assert_allclose(variable.numpy(), expected, atol=2e-6, err_msg=name)


def test_lamb_adapts_these_variables_and_no_other(one_device):
    lamb = toy.tiny_model(one_device, optimizer="lamb", num_layers=2)
    assert sorted(decayed_variables(lamb.optimizer, lamb.trainable_variables)) == sorted(DECAYED)


def test_a_step_without_gradient_shrinks_the_decayed_variables_alone(bert, one_device):
    before = [v.numpy() + 1.0 for v in bert.trainable_variables]
    for variable, value in zip(bert.trainable_variables, before, strict=True):
        variable.assign(value)
    variables = bert.trainable_variables
    one_device.run(lambda: bert.optimizer.apply([tf.zeros(v.shape) for v in variables], variables))
    # learning rate of step 0 with 2 steps of warm-up: 1e-2 / 2; times the decay of 0.5
    for variable, value in zip(bert.trainable_variables, before, strict=True):
        share = 1 - 0.005 * 0.5 if variable.path in DECAYED else 1.0
        np.testing.assert_allclose(variable.numpy(), value * share, rtol=1e-6)


def test_decay_holds_for_the_names_of_other_replicas():
    class Named:
        def __init__(self, name):
            self.name, self._unique_id = name, name

    optimizer = make_optimizer(learning_rate=1.0, num_steps=1)
    for name in ("norm/gamma:0", "norm/beta/replica_1:0", "dense/bias/replica_11:0", "bias"):
        assert not optimizer._use_weight_decay(Named(name)), name
    for name in ("dense/kernel:0", "kernel/replica_1:0", "unbiased/kernel:0", "gamma_net/kernel:0"):
        assert optimizer._use_weight_decay(Named(name)), name


def test_a_saved_optimizer_still_knows_what_not_to_decay():
    optimizer = make_optimizer(learning_rate=1.0, num_steps=1)
    back = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    variable = keras.Variable([1.0], name="beta")
    assert not back._use_weight_decay(variable.value)
    assert (back.epsilon, back.beta_1, back.beta_2) == (1e-6, 0.9, 0.999)
    assert (back.global_clipnorm, back.weight_decay) == (1.0, 0.01)


def test_clips_the_global_norm_and_takes_one_adam_step():
    optimizer = make_optimizer(learning_rate=0.1, num_steps=10**6, weight_decay=0.0, clip_norm=1.0)
    optimizer.epsilon = 1.0  # large, so that the step shows the size of the clipped gradient
    one, two = keras.Variable([0.0], name="one"), keras.Variable([0.0], name="two")
    optimizer.build([one, two])
    optimizer.apply([tf.constant([3.0]), tf.constant([4.0])])
    # Norm 5, so the gradients become 0.6 and 0.8; after the bias corrections of the first step the
    # averages are the gradient and its square.
    for variable, gradient in ((one, 0.6), (two, 0.8)):
        step = 0.1 * gradient / (gradient + 1.0)
        np.testing.assert_allclose(variable.numpy(), [-step], rtol=1e-5)


def test_float16_skips_a_step_that_is_not_finite_and_halves_the_scale():
    optimizer = make_optimizer(learning_rate=0.1, num_steps=10, precision="float16")
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    variable = keras.Variable([1.0], name="kernel")
    optimizer.build([variable])
    optimizer.apply([tf.constant([np.inf])])
    np.testing.assert_array_equal(variable.numpy(), [1.0])
    assert float(optimizer.dynamic_scale) == 2.0**14
    assert int(optimizer.iterations) == 0  # a skipped step does not move the schedule


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight_decay": -0.1}, "weight_decay must not be negative. Received: -0.1"),
        ({"clip_norm": -1.0}, "clip_norm must not be negative; 0 switches clipping off"),
        ({"precision": "half"}, "precision must be one of"),
        ({"optimizer": "sgd"}, "optimizer must be one of adamw, lamb. Received: 'sgd'"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\).*Received: 1.0"),
        ({"schedule_power": 2.0}, "belongs to schedule=polynomial alone.*schedule='linear'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_optimizer(**{"learning_rate": 0.1, "num_steps": 2, **arguments})


def test_clip_norm_zero_switches_clipping_off():
    assert make_optimizer(learning_rate=0.1, num_steps=2, clip_norm=0).global_clipnorm is None


@pytest.mark.parametrize("columns", [2, 200_000])
@pytest.mark.parametrize("strategy", ["none", "one device", "mirrored"])
def test_a_step_is_adamw_s_by_hand(strategy, columns):
    """Steps in float64 numpy: clipped, decay first, then Adam; epsilon beside the corrected root.

    A large variable's step is compiled, but for those of MirroredStrategy.
    """
    strategy = {
        "none": tf.distribute.get_strategy,
        "one device": lambda: tf.distribute.OneDeviceStrategy("/cpu:0"),
        "mirrored": lambda: tf.distribute.MirroredStrategy(["/cpu:0"]),
    }[strategy]()
    random = np.random.default_rng(0)
    expected, m, v = random.normal(size=(1, columns)), 0.0, 0.0
    with strategy.scope():
        weight = keras.Variable(expected, dtype="float32", name="kernel")
        optimizer = MatrixDecayAdamW(0.1, weight_decay=0.5, epsilon=0.1, global_clipnorm=1.0)
        optimizer.build([weight])
    for step in (1, 2, 3):
        gradient = random.normal(size=(1, columns)) * (0.1 / columns**0.5 if step == 1 else 1.0)
        gradients = [tf.constant(gradient, tf.float32)]
        strategy.run(optimizer.apply, args=(gradients, [weight]))
        gradient /= max(1.0, np.linalg.norm(gradient))
        expected = expected * (1 - 0.1 * 0.5)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        expected = expected - 0.1 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 0.1)
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_slices_that_name_a_row_twice_are_clipped_by_their_sum():
    def first_step(gradient):
        weight = keras.Variable(tf.zeros([2, 1]), name="embeddings")
        MatrixDecayAdamW(0.1, epsilon=1.0, global_clipnorm=1.0).apply([gradient], [weight])
        return weight.numpy()

    slices = tf.IndexedSlices(tf.constant([[3.0], [4.0]]), tf.constant([0, 0]), tf.constant([2, 1]))
    np.testing.assert_allclose(first_step(slices), first_step(tf.constant([[7.0], [0.0]])))


def test_one_optimizer_after_the_other():
    """A compiled step that two shared would refer to the variables of the first, deleted."""

    def first_step():
        weight = keras.Variable(tf.zeros([200_000]), name="bias")
        optimizer = MatrixDecayAdamW(0.1)
        tf.function(lambda: optimizer.apply([tf.ones([200_000])], [weight]))()
        return weight.numpy()

    for _ in range(2):
        np.testing.assert_allclose(first_step(), -0.1, rtol=1e-5)
        gc.collect()


def test_layers_below_learn_slower():
    config = toy_classification.encoder_config()
    head = ClassificationHead.for_encoder(config, labels=["a", "b"])
    model = BertModel(Encoder(config), [head])
    paths = [v.path for v in model.trainable_variables]
    factors = dict(zip(paths, rate_factors(paths, 0.5), strict=True))
    shares = {
        share: {"/".join(path.split("/")[:2]) for path in paths if factors[path] == share}
        for share in set(factors.values())
    }
    assert shares[0.5] == {"encoder/block_1"}
    assert shares[0.25] == {"encoder/block_0"}
    assert shares[0.125] == {"encoder/embeddings"}
    assert "encoder/pooler" in shares[1.0] and len(shares) == 4
    optimizer = make_optimizer(
        learning_rate=0.1, num_steps=10, layer_decay=0.5, weight_decay=0.0, clip_norm=None
    )
    optimizer.build(model.trainable_variables)
    before = [v.numpy() for v in model.trainable_variables]
    optimizer.apply([tf.ones(v.shape) for v in model.trainable_variables])
    for path, old, new in zip(paths, before, model.trainable_variables, strict=True):
        # Adam's first step is the rate, whatever the gradient.
        np.testing.assert_allclose(old - new.numpy(), 0.1 * factors[path], rtol=1e-3)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.layer_decay == 0.5


@pytest.mark.parametrize(
    "options", [{"layer_decay": 0.0}, {"layer_decay": 0.9, "optimizer": "lamb"}]
)
def test_layer_decay_out_of_place(options):
    with pytest.raises(ValueError, match=r"layer_decay must be in \(0, 1\], and goes with adamw"):
        make_optimizer(learning_rate=0.1, num_steps=10, **options)


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="amsgrad is not implemented"):
        MatrixDecayAdamW(0.1, amsgrad=True)
