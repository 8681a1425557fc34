"""Attempts of kept workers: what a worker is made from, what it is told of a trial, and what one that died leaves to be known."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from outlast._system.files import remove_tree
from outlast._system.locks import is_locked
from outlast._system.tokens import end_processes
from outlast.client import checkpoints_in, newest_checkpoint
from outlast.config.settings import Settings
from outlast.core.evidence import Evidence
from outlast.core.file_names import attempt_name
from outlast.core.fold import Study
from outlast.core.kept_words import Train
from outlast.core.parts import next_part
from outlast.core.records import KEPT, Trial
from outlast.core.states import Cause
from outlast.engine.attempts.folds import study_parts
from outlast.engine.attempts.objectives import objectives_of
from outlast.engine.attempts.prepare import Prepared, draws_as_it_goes, loader, next_attempt, study_environment
from outlast.executors.heard import Ended
from outlast.executors.kept_process import KeptStart
from outlast.runner.capture.objective import Objective
from outlast.runner.environment import kept_environment, of_trial
from outlast.runner.hooks import hooks_path
from outlast.runner.spec import token_of_study
from outlast.study.attempts import end_holders
from outlast.study.layout import StudyPaths

_LOOKED_BACK = 5_000  # trials


def kept_start(paths: StudyPaths, settings: Settings, cpus_per_trial: int | None, study: Study) -> KeptStart | None:
    """How to make the study's kept workers; ``None`` where it has none."""
    if settings.isolation.mode != "kept":
        return None
    objectives = objectives_of(settings)
    env = kept_environment(
        study_environment(settings, cpus_per_trial), os.environ, str(hooks_path()),
        metrics=[each.name for each in objectives], pattern=settings.checkpoints.pattern,
    )  # fmt: skip
    return KeptStart(
        argv=tuple(loader(paths, settings)),
        cwd=os.path.abspath(settings.working_directory),
        env=env,
        objectives=json.dumps([asdict(each) for each in objectives]),
        outputs=str(paths.outputs),
        token=token_of_study(str(paths.root)),
        trials=settings.isolation.trials,
        timeout=settings.trial.timeout,
        hang_after=settings.trial.hang_after,
        floors=_floors(study),
    )


def _floors(study: Study) -> dict[str, int]:
    """Slot → where the output ends that the latest trials have on record: what others print begins behind it."""
    found: dict[str, int] = {}
    for number in range(max(0, study.next_number - _LOOKED_BACK), study.next_number):
        trial = study.trials.get(number)
        for attempt in trial.attempts if trial is not None else ():
            if attempt.outcome is not None and attempt.outcome.printed is not None:
                found[attempt.slot] = max(found.get(attempt.slot, 0), sum(attempt.outcome.printed))
    return found


def prepare_kept(paths: StudyPaths, settings: Settings, trial: Trial, *, prunes: bool) -> Prepared:
    """What a kept worker is told of the trial's next attempt. `prunes`: a pruner may give it up."""
    number, files = next_attempt(trial), paths.trial(trial.number)
    whole = study_parts(settings)
    part = next_part(trial, whole) if whole else None
    checkpoints = files.checkpoints if part is None else files.checkpoints / part.folder
    last = None
    if number > 1:
        if trial.from_scratch:
            remove_tree(checkpoints)
        elif any(o.cause is not Cause.NEVER_STARTED and (part is None or o.part == part.number) for o in trial.kept):
            last = newest_checkpoint(str(checkpoints), settings.checkpoints.pattern)
    asks = draws_as_it_goes(settings)
    env = of_trial(paths.root, trial.number, settings.env)
    if part is not None and part.fold is not None:
        env.update(OUTLAST_FOLD=str(part.fold), OUTLAST_SPLITS=str(paths.splits))
    train = Train(
        name=attempt_name(trial.number, number),
        trial=trial.number,
        attempt=number,
        trial_dir=str(files.folder),
        checkpoint_dir=str(checkpoints),
        params={} if asks else {**settings.space.complete(trial.params), **trial.derived, **trial.instead},
        seed=trial.seed if part is None or part.seed is None else part.seed,
        resume=last is not None,
        last_step=trial.last_step(None if part is None else part.number) if number > 1 else None,
        env=env,
        begin=told_first(trial) if asks else None,
        offered={**trial.offered, **{name: (text, trial.params[name]) for name, text in trial.distributions.items()}},
        prunes=prunes,
    )
    before = sum(o.seconds for o in trial.ended if o.attempt > trial.retried_at_attempt)
    return Prepared(trial.number, number, last is not None, "", {}, kept=train, seconds_before=before)


def told_first(trial: Trial) -> Mapping[str, Any]:
    """What an objective that asks is told when it begins."""
    noted = {"user_attrs": trial.user_attrs, "system_attrs": trial.optuna_attrs}
    texts = {of: {key: json.dumps(value) for key, value in attrs.items()} for of, attrs in noted.items()}
    return {"number": trial.number, "started": trial.started_at, **texts}


def of_crash(
    evidence: Evidence, ended: Ended, lines: Sequence[Mapping[str, Any]], objectives: Sequence[Objective],
    last_step: int | None,
) -> Evidence:  # fmt: skip
    """The evidence of a trial whose worker died, with what it had told and what lies in the worker's output."""
    from outlast.runner.kept_capture import captured  # and all that finds scores, which a holder needs for nothing else

    start, length = ended.printed
    seen = captured(objectives, lines, (ended.log, start, start + length), torn=True)
    steps = [report.step for report in seen.reports]
    return replace(
        evidence, scores=seen.scores, source=seen.source, notes=tuple(seen.notes), metrics=seen.metrics,
        reports=tuple(seen.reports), tail=tuple(seen.tail), traceback=seen.traceback, done=seen.done, pruned=seen.pruned,
        stop_reason=evidence.stop_reason or seen.acknowledged, acknowledged=bool(seen.acknowledged),
        new_steps=last_step is None or bool(steps and max(steps) > last_step),
    )  # fmt: skip


def saved_since(checkpoints: Path, pattern: Sequence[str], opened_at: str) -> bool:
    """Whether a trial has saved a checkpoint since then, by this machine's clock: its worker cannot say so any more."""
    since = datetime.fromisoformat(opened_at.replace("Z", "+00:00")).timestamp()
    return any(at / 1e9 >= since for at, _ in checkpoints_in(str(checkpoints), pattern).values())


def end_kept(paths: StudyPaths, fence: Callable[[], object] = lambda: None) -> list[int]:
    """See to it that no process of an earlier coordinator's kept workers lives on this host. Returns pids that would not go.

    `fence` raises where there is a later coordinator by now, which has workers of its own.
    """
    if not paths.outputs.is_dir():
        return []
    stuck = end_processes(f"{token_of_study(str(paths.root))}{KEPT}", fence=fence)
    for log in sorted(paths.outputs.glob("*.log")) if not stuck else ():
        if is_locked(str(log)):  # by what took its token off
            stuck += end_holders(str(log), f"{token_of_study(str(paths.root))}{KEPT}{log.stem};", fence)
    return stuck
