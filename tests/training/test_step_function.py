import tensorflow as tf

from keras_bert_suite.training import step_function


def test_the_user_s_error_is_found_in_tensorflow_s():
    text = "{{function_node __wrapped__}} ValueError: bad.csv, line 3: no label.\nTraceback ..."
    explained = step_function._explained(tf.errors.InvalidArgumentError(None, None, text))
    assert isinstance(explained, ValueError) and str(explained) == "bad.csv, line 3: no label."


def test_other_errors_stay_what_they_are():
    error = tf.errors.ResourceExhaustedError(None, None, "OOM")
    assert step_function._explained(error) is error
