import tensorflow as tf

from keras_bert_suite.metrics import sparse_accuracy


def test_accuracy_counts_the_examples_with_weight():
    logits = tf.constant([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    labels = tf.constant([1, 1, 0])
    hits, weight = sparse_accuracy(logits, labels)
    assert (float(hits), float(weight)) == (2.0, 3.0)
    hits, weight = sparse_accuracy(logits, labels, weights=tf.constant([1.0, 1.0, 0.0]))
    assert (float(hits), float(weight)) == (1.0, 2.0)
