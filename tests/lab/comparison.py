"""The comparison of a study that was hurt with one that nobody touched."""

from __future__ import annotations

import csv
import json
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import optuna

from lab.waiting import line_of
from outlast.core.fold import Study
from outlast.core.records import TrialCreated
from outlast.core.states import TrialState
from outlast.engine.care.repair import repair_study
from outlast.study.segments import read_ledger

if TYPE_CHECKING:
    from lab.survival import Lab

_ROOT_NAMES = {
    "study.yaml", "ledger", "study.db", "trials", "open", "requests", "trials.csv", "study_summary.csv",
    "plots", "report.html", "splits.json", "best_config.yaml", "best_results.json", "best_checkpoint", "revisions", "run.log",
    "glance", "behind", "folded", "drawn", "output",
}  # fmt: skip
_SET_ASIDE = re.compile(r"^(study\.db\.\d{8}T\d+\.\d+(-journal|-wal|-shm)?|ledger\.damaged\..*)$")


@dataclass
class Verdict:
    """What a study's end looks like beside one that nobody touched."""

    faults: list[str] = field(default_factory=list)
    lost: int = 0  # trials that are not finished, or whose number is missing
    twice: int = 0  # numbers given twice, or two attempts training side by side
    overshoot: int = 0
    orphans: int = 0
    repeated: int = 0  # epochs that were begun more than once

    def fault(self, text: str) -> None:
        self.faults.append(text)


def verify(
    lab: Lab,
    reference: Mapping[int, float],
    *,
    trials: int,
    interruptions: int,
    failed: int = 0,
    hits: Mapping[int, int] | None = None,
    set_aside: bool = False,
    checkpoints: int | None = None,
) -> Verdict:
    """Compare a study that came to its end with an uninterrupted one.

    Args:
        lab: The study.
        reference: Trial → its parameter x in an uninterrupted run.
        trials: The budget.
        interruptions: How often a training may have been cut off: each may cost one epoch.
        failed: Trials that may have failed and do not count.
        hits: Trial → how often its own training was cut off. Nothing else may have cost it an attempt or an epoch.
        set_aside: Whether repair or a take-over may have kept an old index or ledger.
        checkpoints: How many trials' checkpoints are kept; all of them by default.
    """
    verdict = Verdict()
    study = lab.study()
    _check_trials(verdict, lab, study, reference, trials, failed)
    _check_audit(verdict, lab, study, interruptions, hits)
    _check_processes(verdict, lab)
    _check_folder(verdict, lab, study, set_aside, checkpoints)
    _check_derived(verdict, lab, study)
    return verdict


def _check_trials(
    verdict: Verdict, lab: Lab, study: Study, reference: Mapping[int, float], trials: int, failed: int
) -> None:
    created = Counter(e.trial for e in read_ledger(lab.paths.ledger).events if isinstance(e, TrialCreated))
    for number, times in created.items():
        if times > 1:
            verdict.twice += 1
            verdict.fault(f"number {number} was given {times} times")
    counted = [t for t in study.trials.values() if t.state is TrialState.COMPLETE]
    losers = [t for t in study.trials.values() if t.state is TrialState.FAILED]
    verdict.lost += max(0, trials - len(counted))
    verdict.overshoot += max(0, len(counted) - trials)
    if len(counted) != trials:
        verdict.fault(f"{len(counted)} trials are complete instead of {trials}")
    if len(losers) > failed:
        verdict.fault(f"{len(losers)} trials failed: {losers[0].reason}")
    if sorted(study.trials) != list(range(len(study.trials))):
        verdict.fault(f"the numbers have gaps: {sorted(study.trials)}")
    if len(study.trials) != len(counted) + len(losers):
        verdict.fault(f"{len(study.trials)} trials for {len(counted)} that count")
    for trial in counted:
        if trial.number in reference and trial.params["x"] != reference[trial.number]:
            verdict.fault(f"trial {trial.number} has other parameters than in an uninterrupted run")
        expected = 1 - (trial.params["x"] - 0.3) ** 2 + 0.001 * (lab.epochs - 1)
        if trial.value is None or abs(trial.value - expected) > 1e-8:
            verdict.fault(f"trial {trial.number} has the value {trial.value} instead of {expected}")
    if study.ended is None or study.ended.state != "done":
        verdict.fault(f"the study is not done: {study.ended}")


