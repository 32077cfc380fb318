"""The tables of the families beside BERT: literal names, and every value back where it was."""

from __future__ import annotations

import numpy as np
import pytest

from keras_bert_suite.checkpoints import huggingface
from keras_bert_suite.checkpoints.huggingface import CurrentNames
from keras_bert_suite.checkpoints.huggingface_tables import TABLES
from keras_bert_suite.checkpoints.model_directory import load_encoder, load_model, save_model
from keras_bert_suite.families import FIXED
from keras_bert_suite.models.bert_model import BertModel

_OPTIONS = {
    "bert": {},
    "roberta": {"num_segments": 1, "pad_token_id": 1},
    "albert": {"embedding_size": 3, "num_layers": 2},
    "distilbert": {},
    "electra": {"embedding_size": 3},
}
_BLOCK = {
    "attention.self.query": (4, 4),
    "attention.self.key": (4, 4),
    "attention.self.value": (4, 4),
    "attention.output.dense": (4, 4),
    "attention.output.LayerNorm": (4,),
    "intermediate.dense": (6, 4),
    "output.dense": (4, 6),
    "output.LayerNorm": (4,),
}
# What transformers 5.23 stores for encoders of one layer (ALBERT: of any number): the shapes of the
# weights; a bias is as long as the first axis.
_EMBEDDINGS = {"word_embeddings": (11, 3), "position_embeddings": (8, 3), "LayerNorm": (3,)}
_ENCODERS = {
    "roberta": {
        "embeddings.word_embeddings": (11, 4),
        "embeddings.position_embeddings": (10, 4),  # 8 and two before the first
        "embeddings.token_type_embeddings": (1, 4),
        "embeddings.LayerNorm": (4,),
        **{f"encoder.layer.0.{name}": shape for name, shape in _BLOCK.items()},
        "pooler.dense": (4, 4),
    },
    "albert": {
        **{f"embeddings.{name}": shape for name, shape in _EMBEDDINGS.items()},
        "embeddings.token_type_embeddings": (2, 3),
        "encoder.embedding_hidden_mapping_in": (4, 3),
        **{
            f"encoder.albert_layer_groups.0.albert_layers.0.{name}": shape
            for name, shape in {
                "full_layer_layer_norm": (4,),
                "attention.query": (4, 4),
                "attention.key": (4, 4),
                "attention.value": (4, 4),
                "attention.dense": (4, 4),
                "attention.LayerNorm": (4,),
                "ffn": (6, 4),
                "ffn_output": (4, 6),
            }.items()
        },
        "pooler": (4, 4),
    },
    "distilbert": {
        "embeddings.word_embeddings": (11, 4),
        "embeddings.position_embeddings": (8, 4),
        "embeddings.LayerNorm": (4,),
        "transformer.layer.0.attention.q_lin": (4, 4),
        "transformer.layer.0.attention.k_lin": (4, 4),
        "transformer.layer.0.attention.v_lin": (4, 4),
        "transformer.layer.0.attention.out_lin": (4, 4),
        "transformer.layer.0.sa_layer_norm": (4,),
        "transformer.layer.0.ffn.lin1": (6, 4),
        "transformer.layer.0.ffn.lin2": (4, 6),
        "transformer.layer.0.output_layer_norm": (4,),
    },
    "electra": {
        **{f"embeddings.{name}": shape for name, shape in _EMBEDDINGS.items()},
        "embeddings.token_type_embeddings": (2, 3),
        "embeddings_project": (4, 3),
        **{f"encoder.layer.0.{name}": shape for name, shape in _BLOCK.items()},
    },
}
_TAGS = {"classifier": (3, 4)}
_SPANS = {"qa_outputs": (2, 4)}
_DENSE_AND_OUT = {"classifier.dense": (4, 4), "classifier.out_proj": (3, 4)}
_HEADS = {
    "roberta": {
        "mlm": {"lm_head.dense": (4, 4), "lm_head.layer_norm": (4,), "lm_head": 11},
        "classification": _DENSE_AND_OUT,
        "labeling": _TAGS,
        "qa": _SPANS,
    },
    "albert": {
        "mlm": {"predictions.dense": (3, 4), "predictions.LayerNorm": (3,), "predictions": 11},
        "sop": {"sop_classifier.classifier": (2, 4)},
        "classification": _TAGS,
        "labeling": _TAGS,
        "qa": _SPANS,
    },
    "distilbert": {
        "mlm": {"vocab_transform": (4, 4), "vocab_layer_norm": (4,), "vocab_projector": 11},
        "classification": {"pre_classifier": (4, 4), "classifier": (3, 4)},
        "labeling": _TAGS,
        "qa": _SPANS,
    },
    "electra": {
        "mlm": {
            "generator_predictions.dense": (3, 4),
            "generator_predictions.LayerNorm": (3,),
            "generator_lm_head": 11,
        },
        "rtd": {
            "discriminator_predictions.dense": (4, 4),
            "discriminator_predictions.dense_prediction": (1, 4),
        },
        "classification": _DENSE_AND_OUT,
        "labeling": _TAGS,
        "qa": _SPANS,
    },
}
_BOUNDARY = {
    "span_boundary.distance_embeddings": (128, 200),
    "span_boundary.hidden_1": (4, 2 * 4 + 200),
    "span_boundary.norm_1": (4,),
    "span_boundary.hidden_2": (4, 4),
    "span_boundary.norm_2": (4,),
    "span_boundary": 11,
}
_OWN = {
    "nsp": {"next_sentence.classifier": (2, 4)},
    "sop": {"sentence_order.classifier": (2, 4)},
    "sbo": _BOUNDARY,
}
_HEADS = {family: {**_OWN, **heads} for family, heads in _HEADS.items()}
for _factorised in ("albert", "electra"):
    _HEADS[_factorised]["sbo"] = {**_BOUNDARY, "span_boundary.projection": (3, 4)}
