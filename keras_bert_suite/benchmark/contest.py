"""Cases and how they are run: contestants take turns, ratios are taken within a round."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_bert_suite.benchmark.entrants import Entrant, Run, WarmProcess

MATMUL = Entrant(label="matmul float32", contestant="tensorflow_matmul")
_MATMUL_WORK = {"shape": [1024, 1024, 1024], "dtype": "float32", "times": 20}


_COMPARISONS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "numbers": lambda ours, theirs: float(np.max(np.abs(ours - theirs), initial=0.0)),
    "rows": lambda ours, theirs: float(np.mean(np.any(ours != theirs, axis=1))),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rival:
    """Somebody to be compared with.

    Attributes:
      entrant: who.
      work: what it is given; the same work as ours, perhaps in another form.
      wanted: the ratio of speeds that is aimed at; None: it is only told.
      wanted_memory: the same of memory: theirs over ours, where the case shows memory.
    """

    entrant: Entrant
    work: Mapping[str, Any]
    wanted: float | None = None
    wanted_memory: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of work.

    Attributes:
      name: of the work, for people.
      unit: what is counted, in the plural ("useful tokens").
      entrant, work: ours.
      rivals: the others.
      useful_flop: of one run of ours, by formula; None where there is none. The machine's matmul
        rate is then measured in the same rounds.
      wanted_share: of that rate; None: it is only told.
      shows_memory: whether the peak memory a unit belongs in the table.
      compares: how outputs are compared: "numbers", the largest absolute difference; "rows", the
        share of rows that differ anywhere; None: not at all. That happens before the first run.
    """

    name: str
    unit: str
    entrant: Entrant
    work: Mapping[str, Any]
    rivals: Sequence[Rival] = ()
    useful_flop: float | None = None
    wanted_share: float | None = None
    shows_memory: bool = False
    compares: str | None = None

    @property
    def works(self) -> list[tuple[Entrant, Mapping[str, Any]]]:
        """Who does what in a round, ours first."""
        both = [(self.entrant, self.work), *((r.entrant, r.work) for r in self.rivals)]
        return [*both, (MATMUL, _MATMUL_WORK)] if self.useful_flop else both


@dataclasses.dataclass(frozen=True)
class Ratio:
    """How many times as fast: the median over the rounds, and the quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
        """The ratios of rates that were measured side by side, round by round."""
        return cls.spread([our / their for our, their in zip(ours, theirs, strict=True)])

    @classmethod
    def spread(cls, values: Sequence[float]) -> Ratio:
        """Median and quartiles of some values."""
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(statistics.median(values), low, high)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
      case: the case.
      runs: label -> its runs, one a round.
      versions: label -> library -> version.
      differences: label -> what the comparison with ours gave.
    """

    case: Case
    runs: dict[str, list[Run]]
    versions: dict[str, dict[str, str]]
    differences: dict[str, float]

    def rates(self, label: str) -> list[float]:
        """Units a second of each round."""
        return [run.rate for run in self.runs[label]]

    def ratio(self, label: str) -> Ratio:
        """How many times as fast ours was."""
        return Ratio.of(self.rates(self.case.entrant.label), self.rates(label))

    def useful_share(self) -> Ratio | None:
        """The useful FLOP/s of ours over the matmul rate of the same round."""
        if not self.case.useful_flop:
            return None
        ours = [self.case.useful_flop / run.seconds for run in self.runs[self.case.entrant.label]]
        return Ratio.of(ours, self.rates(MATMUL.label))

    def peak_bytes(self, label: str) -> float:
        """Peak memory a unit of work, beyond what the process held when it was prepared."""
        return max(run.peak_bytes / run.units for run in self.runs[label])


def run_cases(
    cases: Sequence[Case],
    *,
    rounds: int,
    environment: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Outcome]:
    """Runs cases one after the other, each in `rounds` rounds of warm processes.

    In a round everybody does the work once, in an order that turns around from round to round, so
    that a machine that grows slower or faster favours nobody. The ratios are taken within a round.

    Args:
      cases: entrants of one label share a process.
      rounds: at least 1.
      environment: variables for the processes.
      say: takes lines for people.

    Raises:
      ValueError: rounds below 1; what a contestant says that it cannot do.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1. Received: {rounds}.")
    outcomes = []
    with contextlib.closing(_Processes(environment)) as processes:
        for index, case in enumerate(cases):
            say(f"  {case.name}: {', '.join(entrant.label for entrant, _ in case.works)}")
            processes.keep([entrant.label for later in cases[index:] for entrant, _ in later.works])
            processes.start([entrant for entrant, _ in case.works])
            outcomes.append(_run_case(case, processes, rounds=rounds))
    return outcomes


class _Processes:
    """The processes that run: started when a case needs them, ended when no other will.

    A process holds a model and the memory of its largest batch; all of a suite may be too much.
    """

    def __init__(self, environment: Mapping[str, str] | None):
        self._environment = environment
        self._running: dict[str, WarmProcess] = {}
        self.versions: dict[str, dict[str, str]] = {}

    def __getitem__(self, label: str) -> WarmProcess:
        return self._running[label]

    def start(self, entrants: Sequence[Entrant]) -> None:
        """Starts those that do not run; they prepare at the same time."""
        new = []
        for entrant in entrants:
            if entrant.label not in self._running:
                process = WarmProcess(entrant, environment=self._environment)
                self._running[entrant.label] = process
                process.begin_preparing()
                new.append(entrant.label)
        self.versions |= {label: self._running[label].prepared() for label in new}

    def keep(self, labels: Sequence[str]) -> None:
        """Ends all others."""
        for label in set(self._running) - set(labels):
            self._running.pop(label).close()

    def close(self) -> None:
        self.keep([])


def _run_case(
    case: Case,
    processes: _Processes,
    *,
    rounds: int,
) -> Outcome:
    works = [(entrant.label, work) for entrant, work in case.works]
    differences = _differences(case, processes) if case.compares else {}
    for label, work in works:
        processes[label].run(work)  # compiles and fills caches
    runs: dict[str, list[Run]] = {label: [] for label, _ in works}
    for number in range(rounds):
        for label, work in works if number % 2 == 0 else reversed(works):
            runs[label].append(processes[label].run(work))
    versions = {label: processes.versions[label] for label, _ in works}
    return Outcome(case, runs, versions, differences)


def _differences(case: Case, processes: _Processes) -> dict[str, float]:
    """How far each rival's outputs are from ours, as `compares` says."""
    ours = processes[case.entrant.label].outputs(case.work)
    found = {}
    for rival in case.rivals:
        theirs = processes[rival.entrant.label].outputs(rival.work)
        if ours is None or theirs is None:
            continue
        if ours.shape != theirs.shape:
            raise ValueError(
                f"{case.name}: {rival.entrant.label} computes {list(theirs.shape)} numbers, "
                f"{case.entrant.label} {list(ours.shape)}. They do not do the same work."
            )
        found[rival.entrant.label] = _COMPARISONS[case.compares](ours, theirs)
    return found