def _check_audit(verdict: Verdict, lab: Lab, study: Study, interruptions: int, hits: Mapping[int, int] | None) -> None:
    begun: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line in lab.audit:
        begun[line["trial"]].append(line)
    for number, lines in begun.items():
        lines.sort(key=lambda line: line["at"])
        newest, pid = 0, 0
        for line in lines:
            if line["attempt"] < newest or (
                line["attempt"] == newest and line["pid"] != pid and not line.get("shadow")
            ):
                verdict.twice += 1
                verdict.fault(f"trial {number}: attempt {line['attempt']} trained beside attempt {newest}: {lines}")
                break
            if not line.get("shadow"):
                newest, pid = line["attempt"], line["pid"]
        epochs = Counter(line["epoch"] for line in lines if not line.get("shadow"))
        repeated = sum(times - 1 for times in epochs.values())
        verdict.repeated += repeated
        attempts = len({line["attempt"] for line in lines})
        if hits is not None and max(repeated, attempts - 1) > hits.get(number, 0):
            cost = f"{attempts} attempts and {repeated} repeated epochs after {hits.get(number, 0)} kills"
            verdict.fault(f"trial {number}: {cost} of its training")
        trial = study.trials.get(number)
        if trial is None:
            verdict.lost += 1
            verdict.fault(f"trial {number} was trained and is not in the ledger")
        elif trial.state is TrialState.COMPLETE and sorted(epochs) != list(range(lab.epochs)):
            verdict.fault(f"trial {number} trained the epochs {sorted(epochs)}")
    if verdict.repeated > interruptions:
        verdict.fault(f"{verdict.repeated} epochs were repeated after {interruptions} interruptions")


def _check_processes(verdict: Verdict, lab: Lab) -> None:
    deadline = time.monotonic() + 30
    while (left := lab.processes()) and time.monotonic() < deadline:
        time.sleep(0.02)
    if left:
        verdict.orphans += len(left)
        names = [line_of(pid).replace(b"\0", b" ").decode(errors="replace") for pid in left]
        verdict.fault(f"{len(left)} processes are left: {names}")


def _check_folder(verdict: Verdict, lab: Lab, study: Study, set_aside: bool, checkpoints: int | None) -> None:
    names = set(os.listdir(lab.folder))
    strange = {n for n in names - _ROOT_NAMES if not (set_aside and _SET_ASIDE.match(n))}
    if strange:
        verdict.fault(f"left in the study folder: {sorted(strange)}")
    for name in ("open", "requests"):
        left = os.listdir(lab.folder / name) if name in names else []
        if left:
            verdict.fault(f"left in {name}/: {left}")
    names_left = sorted(os.listdir(lab.folder / "ledger"))
    left = [name for name in names_left if not re.fullmatch(r"\d{8}\.(jsonl|\d+\.held)", name)]
    left += [name for name in names_left if name.endswith(".held")][:-1]  # the last holder's
    if left:
        verdict.fault(f"left in ledger/: {left}")
    with_checkpoints = 0
    for trial in study.trials.values():
        folder = lab.paths.trial(trial.number).folder
        there = set(os.listdir(folder)) if folder.exists() else set()
        with_checkpoints += "checkpoints" in there
        allowed = {"trial.json", "output.log", "checkpoints"}
        allowed |= {"error.log"} if trial.state is TrialState.FAILED else {"reports.jsonl"}
        if there - allowed or "trial.json" not in there:
            verdict.fault(f"trial {trial.number} holds {sorted(there)}")
    if checkpoints is not None and with_checkpoints > checkpoints:
        verdict.fault(f"{with_checkpoints} trials keep checkpoints instead of {checkpoints}")


def _check_derived(verdict: Verdict, lab: Lab, study: Study) -> None:
    verdict.faults += [f"{p.about}: {p.text}" for p in repair_study(str(lab.folder), check_only=True)]
    expected = {t.number: t.value for t in study.trials.values()}
    with open(lab.folder / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    if len(rows) != len(expected):
        verdict.fault(f"trials.csv has {len(rows)} rows instead of {len(expected)}")
    if not (lab.folder / "study.db").exists():  # Optuna would make one
        verdict.fault(f"study.db is gone: {sorted(os.listdir(lab.folder))}")
        return
    storage = optuna.storages.RDBStorage(f"sqlite:///{lab.folder / 'study.db'}")
    try:
        index = optuna.load_study(study_name=lab.settings["name"], storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()
    finished = {t.number: t.value for t in index if t.state.name == "COMPLETE"}
    if finished != {n: v for n, v in expected.items() if v is not None}:
        verdict.fault(f"the index has the values {finished} instead of {expected}")
    with open(lab.folder / "best_results.json") as json_file:
        best = json.load(json_file)
    top = max((t for t in study.trials.values() if t.value is not None), key=lambda t: t.value or 0.0, default=None)
    if top is not None and best["best"]["trial"] != top.number:
        verdict.fault(f"best_results.json names trial {best['best']['trial']} instead of {top.number}")
