import json

import pytest

from keras_bert_suite.config import EncoderConfig


@pytest.mark.parametrize(
    ("name", "layers", "hidden", "heads", "intermediate"),
    [
        ("tiny", 2, 128, 2, 512),
        ("mini", 4, 256, 4, 1024),
        ("small", 4, 512, 8, 2048),
        ("medium", 8, 512, 8, 2048),
        ("base", 12, 768, 12, 3072),
        ("large", 24, 1024, 16, 4096),
    ],
)
def test_named_sizes_are_those_of_the_paper(name, layers, hidden, heads, intermediate):
    config = EncoderConfig.from_name(name)
    assert (config.num_layers, config.hidden_size) == (layers, hidden)
    assert (config.num_heads, config.intermediate_size) == (heads, intermediate)
    assert (config.vocab_size, config.max_positions) == (30522, 512)


def test_defaults_are_bert_base():
    assert EncoderConfig() == EncoderConfig.from_name("base")


def test_huggingface_keys_round_trip():
    config = EncoderConfig.from_name(
        "tiny", vocab_size=99, activation="gelu_tanh", layer_norm_epsilon=1e-5
    )
    values = config.to_huggingface()
    assert values["hidden_act"] == "gelu_new"
    assert values["num_hidden_layers"] == 2
    assert values["type_vocab_size"] == 2
    assert EncoderConfig.from_huggingface(values) == config


def test_google_configuration_file_is_read(tmp_path):
    path = tmp_path / "bert_config.json"
    google = {
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "vocab_size": 50,
        "directionality": "x",
    }
    path.write_text(json.dumps(google))
    config = EncoderConfig.from_json_file(path)
    assert (config.hidden_size, config.num_layers, config.num_heads) == (64, 1, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 0}, "`hidden_size` must be a positive integer"),
        ({"num_layers": 2.0}, "`num_layers` must be a positive integer"),
        ({"num_heads": 5}, "`num_heads` must divide `hidden_size`"),
        ({"hidden_dropout": 1.0}, "`hidden_dropout` must be a probability"),
        ({"layer_norm_epsilon": 0}, "`layer_norm_epsilon` must be a positive number"),
        ({"activation": "geglu"}, "`activation` must be one of gelu, gelu_tanh"),
        ({"pad_token_id": 30522}, "`pad_token_id` must be an id of the vocabulary"),
    ],
)
def test_a_value_out_of_range_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        EncoderConfig(**changes)


def test_an_unknown_name_lists_the_names():
    with pytest.raises(ValueError, match="tiny, mini, small, medium, base, large"):
        EncoderConfig.from_name("huge")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "gpt2"}, "`model_type` must be 'bert'"),
        (
            {"position_embedding_type": "relative_key"},
            "`position_embedding_type` must be 'absolute'",
        ),
        ({"is_decoder": True}, "A decoder cannot be read"),
        ({"hidden_act": "mish"}, "`hidden_act` must be one of"),
    ],
)
def test_another_architecture_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        EncoderConfig.from_huggingface(values)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "must be JSON"), ("[]", "must be a JSON object")]
)
def test_a_broken_file_is_named(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        EncoderConfig.from_json_file(path)
    assert str(path) in str(error.value)
