"""The page of a run: what stands on it, and where its lines run."""

import re
from xml.etree import ElementTree

import pytest

from keras_bert_suite.training.report import write_report
from keras_bert_suite.training.report_chart import _marks, chart, number


def lines_of(figure, kind="training"):
    """The points of the figure's line of one kind: [(x, y), ...]."""
    (path,) = re.findall(rf'<path class="{kind}" d="M([^"]*)"', figure)
    return [tuple(map(float, point.split(","))) for point in path.split(" L")]


def test_a_line_runs_over_the_whole_frame():
    figure = chart("loss", {"training": ([50, 100], [4.0, 2.0])}, from_zero=False)
    # Marks 2, 2.5 .. 4; the frame spans x 52..428 for steps 0..100 and y 10..206.
    assert lines_of(figure) == [(240.0, 10.0), (428.0, 206.0)]
    assert figure.count("<circle") == 2 and "<polygon" not in figure
    assert '<span class="training">training 2</span>' in figure


def test_zero_belongs_to_a_scale_that_asks_for_it():
    figure = chart("share", {"training": ([1, 2], [0.5, 1.0])})
    assert [y for _, y in lines_of(figure)] == [108.0, 10.0]


def test_ten_thousand_points_become_means_with_a_band():
    steps = list(range(1, 10_001))
    values = [1.0 + (step % 2) * 2.0 for step in steps]  # 3, 1, 3, 1, ...
    figure = chart("norm", {"training": (steps, values)}, from_zero=False)
    points = lines_of(figure)
    assert len(points) <= 240 and len(figure) < 20_000
    assert "<circle" not in figure and figure.count("<polygon") == 1
    assert len({y for _, y in points[:-1]}) == 1  # each the mean of as many 1s as 3s: 2


def test_a_reference_line_is_in_the_frame_and_named():
    figure = chart(
        "mlm", {"training": ([1], [3.0])}, reference=("unigram entropy", 7.0), from_zero=False
    )
    assert 'y1="10.0" y2="10.0"' in figure and ">unigram entropy 7</text>" in figure


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0.0, 1.0, [0.0, 0.5, 1.0]),
        (3.9, 10.2, [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]),
        (5.0, 5.0, [4.5, 5.0, 5.5]),
        (0.0, 0.0, [0.0, 0.5, 1.0]),
        (0.0, 1e-4, [0.0, 5e-5, 1e-4]),
    ],
)
def test_marks_are_round_and_hold_the_values(low, high, marks):
    assert _marks(low, high) == pytest.approx(marks)


def test_numbers():
    assert [number(v) for v in (0.0, 1234567.8, 12.3456, 0.00012346)] == [
        *("0", "1,234,568", "12.35", "0.0001235")
    ]


HISTORY = [
    {"step": 10, "kind": "train", "loss": 4.0, "mlm_loss": 3.0, "nsp_loss": 1.0, "mood": "good"},
    {"step": 20, "kind": "train", "loss": float("nan"), "mlm_loss": 2.5, "nsp_loss": 0.5},
    {"step": 20, "kind": "eval", "mlm_loss": 2.75},
]


def page_of(path):
    text = path.read_text(encoding="utf-8")
    assert re.search(r"(src|href|url|@import|<script)", text) is None  # nothing is fetched or run
    for drawing in re.findall(r"<svg.*?</svg>", text):
        ElementTree.fromstring(drawing)
    return text


def test_the_page_of_a_finished_run(tmp_path):
    settings = {"objectives": ["mlm", "nsp"], "train_data": "<b>*", "num_steps": 20}
    metrics = {"mlm_loss": 2.75, "unigram_entropy": 6.5}
    path = write_report(
        tmp_path / "run", history=HISTORY, settings=settings, num_steps=20, metrics=metrics
    )
    text = page_of(path)
    assert "20 of 20 steps." in text and "<h1>run</h1>" in text
    assert re.findall(r"<figcaption><b>([^<]*)", text) == ["loss", "mlm loss", "nsp loss"]
    assert "training 2.5" in text and "held-out 2.75" in text and "unigram entropy 6.5" in text
    assert "<th>objectives</th><td>mlm, nsp</td>" in text
    assert "<td>&lt;b&gt;*</td>" in text and "<b>*" not in text


def test_the_page_of_an_interrupted_run_with_one_objective(tmp_path):
    history = [{"step": 5, "kind": "train", "loss": 2.0, "mlm_loss": 2.0}]
    text = page_of(write_report(tmp_path, history=history, settings={"a": 1}, num_steps=20))
    assert "5 of 20 steps, not finished." in text and "Final numbers" not in text
    assert re.findall(r"<figcaption><b>([^<]*)", text) == ["mlm loss"]


def test_the_page_of_a_run_without_records(tmp_path):
    assert "0 of 7 steps" in page_of(
        write_report(tmp_path, history=[], settings={"a": 1}, num_steps=7)
    )
