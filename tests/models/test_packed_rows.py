"""Several examples in one row give what each gives in a row of its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.layers.token_layout import TokenLayout
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead
from keras_bert_suite.models.heads.sentence_order import SentenceOrderHead

_CONFIG = EncoderConfig(
    vocab_size=50,
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    intermediate_size=64,
    max_positions=10,
    hidden_dropout=0.0,
    attention_dropout=0.0,
    initializer_range=0.2,
)
# The examples of each row of 12 by their lengths. In the first, six rows of 4 are less work than
# two of 12; in the second, three rows of 10 are more.
_ROWS = {"own attention rows": [[4, 2, 3], [4, 1, 4]], "padded rows": [[10, 2], [5]]}


def _packed(rows, *, length=12):
    """Returns a packed batch and the same examples, one a row."""
    random = np.random.default_rng(0)
    packed = {key: np.zeros([len(rows), length], "int32") for key in ("token_ids", "segment_ids")}
    packed |= {key: np.zeros([len(rows), length], "int32") for key in ("position_ids", "row_ids")}
    examples = [n for row in rows for n in row]
    alone = {
        key: np.zeros([len(examples), max(examples)], "int32")
        for key in ("token_ids", "segment_ids", "padding_mask")
    }
    packed["cls_positions"] = np.zeros([len(rows), max(map(len, rows))], "int32")
    count = 0
    for row, lengths in enumerate(rows):
        start = 0
        for number, n in enumerate(lengths):
            ids, segments = random.integers(1, 50, n), np.arange(n) > n // 2
            alone["token_ids"][count, :n], alone["segment_ids"][count, :n] = ids, segments
            alone["padding_mask"][count, :n] = 1
            place = (row, slice(start, start + n))
            packed["token_ids"][place], packed["segment_ids"][place] = ids, segments
            packed["position_ids"][place] = np.arange(n)
            packed["row_ids"][place] = number + 1
            packed["cls_positions"][row, number] = start
            start, count = start + n, count + 1
    return packed, alone


def _encoder(**changes):
    keras.utils.set_random_seed(1)
    return Encoder(_CONFIG.replace(**changes))


def _outputs_and_gradients(encoder, batch, *, jit_compile, pooled):
    """Real tokens' vectors in the order of the examples, the examples' pooled, all gradients."""

    @tf.function(jit_compile=jit_compile)
    def run(batch):
        variables = [variable.value for variable in encoder.trainable_variables]
        with tf.GradientTape() as tape:
            outputs = encoder(batch)
            sequence, vectors = outputs["sequence_output"], outputs["pooled_output"]
            factors = tf.linspace(-1.0, 1.0, sequence.shape[-1])
            weights = tf.cast(pooled, tf.float32)
            loss = tf.reduce_sum(tf.sin(sequence) * factors)
            loss += tf.reduce_sum(tf.reduce_sum(vectors * factors, -1) * weights)
        return sequence, vectors, tape.gradient(loss, variables)

    sequence, vectors, gradients = run({k: tf.constant(v) for k, v in batch.items()})
    real = encoder.padding_mask(batch).numpy() > 0
    assert not sequence.numpy()[~real].any()
    gradients = [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]
    return [sequence.numpy()[real], vectors.numpy()[pooled], *gradients]


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("kind", _ROWS)
def test_packed_examples_are_computed_as_alone(kind, jit_compile):
    encoder = _encoder()
    packed, alone = _packed(_ROWS[kind])
    expected = _outputs_and_gradients(
        encoder, alone, jit_compile=False, pooled=np.ones(len(alone["token_ids"]), bool)
    )
    places = [np.arange(packed["cls_positions"].shape[1]) < len(row) for row in _ROWS[kind]]
    found = _outputs_and_gradients(
        encoder, packed, jit_compile=jit_compile, pooled=np.array(places)
    )
    assert expected[0].shape == (sum(map(sum, _ROWS[kind])), 32)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4 * max(1, np.abs(other).max()))


def test_the_attention_rows_are_those_with_fewer_scores():
    for kind, shape in (("own attention rows", (6, 4)), ("padded rows", (2, 12))):
        row_ids = tf.constant(_packed(_ROWS[kind])[0]["row_ids"])
        layout = TokenLayout(tf.cast(row_ids > 0, tf.int32), row_ids=row_ids)
        assert tuple(int(n) for n in layout.attention_shape) == shape
        stream = tf.random.normal([int(tf.reduce_sum(layout.padding_mask)), 6])
        (rows,) = layout.split_heads(stream, parts=1, heads=2)
        assert rows.shape == (shape[0], 2, shape[1], 3)
        np.testing.assert_array_equal(layout.merge_heads(rows), stream)


def test_bias_parts_examples_and_padding():
    row_ids = tf.constant([[1, 1, 2, 0]])
    layout = TokenLayout(tf.cast(row_ids > 0, tf.int32), row_ids=row_ids, unpadded=False)
    seen = layout.attention_bias(tf.float32).numpy()[0, 0] == 0
    assert seen[:3].tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, True, False],
    ]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_examples_may_interleave_with_any_numbers(jit_compile):
    encoder = _encoder()
    batch = {
        "token_ids": tf.constant([[7, 8, 9, 10, 11, 12], [5, 5, 6, 0, 0, 0]]),
        "padding_mask": tf.constant([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]]),
        "position_ids": tf.constant([[0, 0, 1, 1, 2, 2], [0, 1, 0, 0, 0, 0]]),
        "row_ids": tf.constant([[-3, 2**31 - 1] * 3, [0, 0, -(2**31), 1, 1, 1]]),
    }
    alone = {
        "token_ids": tf.constant([[7, 9, 11], [8, 10, 12], [5, 5, 0], [6, 0, 0]]),
    }
    found = tf.function(encoder, jit_compile=jit_compile)(batch)["sequence_output"].numpy()
    expected = encoder(alone)["sequence_output"].numpy()
    np.testing.assert_allclose(found[0, ::2], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[0, 1::2], expected[1], atol=1e-5)
    np.testing.assert_allclose(found[1, :2], expected[2, :2], atol=1e-5)
    np.testing.assert_allclose(found[1, 2], expected[3, 0], atol=1e-5)


def test_padding_and_positions_follow_from_row_ids():
    # RoBERTa's positions count from 2; rows may be longer than max_positions=10, examples not.
    encoder = _encoder(family="roberta", num_segments=1, pad_token_id=1)
    packed, _ = _packed([[4, 2, 3], [6, 6]])
    assert encoder.padding_mask(packed).numpy().sum() == 21
    with_positions = encoder(packed)
    del packed["position_ids"]
    without = encoder(packed)
    np.testing.assert_array_equal(with_positions["sequence_output"], without["sequence_output"])


def test_a_batch_of_padding_alone_gives_finite_numbers():
    batch = {"token_ids": tf.ones([2, 3], tf.int32), "row_ids": tf.zeros([2, 3], tf.int32)}
    outputs = _encoder()(batch)
    np.testing.assert_array_equal(outputs["sequence_output"], np.zeros([2, 3, 32]))
    assert np.isfinite(outputs["pooled_output"]).all()


def test_heads_read_every_example_of_a_row():
    encoder = _encoder()
    heads = [
        NextSentenceHead.for_encoder(_CONFIG),
        SentenceOrderHead.for_encoder(_CONFIG, dropout=0.0),
        ClassificationHead(
            labels=["a", "b"], hidden_size=32, dropout=0.0, hidden_activation="relu"
        ),
    ]
    model = BertModel(encoder, heads)
    packed, alone = _packed([[4, 2, 3], [5, 6]])
    labels, weights = np.array([0, 1, 1, 0, 1], "int32"), np.array([1, 0, 1, 1, 0], "float32")

    def in_rows(values):
        return np.array([values[:3], [*values[3:], 0]], values.dtype)

    terms, metrics = [], []
    for batch, shaped in ((alone, np.asarray), (packed, in_rows)):
        batch |= {
            "next_sentence_labels": shaped(labels),
            "next_sentence_weights": shaped(weights),
            "sentence_order_labels": shaped(1 - labels),
            "sentence_order_weights": shaped(1 - weights),
            "label_ids": shaped(labels),
            "example_weights": shaped(np.ones(5, "float32")),
        }
        outputs = model(batch)
        found = model.loss_terms(outputs, batch)
        expected = {term: found[term][1] for term in found}
        assert model.loss_weights(batch) == expected
        terms.append(tf.nest.flatten(found))
        metrics.append(tf.nest.flatten(model.metric_terms(outputs, batch)))
    np.testing.assert_allclose(terms[0], terms[1], rtol=1e-5)
    np.testing.assert_allclose(metrics[0], metrics[1])
    # The losses' weights: label, next sentence, sentence order.
    assert [float(x) for x in terms[0][1::2]] == [5.0, 3.0, 2.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"row_ids": np.ones([2, 5], "int32")},
            r"`row_ids` must have the shape that of.*\(2, 12\)",
        ),
        ({"position_ids": np.ones([1, 12], "int32")}, r"`position_ids` must.*Received: \(1, 12\)"),
        ({"segment_ids": np.ones([2], "int32")}, "`segment_ids` must have the shape"),
        ({"padding_mask": np.ones([2, 12, 1], "int32")}, "`padding_mask` must have the shape"),
        ({"cls_positions": np.ones([3, 2], "int32")}, r"`cls_positions` must have .*\[batch, exam"),
    ],
)
def test_wrong_shapes_are_named(changes, message):
    packed, _ = _packed([[4, 2, 3], [5, 6]])
    with pytest.raises(ValueError, match=message):
        _encoder()({**packed, **changes})
