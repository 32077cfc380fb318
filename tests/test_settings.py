import dataclasses
import json

import pytest
from absl import flags

from keras_bert_suite import settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    place: str = settings.setting(help="Where.", free=True)
    count: int = settings.setting(3, help="How many.")
    rate: float = settings.setting(0.5, help="How fast.")
    names: tuple[str, ...] = settings.setting(("a", "b"), help="Which.")
    loud: bool = settings.setting(False, help="Whether.")
    limit: int | None = settings.setting(None, help="At most.")

    def __post_init__(self):
        settings.check_types(self)


@pytest.fixture
def flag_values(monkeypatch):
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
    for kind, define in settings._DEFINE.items():

        def bound(*args, _define=define):
            return _define(*args, flag_values=flags.FLAGS)

        monkeypatch.setitem(settings._DEFINE, kind, bound)
    define_string = flags.DEFINE_string
    monkeypatch.setattr(
        flags, "DEFINE_string", lambda *a, **k: define_string(*a, flag_values=flags.FLAGS, **k)
    )
    settings.define_flags(Settings)
    return flags.FLAGS


def parse(flag_values, *arguments):
    flag_values(["program", *arguments])
    return settings.from_flags(Settings)


def test_flags_over_file_over_defaults(flag_values, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"place": "x", "count": 7, "names": ["c"], "rate": 2}))
    found = parse(flag_values, f"--config={path}", "--count=9", "--loud")
    assert found == Settings(place="x", count=9, rate=2, names=("c",), loud=True)
    assert found.names == ("c",)


def test_help_names_the_default(flag_values):
    assert flag_values["names"].help == "Which. (default: a,b)"
    assert flag_values["place"].help == "Where. (required)"


def test_a_required_setting_may_stand_in_the_file_but_must_stand_somewhere(flag_values, tmp_path):
    with pytest.raises(ValueError, match="These flags are required: --place."):
        parse(flag_values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be JSON in UTF-8"),
        ("[1]", "must hold a JSON object"),
        ('{"cuont": 1}', "unknown keys: cuont. Known: count, limit, loud, names, place, rate."),
    ],
)
def test_refuses_a_file(flag_values, tmp_path, text, message):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        parse(flag_values, f"--config={path}")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": "3"}, "count must be int. Received: '3'"),
        ({"count": True}, "count must be int. Received: True"),
        ({"rate": "fast"}, "rate must be float. Received: 'fast'"),
        ({"names": "ab"}, "names must be a list of strings. Received: 'ab'"),
        ({"loud": 1}, "loud must be bool. Received: 1"),
        ({"count": None}, "count must be int. Received: None"),
    ],
)
def test_refuses_a_type(values, message):
    with pytest.raises(ValueError, match=message):
        Settings(place="x", **values)


def test_compared_leaves_out_what_is_free():
    assert settings.compared(Settings(place="x", names=("c",))) == {
        "count": 3,
        "rate": 0.5,
        "names": ["c"],
        "loud": False,
        "limit": None,
    }
