import tensorflow as tf

from keras_bert_suite.training import step_function


def test_a_worker_that_is_gone_is_explained(one_device, monkeypatch):
    error = tf.errors.UnavailableError(None, None, "Connection reset by peer")
    assert step_function._explained(error, one_device) is error
    monkeypatch.setattr(step_function, "is_multi_worker", lambda strategy: True)
    explained = step_function._explained(error, one_device)
    assert isinstance(explained, OSError)
    assert "start all workers again with the same command" in str(explained)
    assert "UnavailableError" in str(explained)
