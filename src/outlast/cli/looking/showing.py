"""`show`: which facts to fetch for which question."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from outlast._system.reading import read_bytes, read_json
from outlast.cli.render import render_show
from outlast.cli.render.styled import Text
from outlast.cli.render.text import print_out
from outlast.config.settings import Settings
from outlast.core.best import best_trial, best_trials
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.records import Trial, to_json
from outlast.core.states import TrialState
from outlast.engine.attempts.by_hand import command_by_hand
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import UsageError
from outlast.results.configuration import configuration
from outlast.results.failures import FailureGroup, group_failures
from outlast.results.writer import resolved_config
from outlast.study.home import home_of
from outlast.study.layout import StudyPaths
from outlast.study.printed import printed_end, stretches

if TYPE_CHECKING:
    from rich.console import RenderableType

_TAIL_LINES, _STORY_LINES = 15, 40
_TAIL_BYTES = 1 << 16
_FEWEST_ANALYSED, _MOST_ANALYSED = 10, 3000  # trials: looking must not wait for statistics


def show(folder: str, what: str | None, *, everything: bool, as_json: bool) -> None:
    """Print what was asked for.

    Raises:
        UsageError: No such trial, or an unknown word.
    """
    settings, study = recorded_settings(folder)
    paths = study_paths(folder, settings)

    def tell(facts: Callable[[], object], shown: Callable[[], RenderableType]) -> None:
        if as_json:
            click.echo(json.dumps(plain_json(facts()), default=str, allow_nan=False))
        else:
            print_out(shown())

    def facts_of(trials: Iterable[Trial]) -> list[dict[str, Any]]:
        return [_facts(trial, study, settings) for trial in trials]

    if what is None:
        limit = None if everything else 30
        tell(
            lambda: facts_of(study.trials.values()),
            lambda: render_show.show_trials(
                study, settings, folder=folder, limit=limit, findings=_findings(study, settings)
            ),
        )
    elif what == "best":
        found = _best(study, settings)
        wholes = (_whole(trial, study, settings, paths) for trial in found)
        tell(
            lambda: facts_of(found),
            lambda: render_show.show_best(
                [*wholes], folder=folder, files=_files(folder), confirmed=_confirmed(folder, found)
            ),
        )
    elif what == "failures":
        groups = group_failures(study)
        tell(
            lambda: [_group_facts(group) for group in groups],
            lambda: render_show.show_failures(groups, folder=folder, tails=failure_stories(paths, study, groups)),
        )
    elif what == "analysis":
        from outlast.results.findings import at_length

        analysis = _analysis(study, settings)
        tell(lambda: analysis, lambda: render_show.show_analysis(at_length(analysis)))
    elif what == "plots":
        paths = paths.from_here()  # before what draws is loaded: meanwhile the folder may be moved
        from outlast.engine.derived.final_plots import draw_plots

        pages = [os.path.relpath(page) for page in draw_plots(paths, study, settings)]
        tell(lambda: pages, lambda: Text("\n".join(pages), no_wrap=True, overflow="ignore"))
    else:
        trial = _trial(study, what, folder)
        shown = trial.state in (TrialState.FAILED, TrialState.INFEASIBLE) or (
            trial.attempts[-1:] and trial.attempts[-1].kept
        )
        tail = _tail(paths, study, trial.number) if shown else []
        tell(
            lambda: {**facts_of([trial])[0], "events": [to_json(event) for event in trial.events()]},
            lambda: _whole(trial, study, settings, paths, tail=tail),
        )


def show_config(folder: str, what: str | None) -> None:
    """Print the configuration file that a trial was given; its parameters where the study has no base configuration.

    Raises:
        UsageError: Not one trial.
    """
    settings, study = recorded_settings(folder)
    found = _best(study, settings) if what == "best" else [_trial(study, what, folder)] if what is not None else []
    if len(found) != 1:
        raise UsageError("--config is of one trial", cure=f"outlast show {folder} 7 --config")
    (trial,) = found
    files = study_paths(folder, settings).trial(trial.number)
    given = resolved_config(files.record)
    for attempt in reversed(trial.attempts if given is None else ()):
        text = read_bytes(files.attempt(attempt.number).config)
        given = given or (None if text is None else text.decode(errors="replace"))
    from outlast.config import yaml_writer

    click.echo(given or yaml_writer.dump(settings.nest(configuration(trial, study, settings))), nl=False)


def _whole(
    trial: Trial, study: Study, settings: Settings, paths: StudyPaths, *, tail: Sequence[str] = ()
) -> RenderableType:
    values = configuration(trial, study, settings)
    command = command_by_hand(settings, trial, values) or ""
    return render_show.show_trial(
        trial, settings, configuration=values, paths=_trial_files(paths, study, trial), tail=tail, command=command
    )


def _trial(study: Study, what: str, folder: str) -> Trial:
    if not (what.isascii() and what.isdigit() and len(what) <= 9):
        raise UsageError(f"show does not know {what!r}", cure="a trial's number, best, failures, analysis, or plots")
    trial = study.trials.get(int(what))
    if trial is None:
        raise UsageError(f"there is no trial {what}", cure=f"outlast show {folder} lists them")
    return trial


def _best(study: Study, settings: Settings) -> list[Trial]:
    if len(settings.metrics) > 1:
        return best_trials(study, settings.metrics)
    best = best_trial(study, settings.metrics)
    return [] if best is None else [best]


def _analysis(study: Study, settings: Settings, *, brief: bool = False) -> dict[str, Any]:
    from outlast.analysis.summary import analyse

    return analyse(study, settings.parameters, settings.metrics, sampler=settings.sampler.name, brief=brief).to_json()


def _findings(study: Study, settings: Settings) -> list[tuple[str, str]]:
    """What the trials say in short, where they are many enough to say anything and few enough to be asked in passing."""
    if not _FEWEST_ANALYSED <= len(study.trials) <= _MOST_ANALYSED:
        return []
    from outlast.results.findings import in_short

    return in_short(_analysis(study, settings, brief=True))


def _facts(trial: Trial, study: Study, settings: Settings) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state.value,
        "cause": None if trial.cause is None else trial.cause.value,
        "reason": trial.reason,
        "values": trial.values,
        "params": configuration(trial, study, settings),
        "attempts": len(trial.attempts),
        "job": (trial.attempts[-1].job or None) if trial.attempts else None,
        "seconds": round(trial.seconds, 3),
        "metrics": trial.metrics,
        "started_at": trial.started_at,
        "finished_at": trial.finished_at,
        "command": command_by_hand(settings, trial, configuration(trial, study, settings)),
    }


def _group_facts(group: FailureGroup) -> dict[str, Any]:
    return {
        "signature": group.signature,
        "cause": group.cause.value,
        "reason": group.reason,
        "count": len(group.trials),
        "first": group.first,
        "trials": list(group.trials),
        "shared": dict(group.shared),
        "ranges": [{"parameter": name, "is": sign, "than": bound} for name, sign, bound in group.ranges],
    }


def failure_stories(paths: StudyPaths, study: Study, groups: Sequence[FailureGroup]) -> dict[int, list[str]]:
    """The first trial of each group → its traceback, or its last lines of output."""
    return {group.first: _story(paths, study, group.first) for group in groups}


def _story(paths: StudyPaths, study: Study, number: int) -> list[str]:
    text = read_bytes(paths.trial(number).error_log)
    story = "" if text is None else text.decode(errors="replace").partition("\n\n")[2].rstrip()
    return story.splitlines()[-_STORY_LINES:] if story else _tail(paths, study, number)


def _files(folder: str) -> list[tuple[str, str]]:
    names = (
        ("configuration", StudyPaths.best_config),
        ("confirmed", StudyPaths.confirmed_config),
        ("results", StudyPaths.best_results),
        ("checkpoint", StudyPaths.best_checkpoint),
    )
    found = [(label, os.path.join(folder, each.name)) for label, each in names]
    return [
        (label, path) for label, path in found if os.path.exists(path) and (label != "confirmed" or _is_final(folder))
    ]


def _is_final(folder: str) -> bool:
    """Whether what was confirmed is confirmed still: not while more is being repeated."""
    return bool((_confirmed(folder, ()) or {}).get("final"))


def _confirmed(folder: str, best: Sequence[Trial]) -> dict[str, Any] | None:
    """What fresh seeds say of the best, as `confirm` has written it down at the study's home."""
    here = StudyPaths.at(folder)
    home = home_of(here) or here
    said = read_json(home.confirm / home.confirmation.name)
    if not isinstance(said, dict):
        return None
    repeated = {entry["trial"] for entry in said.get("ranking", ())}
    return {**said, "newer": [trial.number for trial in best if trial.number not in repeated]}


