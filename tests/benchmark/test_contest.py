"""Processes, turns and ratios, with contestants that take no time."""

import os
from pathlib import Path

import pytest

from keras_bert_suite.benchmark.contest import Case, Outcome, Ratio, Rival, run_cases
from keras_bert_suite.benchmark.entrants import Entrant, Run, WarmProcess
from keras_bert_suite.benchmark.worker import Session

_SUPPORT = Path(__file__).resolve().parent.parent / "support"
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([str(_SUPPORT), os.environ.get("PYTHONPATH", "")])}


def toy(name, seconds=1.0, **options):
    options = {"name": name, "seconds": seconds, **options}
    if "lives" in options:
        options["lives"] = str(options["lives"] / "lives")
    return Entrant(label=name, contestant="toys.benchmark_toy", options=options)


def case(tmp_path, ours, *rivals, work=None, **options):
    work = {"turns": str(tmp_path / "turns"), **(work or {})}
    return Case(
        name="nothing",
        unit="things",
        entrant=ours,
        work=work,
        rivals=[Rival(entrant=rival, work=work) for rival in rivals],
        **options,
    )


def run(cases, rounds=1):
    return run_cases(cases, rounds=rounds, environment=ENVIRONMENT)


def test_contestants_take_turns_that_turn_around(tmp_path):
    (outcome,) = run([case(tmp_path, toy("a"), toy("b", 3.0), toy("c"))], rounds=3)
    # The first turn warms up and is not counted.
    assert (tmp_path / "turns").read_text() == "abc" + "abc" + "cba" + "abc"
    assert [len(outcome.runs[label]) for label in "abc"] == [3, 3, 3]
    # 10 units in 1 s beside 10 in 3 s
    assert outcome.ratio("b") == Ratio(3.0, 3.0, 3.0)
    assert outcome.rates("a") == [10.0, 10.0, 10.0]
    assert outcome.useful_share() is None


def test_what_is_computed_is_compared(tmp_path):
    cases = [
        case(
            tmp_path,
            toy("a", outputs=[[1.0, 2.0]]),
            toy("b", outputs=[[1.0, 2.25]]),
            toy("c"),
            compares="numbers",
        )
    ]
    (outcome,) = run(cases)
    assert outcome.differences == {"b": 0.25}


def test_rows_that_differ_are_counted(tmp_path):
    ours = toy("a", outputs=[[1, 2], [3, 4], [5, 6], [7, 8]])
    theirs = toy("b", outputs=[[1, 2], [0, 0], [5, 6], [7, 9]])
    (outcome,) = run([case(tmp_path, ours, theirs, compares="rows")])
    assert outcome.differences == {"b": 0.5}


def test_a_process_lives_from_its_first_case_to_its_last(tmp_path):
    first = case(tmp_path, toy("a", lives=tmp_path), toy("b", lives=tmp_path))
    second = case(tmp_path, toy("a", lives=tmp_path), toy("c", lives=tmp_path))
    third = case(tmp_path, toy("c", lives=tmp_path))
    run([first, second, third])
    lives = (tmp_path / "lives").read_text().split()
    # Those of one case start together, in any order.
    assert sorted(lives[:2]) == ["+a", "+b"]
    assert lives[2:] == ["-b", "+c", "-a", "-c"]


def test_ratios_are_taken_within_a_round():
    # The machine slows down from round to round; within each round ours is twice as fast, but once
    # three times.
    ratio = Ratio.of([10.0, 8.0, 6.0, 4.0, 2.0], [5.0, 4.0, 2.0, 2.0, 1.0])
    assert ratio == Ratio(median=2.0, low=2.0, high=2.0)
    # Quartiles of 1, 2, 3, 4, 5
    assert Ratio.spread([5.0, 1.0, 4.0, 2.0, 3.0]) == Ratio(median=3.0, low=2.0, high=4.0)
    assert Ratio.spread([7.0]) == Ratio(7.0, 7.0, 7.0)


