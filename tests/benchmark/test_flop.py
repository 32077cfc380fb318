"""The FLOP formulas, by hand and against the kernels of a real encoder."""

import numpy as np
import pytest

from keras_bert_suite.benchmark.flop import inference_flop, masked_lm_flop, training_flop
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.encoder import Encoder

CONFIG = EncoderConfig(
    vocab_size=50,
    hidden_size=4,
    num_layers=3,
    num_heads=2,
    intermediate_size=8,
    max_positions=16,
)


def test_by_hand():
    # a token: 2 * 3 layers * (4 * 4^2 + 2 * 4 * 8 = 128) = 768; rows of 2 and 5 tokens
    # attention: 4 * 3 * 4 * (2^2 + 5^2) = 1392; the pooler: 2 * 4^2 * 2 rows = 64
    assert inference_flop(CONFIG, [2, 5]) == 7 * 768 + 1392 + 64
    # without the pooler, and a head of 2 * (4 * 4 + 4 * 50) = 432 a masked word; three times all
    assert training_flop(CONFIG, [2, 5], predictions=2) == 3 * (7 * 768 + 1392 + 2 * 432)


def test_a_token_passes_every_kernel_once():
    encoder = Encoder(CONFIG)
    kernels = sum(v.value.shape.num_elements() for v in encoder.weights if v.name == "kernel")
    pooler = CONFIG.hidden_size**2
    attention = 4 * 3 * 4
    # A row of one token passes the pooler too.
    assert inference_flop(CONFIG, [1]) == pytest.approx(2 * kernels + attention)
    without = inference_flop(CONFIG.replace(use_pooler=False), [1])
    assert without == 2 * (kernels - pooler) + attention


def test_a_window_leaves_pairs_out():
    # Layers 0 and 2 see all: 5^2 pairs. Layer 1 sees one token to each side: 5 + 2 * 4 = 13. What a
    # pair costs: 4 * 4.
    local = CONFIG.replace(local_attention=2, global_attention_every=2)
    rest = inference_flop(CONFIG, [5]) - 3 * 16 * 25
    assert inference_flop(local, [5]) == rest + 16 * (25 + 13 + 25)
    wide = CONFIG.replace(local_attention=100, global_attention_every=2)
    assert inference_flop(wide, [5]) == inference_flop(CONFIG, [5])


def test_a_batch_is_counted_by_its_masks():
    batch = {
        "padding_mask": np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]),
        "prediction_weights": np.array([[1.0, 0.0], [1.0, 0.0]]),
    }
    assert masked_lm_flop(CONFIG, batch) == training_flop(CONFIG, [2, 5], predictions=2)


def test_an_embedding_of_another_size_is_projected():
    narrow = CONFIG.replace(family="electra", use_pooler=False, embedding_size=2)
    wide = CONFIG.replace(family="electra", use_pooler=False)
    assert inference_flop(narrow, [3]) == inference_flop(wide, [3]) + 3 * 2 * 2 * 4