def _trial_files(paths: StudyPaths, study: Study, trial: Trial) -> list[tuple[str, str]]:
    files = paths.trial(trial.number)
    candidates = [
        ("script", files.script),
        ("output", files.log),
        ("error", files.error_log),
        ("record", files.record),
        ("checkpoints", files.checkpoints),
    ]
    if trial.attempts and not files.log.exists():
        last = files.attempt(trial.attempts[-1].number)
        kept = [("output", stretch.path) for stretch in stretches(paths, study, trial)[-1:]]
        candidates[:0] = kept or [("script", last.script), ("output", last.log)]
    array, _, task = trial.attempts[-1].job.partition("_") if trial.attempts else ("", "", "")
    if task:
        candidates += [
            ("array's script", paths.jobs / f"{array}.array.sh"),
            ("job's log", paths.jobs / f"{array}_{task}.out"),
        ]
    return [(label, os.path.relpath(path)) for label, path in candidates if path.exists()]


def _tail(paths: StudyPaths, study: Study, number: int) -> list[str]:
    try:
        with open(paths.trial(number).log, errors="replace") as file:
            return [line.rstrip("\n") for line in file.readlines()[-_TAIL_LINES:]]
    except OSError:
        said = printed_end(paths, study, study.trials[number], _TAIL_BYTES)
        return said.decode(errors="replace").splitlines()[-_TAIL_LINES:]
