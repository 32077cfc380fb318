"""The table, the Markdown and the picture of made-up measurements."""

import struct

import pytest

from keras_bert_suite.benchmark import picture, report
from keras_bert_suite.benchmark.contest import Case, Outcome, Rival
from keras_bert_suite.benchmark.entrants import Entrant, Run

OURS, PEER = (Entrant(label=label, contestant="x") for label in ("ours", "Peer | one"))


@pytest.fixture
def results():
    case = Case(
        name="8 rows",
        unit="useful tokens",
        entrant=OURS,
        work={},
        rivals=[Rival(entrant=PEER, work={}, wanted=2.5, wanted_memory=1.0)],
        useful_flop=8e9,
        wanted_share=0.9,
        shows_memory=True,
    )
    runs = {
        "ours": [Run(1.0, 3000.0, 6000), Run(2.0, 3000.0, 3000, {"loss": 0.75})],
        "Peer | one": [Run(2.0, 3000.0, 3000), Run(4.0, 3000.0, 3000)],
        "matmul float32": [Run(1.0, 1e10, 0), Run(2.0, 1e10, 0)],
    }
    versions = {"ours": {"keras": "3.15"}, "Peer | one": {"keras": "3.14"}, "matmul float32": {}}
    outcome = Outcome(case, runs, versions, {"Peer | one": 2.5e-6})
    suite = {
        "name": "encoder",
        "about": "Rows.",
        "seconds": 12.3,
        "cases": [report.outcome_to_json(outcome)],
    }
    machine = {"processor": "a chip", "cores": 2, "system": "Linux", "load": 0.25}
    return {
        "command": "bin/benchmark.py --suites=encoder",
        "machine": machine,
        "rounds": 2,
        "absent": ["onnxruntime (--onnx_python)"],
        "suites": [suite],
    }


def test_the_table_says_what_was_reached(results):
    header, share, peer, memory = report.table(results)
    assert header[:3] == ["work", "against", "ratio"]
    assert share == [
        "encoder: 8 rows",
        "useful FLOP / matmul rate",
        "0.80",
        "0.80 - 0.80",
        "0.90 NO",
        "6 GFLOP/s",
        "7.5 GFLOP/s",
        "",
    ]
    assert peer == [
        "",
        "Peer | one",
        "2.00",
        "2.00 - 2.00",
        "2.50 NO",
        "2.25 k/s",
        "1.12 k/s",
        "2.5e-06",
    ]
    # 2 bytes a token beside 1: twice the memory
    assert memory[1:6] == ["Peer | one, memory", "0.50", "0.50 - 0.50", "1.00 NO", "2 B"]
    lines = report.text_table(report.table(results)).splitlines()
    assert len({line.index("0.80" if "0.80" in line else "2.00") for line in lines[1:3]}) == 1


def test_json_has_every_measurement(results):
    case = results["suites"][0]["cases"][0]
    assert case["entrants"]["ours"]["seconds"] == [1.0, 2.0]
    assert case["entrants"]["Peer | one"]["rate"] == 1125.0
    assert case["useful_share_of_matmul_rate"]["median"] == pytest.approx(0.8)
    assert [line["reached"] for line in case["lines"]] == [False, False, False]


def test_markdown_names_machine_versions_and_who_stayed_away(results):
    text = report.markdown(results)
    assert "a chip, 2 cores, Linux; load before the run 0.2" in text
    assert "| Peer \\| one | 2.00 |" in text
    assert "- encoder: Rows. 12 s." in text
    assert "- encoder, 8 rows, last run: ours loss 0.750\n" in text
    assert "Versions: keras 3.14 and 3.15." in text
    assert "Not measured: onnxruntime (--onnx_python)" in text


@pytest.mark.parametrize(
    ("value", "text"), [(12345, "12.3 k"), (4.25e11, "425 G"), (0.5, "0.5 "), (999, "999 ")]
)
def test_numbers_have_three_digits(value, text):
    assert report.number(value) == text


def test_the_picture_is_a_png_with_a_bar_a_line(results, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "benchmark.png"
    picture.draw(path, results)
    one = path.read_bytes()
    assert one.startswith(b"\x89PNG\r\n")
    height = struct.unpack(">I", one[20:24])[0]
    results["suites"] *= 2
    picture.draw(path, results)
    taller = struct.unpack(">I", path.read_bytes()[20:24])[0]
    # three bars more, of 0.24 inches with 110 dots each
    assert taller - height == pytest.approx(3 * 0.24 * 110, abs=2)
