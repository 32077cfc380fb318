import json

import pytest

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.families import NAMED_SIZES


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


@pytest.mark.parametrize(("name", "heads"), [("L-2_H-256_A-8", 8), ("L-2_H-256", 4)])
def test_a_size_may_be_spelled_out(name, heads):
    config = EncoderConfig.from_name(name, vocab_size=9)
    assert (config.num_layers, config.hidden_size, config.num_heads) == (2, 256, heads)
    assert (config.intermediate_size, config.family, config.vocab_size) == (1024, "bert", 9)


def test_local_layers_are_said_in_the_keys_of_modernbert():
    config = EncoderConfig.from_name("albert-base-v2", local_attention=128)
    assert [config.reach(layer) for layer in range(7)] == [None, 64, 64, None, 64, 64, None]
    values = config.replace(global_attention_every=2).to_huggingface()
    assert (values["local_attention"], values["global_attn_every_n_layers"]) == (128, 2)
    assert EncoderConfig.from_huggingface(values).reach(2) is None
    assert EncoderConfig.from_huggingface(values).reach(3) == 64
    # Who has no windows writes no keys of them.
    assert "local_attention" not in EncoderConfig().to_huggingface()
    assert EncoderConfig().reach(1) is None


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


@pytest.mark.parametrize("name", NAMED_SIZES)
def test_every_named_size_round_trips(name):
    config = EncoderConfig.from_name(name)
    assert config.family == (name.split("-")[0] if "-" in name and "span" not in name else "bert")
    assert EncoderConfig.from_huggingface(config.to_huggingface()) == config


# Name -> what config.json of the published checkpoint says (roberta-base, albert/albert-xxlarge-v2,
# distilbert-base-uncased, google/electra-small-discriminator).
@pytest.mark.parametrize(
    ("name", "published"),
    [
        (
            "roberta-base",
            {
                "vocab_size": 50265,
                "max_position_embeddings": 514,
                "type_vocab_size": 1,
                "layer_norm_eps": 1e-05,
                "pad_token_id": 1,
                "hidden_act": "gelu",
            },
        ),
        (
            "albert-xxlarge-v2",
            {
                "vocab_size": 30000,
                "embedding_size": 128,
                "hidden_size": 4096,
                "intermediate_size": 16384,
                "num_attention_heads": 64,
                "num_hidden_layers": 12,
                "hidden_act": "gelu_new",
                "hidden_dropout_prob": 0.0,
                "num_hidden_groups": 1,
            },
        ),
        ("albert-xlarge-v2", {"hidden_size": 2048, "num_attention_heads": 16}),
        (
            "distilbert-base",
            {
                "dim": 768,
                "n_layers": 6,
                "n_heads": 12,
                "hidden_dim": 3072,
                "dropout": 0.1,
                "attention_dropout": 0.1,
                "activation": "gelu",
                "sinusoidal_pos_embds": False,
            },
        ),
        (
            "electra-small",
            {
                "embedding_size": 128,
                "hidden_size": 256,
                "intermediate_size": 1024,
                "num_attention_heads": 4,
                "num_hidden_layers": 12,
            },
        ),
        ("electra-base", {"embedding_size": 768, "hidden_size": 768}),
        ("spanbert-large", {"model_type": "bert", "vocab_size": 28996, "num_hidden_layers": 24}),
    ],
)
def test_named_sizes_are_those_published(name, published):
    values = EncoderConfig.from_name(name).to_huggingface()
    assert {key: values[key] for key in published} == published


@pytest.mark.parametrize(
    ("family", "expected"),
    # RobertaConfig(), AlbertConfig(), DistilBertConfig(), ElectraConfig() of transformers 5.23
    [
        ("roberta", {"vocab_size": 50265, "pad_token_id": 1, "max_positions": 510}),
        ("albert", {"hidden_size": 4096, "embedding_size": 128, "activation": "gelu_tanh"}),
        ("distilbert", {"num_layers": 6, "num_segments": 0, "use_pooler": False}),
        ("electra", {"hidden_size": 256, "embedding_size": 128, "num_heads": 4}),
    ],
)
def test_an_absent_key_has_the_value_that_transformers_takes(family, expected):
    config = EncoderConfig.from_huggingface({"model_type": family}).to_dict()
    assert {key: config[key] for key in expected} == expected


def test_roberta_counts_positions_from_behind_the_padding_id():
    config = EncoderConfig.from_name("roberta-base", pad_token_id=0, max_positions=10)
    assert config.position_offset == 1
    assert config.to_huggingface()["max_position_embeddings"] == 11
    assert EncoderConfig.from_name("base").position_offset == 0


def test_google_s_albert_file_has_no_model_type():
    values = {"embedding_size": 16, "num_hidden_groups": 1, "hidden_size": 32}
    config = EncoderConfig.from_huggingface({**values, "num_attention_heads": 4})
    assert (config.family, config.share_layers, config.embedding_size) == ("albert", True, 16)


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
        ({"family": "xlnet"}, "`family` must be one of bert, roberta, .* family='xlnet'"),
        ({"num_segments": -1}, "`num_segments` must be an integer, 0 or more"),
        ({"num_segments": 0}, "'bert' must have at least one segment; the family 'distilbert'"),
        ({"embedding_size": 0}, "`embedding_size` must be a positive integer"),
        ({"embedding_size": 64}, "family 'bert' must have embedding_size=None. .*=64"),
        ({"share_layers": True}, "family 'bert' must have share_layers=False"),
        ({"use_pooler": 1}, "`use_pooler` must be a bool"),
        ({"family": "albert"}, "family 'albert' must have share_layers=True"),
        ({"family": "albert", "share_layers": True}, "must have an `embedding_size`"),
        ({"family": "distilbert"}, "family 'distilbert' must have num_segments=0"),
        ({"family": "electra"}, "family 'electra' must have use_pooler=False"),
        (
            {"family": "electra", "use_pooler": False, "embedding_size": 768},
            "to another size. Received: embedding_size=hidden_size=768",
        ),
        ({"local_attention": 1}, "both sides: at least 2. Received: local_attention=1"),
        ({"local_attention": 2.5}, "`local_attention` must be a positive integer.*2.5"),
        ({"global_attention_every": 0}, "`global_attention_every` must be a positive integer"),
    ],
)
def test_a_value_out_of_range_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        EncoderConfig(**changes)


@pytest.mark.parametrize("name", ["huge", "L-2", "L-2_H-256_A-4.json", "L-0_H-256"])
def test_an_unknown_name_lists_the_names(name):
    message = "num_layers" if "L-0" in name else "tiny, mini, small.*such as L-2_H-256_A-4"
    with pytest.raises(ValueError, match=message):
        EncoderConfig.from_name(name)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "gpt2"}, "`model_type` must be one of bert, roberta, albert, .*'gpt2'"),
        (
            {"position_embedding_type": "relative_key"},
            "`position_embedding_type` must be 'absolute'",
        ),
        ({"is_decoder": True}, "A decoder cannot be read"),
        ({"hidden_act": "mish"}, "`hidden_act` must be one of"),
        ({"model_type": "distilbert", "activation": "mish"}, "`activation` must be one of gelu,"),
        ({"model_type": "albert", "num_hidden_groups": 2}, "`num_hidden_groups` must be 1. .* 2"),
        ({"model_type": "albert", "inner_group_num": 3}, "`inner_group_num` must be 1. .* 3"),
        (
            {"model_type": "roberta", "max_position_embeddings": 2},
            "`max_positions` must be a positive integer. Received: max_positions=0",
        ),
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
