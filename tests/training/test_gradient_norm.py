import numpy as np
import pytest
import tensorflow as tf
import training_toy as toy


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("float16", 2e-2)])
def test_the_norm_is_that_of_the_whole_gradient_before_clipping(one_device, precision, tolerance):
    model = toy.tiny_model(one_device, num_layers=1, precision=precision, clip_norm=0.01)
    with one_device.scope():
        model.optimizer.build(model.trainable_variables)
    batch = {key: tf.constant(value) for key, value in toy.RandomSource().rows(0).items()}
    with tf.GradientTape() as tape:
        terms = model.loss_terms(model(batch, training=True), batch)
        loss = tf.add_n([total / weight for total, weight in terms.values()])
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    squares = [np.sum(np.square(tf.convert_to_tensor(g))) for g in gradients if g is not None]
    norm = float(np.sqrt(np.sum(squares)))
    assert norm > 0.1  # clipping has something to do
    step = tf.function(lambda: one_device.run(model.train_step, args=(batch,)), autograph=False)
    reported = float(step()["gradient_norm"])
    assert reported == pytest.approx(norm, rel=tolerance)