_CHOICE = {"roberta": None, "albert": None, "distilbert": "pre_classifier"}
for _family, _hidden in {**_CHOICE, "electra": "sequence_summary.summary"}.items():
    _hidden_layer = {_hidden: (4, 4)} if _hidden else {}
    _HEADS[_family]["multiple_choice"] = {**_hidden_layer, "classifier": (1, 4)}
_ALL = [(family, kind) for family, heads in _HEADS.items() for kind in heads]


def _config(tiny, family, **changes):
    fields = {**FIXED[family], **_OPTIONS[family], **changes}
    return tiny.CONFIG.replace(family=family, **fields)


def _tensors(layers):
    """Names and shapes of weight and bias; a number is the length of a bias alone."""
    tensors = {}
    for name, shape in layers.items():
        if isinstance(shape, int):
            tensors[f"{name}.bias"] = (shape,)
            continue
        tensors[f"{name}.weight"] = shape
        if not name.endswith("_embeddings"):
            tensors[f"{name}.bias"] = shape[:1]
    return tensors


@pytest.mark.parametrize("family, kind", _ALL)
def test_names_and_shapes_literally(tiny, family, kind):
    model = tiny.make_model(kind, config=_config(tiny, family))
    tensors = huggingface.write_weights(model.encoder, model.heads)
    encoder = {f"{family}.{name}": shape for name, shape in _tensors(_ENCODERS[family]).items()}
    expected = {**encoder, **_tensors(_HEADS[family][kind])}
    assert {name: value.shape for name, value in tensors.items()} == expected


@pytest.mark.parametrize("family", _ENCODERS)
def test_an_encoder_alone_has_no_prefix(tiny, family, tmp_path):
    encoder = tiny.make_model(config=_config(tiny, family)).encoder
    names = set(huggingface.write_weights(encoder, {}))
    assert names == set(_tensors(_ENCODERS[family]))
    save_model(encoder, tmp_path / "m")
    loaded = load_encoder(tmp_path / "m")
    assert loaded.config == encoder.config
    assert tiny.weight_values(loaded) == tiny.weight_values(encoder)


