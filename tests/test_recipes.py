"""Every recipe is a file of settings that the binaries take, and says where it is from."""

import json
import os
from pathlib import Path

import pytest

import keras_bert_suite
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.settings import read_config
from keras_bert_suite.training.ladder_settings import LadderSettings
from keras_bert_suite.training.pretraining_settings import PretrainingSettings

# In an installed package beside the others, in a checkout beside the package.
_PACKAGE = Path(keras_bert_suite.__file__).parent
_ROOM = next(room for room in (_PACKAGE / "recipes", _PACKAGE.parent / "recipes") if room.exists())
_RECIPES = sorted(path.stem for path in _ROOM.glob("*.json"))
_PATHS = {"train_data": "records/train-*", "tokenizer": "vocabulary", "output_dir": "out"}
_LADDER_PATHS = {"text": "*.txt", "train_file": "a", "dev_file": "b", "output_dir": "out"}


def test_the_recipes():
    assert _RECIPES == ["albert", "bert", "half_hour", "ladder", "roberta", "spanbert"]


@pytest.mark.parametrize("name", _RECIPES)
def test_it_says_what_it_is(name):
    about = " ".join(json.loads((_ROOM / f"{name}.json").read_text("utf-8"))["about"])
    for word in ("arXiv:", "bin/", f"--config=recipes/{name}.json", "Expected"):
        assert word in about, word
    if name != "ladder":
        assert "Hardware" in about and ("was not run here" in about) == (name != "half_hour")


@pytest.mark.parametrize("name", [name for name in _RECIPES if name != "ladder"])
def test_it_is_a_pretraining_run(name):
    values = read_config(PretrainingSettings, str(_ROOM / f"{name}.json"))
    found = PretrainingSettings(**values, **_PATHS)
    config = EncoderConfig.from_name(found.encoder)
    assert found.sequence_length <= config.max_positions
    assert found.warmup < found.num_steps and not found.weight_of_objective
    assert found.masking_rules.kind == found.masking
    if "sbo" in found.objectives:
        assert found.masking == "span"


def test_the_ladder_is_one():
    values = read_config(LadderSettings, str(_ROOM / "ladder.json"))
    assert LadderSettings(**values, **_LADDER_PATHS).seeds == 3


def test_a_recipe_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_path = read_config(PretrainingSettings, str(_ROOM / "spanbert.json"))
    assert read_config(PretrainingSettings, "spanbert") == by_path
    assert "about" not in by_path
    # A file comes first, and what is neither is a file that is missing.
    (tmp_path / "spanbert").write_text('{"num_steps": 7}')
    assert read_config(PretrainingSettings, "spanbert") == {"num_steps": 7}
    for name in ("electra", os.path.join("..", "recipes", "bert")):
        with pytest.raises(FileNotFoundError, match=name.rpartition("/")[2]):
            read_config(PretrainingSettings, name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rungs": ("subword", "sop")}, "rungs must be of subword, .*, sbo, each once.*'subword,s"),
        ({"rungs": ()}, "rungs must be of.* Received: ''"),
        ({"seeds": 0}, "seeds must be at least 1. Received: 0"),
        ({"vocab_size": 0.5}, "vocab_size must be int. Received: 0.5"),
    ],
)
def test_a_ladder_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        LadderSettings(**_LADDER_PATHS, **changes)
