"""Named alternatives: found by name, told by flags, kept as JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import ClassVar

import pytest
from absl import flags

from keras_bert_suite.choices import option
from keras_bert_suite.tasks.classification import Classification
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.tuning.full import FullTuning
from keras_bert_suite.tuning.method import TuningMethod


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sparse(TuningMethod):
    """An alternative that a user defines elsewhere."""

    name: ClassVar[str] = "sparse_for_test"
    default_learning_rate: ClassVar[float] = 1.0
    default_epochs: ClassVar[int] = 1
    rank: int = option(8, kind="integer", help="Rank for test.")
    layers_for_test: tuple[str, ...] = option((), kind="list", help="Layers.", adjustable=True)

    def apply(self, model):
        return model

    def saved(self, model):
        return []

    def merge(self, model):
        return model


def test_alternatives_are_found_in_their_room_and_elsewhere():
    assert Task.named("classification") is Classification
    assert TuningMethod.named("full") is FullTuning
    assert TuningMethod.alternatives()["sparse_for_test"] is Sparse
    assert "sparse_for_test" not in Task.alternatives()


def test_unknown_names_get_the_known_ones():
    with pytest.raises(ValueError, match="Unknown task 'regresion'. Known: classification"):
        Task.named("regresion")
    with pytest.raises(ValueError, match="Unknown tuning method 'half'. Known: bitfit, full, "):
        TuningMethod.from_options("half", {})


def test_options_that_are_given_and_those_that_are_not():
    assert TuningMethod.from_options("sparse_for_test", {"rank": None}) == Sparse(rank=8)
    told = TuningMethod.from_options("sparse_for_test", {"rank": 4, "layers_for_test": ["a", "b"]})
    assert told == Sparse(rank=4, layers_for_test=("a", "b"))
    assert told.adjusted({"layers_for_test": ["c"], "rank": None}).layers_for_test == ("c",)


def test_an_option_of_another_alternative_is_an_error():
    expected = "--rank does not apply to the tuning method 'full'. Leave it out."
    with pytest.raises(ValueError, match=expected):
        TuningMethod.from_options("full", {"rank": 4})


def test_config_round_trip_through_json():
    told = Sparse(rank=2, layers_for_test=("a", "b"))
    config = json.loads(json.dumps(told.to_config()))
    assert config == {"name": "sparse_for_test", "rank": 2, "layers_for_test": ["a", "b"]}
    assert TuningMethod.from_config(config) == told


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "full", "rank": 3}, "'full' has unknown keys: rank. Was it written by a newer"),
        ({"rank": 3}, 'is an object with a "name". Received'),
        (["full"], 'is an object with a "name". Received'),
        ({"name": "none"}, "Unknown tuning method 'none'"),
    ],
)
def test_configs_that_cannot_be_used(config, message):
    with pytest.raises(ValueError, match=message):
        TuningMethod.from_config(config)


def test_flags_tell_given_from_not_given(monkeypatch):
    values = flags.FlagValues()
    defined = {}
    kinds = {
        "integer": flags.DEFINE_integer,
        "float": flags.DEFINE_float,
        "list": flags.DEFINE_list,
    }
    for kind, define in kinds.items():
        monkeypatch.setitem(
            __import__("keras_bert_suite.choices").choices._DEFINE,
            kind,
            lambda *args, define=define: define(*args, flag_values=values),
        )
    defined = TuningMethod.define_flags()
    values(["program", "--layers_for_test=a,b"])
    told = {name: holder.value for name, holder in defined.items()}
    assert told.pop("layers_for_test") == ["a", "b"]
    assert "rank" in told and set(told.values()) == {None}
    assert values["rank"].help == "Rank for test. (default: 8)"


def test_only_adjustable_options_where_training_fixed_the_others(monkeypatch):
    made = []
    choices = __import__("keras_bert_suite.choices").choices
    for kind in ("integer", "list"):
        monkeypatch.setitem(choices._DEFINE, kind, lambda name, *rest: made.append(name))
    TuningMethod.define_flags(adjustable_only=True)
    assert made == ["layers_for_test"]
