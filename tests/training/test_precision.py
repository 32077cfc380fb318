import pytest

from keras_bert_suite.training.precision import policy_name


def test_names_keras_policies():
    assert policy_name("float32") == "float32"
    assert policy_name("bfloat16") == "mixed_bfloat16"
    assert policy_name("float16") == "mixed_float16"


def test_refuses_an_unknown_precision():
    with pytest.raises(
        ValueError, match="precision must be one of float32, bfloat16, float16.*'int8'"
    ):
        policy_name("int8")
