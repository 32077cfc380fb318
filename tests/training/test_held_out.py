import numpy as np
import pytest
import tensorflow as tf
import training_toy as toy

from keras_bert_suite.training.held_out import HeldOut


def test_is_the_mean_over_all_targets_however_they_are_batched(one_device):
    model = toy.tiny_model(one_device, num_layers=1)
    rows = toy.RandomSource(global_batch_size=9).rows(0)
    dataset = tf.data.Dataset.from_tensor_slices(rows)
    whole = HeldOut(model, dataset.batch(9))(7)
    parts = HeldOut(model, dataset.batch(4))()  # batches of 4, 4 and 1 row
    assert whole.keys() == {"mlm_loss", "mlm_accuracy", "nsp_loss", "nsp_accuracy"}
    assert parts == pytest.approx(whole, abs=1e-5)
    logits = model({k: tf.constant(v) for k, v in rows.items()})["mlm_logits"].numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    true = np.take_along_axis(probabilities, rows["prediction_ids"][..., None], -1)[..., 0]
    weights = rows["prediction_weights"]
    assert whole["mlm_loss"] == pytest.approx(
        -(np.log(true) * weights).sum() / weights.sum(), abs=1e-5
    )