def test_the_useful_share_is_that_of_the_round_s_matmul_rate():
    ours = toy("a")
    one = Case(name="n", unit="u", entrant=ours, work={}, useful_flop=60.0)
    runs = {
        "a": [Run(2.0, 5.0, 100), Run(4.0, 5.0, 300)],
        # 100 and 30 FLOP/s
        "matmul float32": [Run(1.0, 100.0, 0), Run(1.0, 30.0, 0)],
    }
    outcome = Outcome(one, runs, {}, {})
    # 60 FLOP in 2 s of 100 a second; in 4 s of 30: 0.3 and 0.5
    assert outcome.useful_share().median == pytest.approx(0.4)
    assert outcome.peak_bytes("a") == 60.0


def test_peak_memory_is_that_of_the_runs(tmp_path):
    megabytes = 64
    # Loading takes more, for a moment; a process is measured again in a later case.
    hungry = toy("a", loads=3 * megabytes * 2**20)
    filled = case(tmp_path, hungry, work={"fills": megabytes * 2**20})
    for outcome in run([filled, filled]):
        # of 10 units
        assert outcome.peak_bytes("a") * 10 == pytest.approx(megabytes * 2**20, rel=0.1)


def test_rounds_below_one(tmp_path):
    with pytest.raises(ValueError, match="rounds must be at least 1. Received: 0"):
        run([case(tmp_path, toy("a"))], rounds=0)


def test_a_contestant_that_cannot_prepare(tmp_path):
    with pytest.raises(ValueError, match=r"b \(.*python.*\): ValueError: it refuses"):
        run([case(tmp_path, toy("a"), toy("b", refuses=True))])


def test_a_contestant_that_is_not_there():
    process = WarmProcess(Entrant(label="x", contestant="nobody"))
    process.begin_preparing()
    with pytest.raises(ValueError, match="x .*ModuleNotFoundError.*contestants.nobody"):
        process.prepared()
    process.close()


def test_a_process_that_dies(tmp_path):
    dying = case(tmp_path, toy("a"), work={"dies": True})
    with pytest.raises(ValueError, match="a: the process .* ended.*It printed: .*the end is near"):
        run([dying])


def test_a_python_that_is_not_there(tmp_path):
    entrant = Entrant(label="torch", contestant="toys.benchmark_toy", python=str(tmp_path / "no"))
    with pytest.raises(ValueError, match="torch: .*no cannot be started .*virtual environment"):
        WarmProcess(entrant)


def test_numbers_that_are_not_of_the_same_work(tmp_path):
    ours, theirs = toy("a", outputs=[1.0, 2.0]), toy("b", outputs=[1.0])
    with pytest.raises(ValueError, match=r"b computes \[1\] numbers, a \[2\]"):
        run([case(tmp_path, ours, theirs, compares="numbers")])


def test_a_request_that_nobody_knows():
    assert Session().answer({"do": "sleep"}) == {
        "error": "AttributeError: 'Session' object has no attribute '_sleep'"
    }


def cold(**options):
    child = {"name": "c", "seconds": 1.0, **options}
    return Entrant(
        label="cold",
        contestant="cold_process",
        options={"contestant": "toys.benchmark_toy", "options": child},
    )


def test_a_cold_start_is_a_process_each_time(tmp_path):
    (outcome,) = run([case(tmp_path, cold(lives=str(tmp_path / "lives")))], rounds=2)
    assert (tmp_path / "lives").read_text().split().count("+c") == 3
    # Python's own start takes some time, whatever the child says of its work.
    assert all(0.005 < one.seconds < 60 and one.units == 1 for one in outcome.runs["cold"])


def test_a_cold_start_that_fails(tmp_path):
    with pytest.raises(ValueError, match="cold .*RuntimeError: ValueError: it refuses"):
        run([case(tmp_path, cold(refuses=True))])