@pytest.mark.parametrize("family, kind", _ALL)
def test_round_trip_is_bitwise(tiny, tmp_path, family, kind):
    model = tiny.make_model(kind, config=_config(tiny, family))
    save_model(model, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert loaded.encoder.config == model.encoder.config
    assert tiny.weight_values(loaded) == tiny.weight_values(model)
    assert getattr(loaded.heads[kind], "labels", None) == getattr(model.heads[kind], "labels", None)
    batch = tiny.batch()
    for name, logits in model(batch).items():
        np.testing.assert_array_equal(loaded(batch)[name], logits)


def test_every_family_and_every_head_is_tested_here():
    assert set(_HEADS) | {"bert"} == set(TABLES) == set(_OPTIONS)
    for family, heads in _HEADS.items():
        # Tested with their tasks: the span classifier, whose config is part of its shape, and the
        # heads without weights.
        elsewhere = {"span", "embedding", "token_vectors"}
        assert set(heads) | elsewhere == set(TABLES[family].heads)


def test_electra_without_projection(tiny, tmp_path):
    config = _config(tiny, "electra", embedding_size=None)
    model = tiny.make_model("rtd", config=config)
    tensors = huggingface.write_weights(model.encoder, model.heads)
    assert not [name for name in tensors if "embeddings_project" in name]
    save_model(model, tmp_path / "m")
    assert load_model(tmp_path / "m").encoder.config == config


@pytest.mark.parametrize("family", TABLES)
def test_what_repeats_the_embedding_table_must_equal_it(tiny, family):
    model = tiny.make_model("mlm", config=_config(tiny, family))

    class Source:
        path = "model.safetensors"
        tensors = huggingface.write_weights(model.encoder, model.heads)

        @property
        def names(self):
            return set(self.tensors)

        def shape(self, name):
            return self.tensors[name].shape

        def read(self, name):
            return self.tensors[name]

    (tied,) = [name for name in TABLES[family].ties if name.endswith(".weight")]
    words = f"{family}.embeddings.word_embeddings.weight"
    Source.tensors[tied] = Source.tensors[words]
    huggingface.read_weights(CurrentNames(Source(), family), model.encoder, model.heads)
    Source.tensors[tied] = Source.tensors[words] + 1
    with pytest.raises(ValueError, match=f"'{tied}' must equal '{words}'"):
        huggingface.read_weights(CurrentNames(Source(), family), model.encoder, model.heads)


# A pooler stays where the file has one, unless heads are asked for that do not need it.
@pytest.mark.parametrize(
    "stored, asked, expected",
    [
        (True, None, True),
        (True, [], True),
        (True, ["mlm"], True),
        (True, ["nsp"], True),
        (True, ["labeling"], False),
        (True, ["qa"], False),
        (False, None, False),
        (False, [], False),
        (False, ["mlm"], False),
        (False, ["classification"], True),
    ],
)
def test_pooler(tiny, tmp_path, stored, asked, expected):
    model = tiny.make_model("mlm", config=tiny.CONFIG.replace(use_pooler=stored))
    save_model(model, tmp_path / "m")
    heads = None if asked is None else [tiny.make_head(kind) for kind in asked]
    encoder = load_model(tmp_path / "m", heads=heads).encoder
    assert encoder.config.use_pooler is expected
    assert (encoder.pooler is not None) is expected
    if stored and expected:
        ours, theirs = encoder.pooler.get_weights(), model.encoder.pooler.get_weights()
        np.testing.assert_array_equal(ours[0], theirs[0])


@pytest.mark.parametrize(
    "family, key, value",
    [
        ("roberta", "max_position_embeddings", 12),
        ("roberta", "type_vocab_size", 2),
        ("albert", "embedding_size", 4),
        ("albert", "hidden_size", 8),
        ("distilbert", "dim", 8),
        ("distilbert", "hidden_dim", 7),
        ("distilbert", "n_layers", 2),
        ("electra", "embedding_size", 2),
        ("electra", "hidden_size", 10**12),
        ("electra", "num_hidden_layers", 3),
    ],
)
def test_sizes_that_contradict_the_tensors(tiny, tmp_path, family, key, value):
    save_model(tiny.make_model(config=_config(tiny, family)), tmp_path)
    tiny.edit_config(tmp_path, **{key: value})
    with pytest.raises(ValueError, match=f"config.json says {key}={value}. One of the two"):
        load_model(tmp_path)


def test_the_model_type_of_another_family(tiny, tmp_path):
    save_model(tiny.make_model("mlm", config=_config(tiny, "roberta")), tmp_path)
    tiny.edit_config(tmp_path, model_type="bert", architectures=["BertForMaskedLM"])
    with pytest.raises(ValueError, match="'bert.embeddings.word_embeddings.weight' is missing"):
        load_model(tmp_path)


def test_a_head_of_another_family_is_not_saved(tiny, tmp_path):
    config = _config(tiny, "roberta")
    model = BertModel(tiny.make_model(config=config).encoder, [tiny.make_head("rtd")])
    with pytest.raises(ValueError, match="encoder of the family 'roberta'. Received: 'rtd'"):
        save_model(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_classifier_without_the_family_s_hidden_layer_starts_fresh(tiny, tmp_path, caplog):
    config = _config(tiny, "roberta")
    save_model(tiny.make_model("classification", config=config), tmp_path / "m")
    head = tiny.make_head("classification")  # BERT's, on the pooled output
    load_model(tmp_path / "m", heads=[head])
    assert "its classification head is another (hidden_activation 'tanh')" in caplog.text
