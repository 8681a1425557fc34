"""A follow-up of a search: an ordinary study in the search's folder, whose trials are all created before it is run.

Its study file is the search's with another command, metric or number of seeds; its trials say which trial of the search they
repeat (`of`) and with which seed. What is there already is left as it is, so the same call again does exactly the rest, and
`run`, `submit`, `worker`, `status`, `retry` and all others work on the folder as on any study's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from outlast._system.clock import utc_now
from outlast._system.files import write_atomic
from outlast._system.reading import read_bytes
from outlast._system.syncing import make_dir
from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.core.finding import Finding
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.records import Event, ParamDrawn, RevisionMade, StudyEnded, TrialCreated
from outlast.core.states import StudyState
from outlast.engine.attempts.code_snapshot import as_taken
from outlast.engine.coordinator.listener import Listener
from outlast.engine.followup.child_document import child_document
from outlast.engine.hold.new_version import difference_from_recorded, fitted_anew, keep_study_file, opening_events
from outlast.engine.launch import make_ready, run
from outlast.engine.record.examine import read_sound, read_study
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import OutlastError, UsageError
from outlast.results.configuration import configuration
from outlast.study.home import home_of, live_of
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened, opened_briefly

Kind = Literal["confirm", "refit", "evaluate"]


class Repetition(Struct, frozen=True):
    """A trial that a follow-up is to have: the configuration of one of the search's trials, and a seed.

    Attributes:
        of: The trial's number in the search.
        seed: What the training is given.
        params: As the search's trial has them.
        latent, distributions: Likewise, see `outlast.core.records.Trial`.
        derived: What the training gets beyond what the study file in force gives it.
        told: What macros of the follow-up's command stand for, see `outlast.core.records.TrialCreated`.
    """

    of: int
    seed: int
    params: Mapping[str, Any] = {}
    latent: Mapping[str, Any] = {}
    distributions: Mapping[str, str] = {}
    derived: Mapping[str, Any] = {}
    told: Mapping[str, Any] = {}

    def created(self, number: int, at: str, revision: int, kind: Kind) -> list[Event]:
        """The records that make a trial of it."""
        drawn = {name: value for name, value in self.params.items() if name not in self.distributions}
        trial = TrialCreated(
            number, at, drawn, self.seed, revision, kind, latent=dict(self.latent), derived=dict(self.derived), of=self.of,
            told=dict(self.told),
        )  # fmt: skip
        return [trial, *(ParamDrawn(number, k, self.params[k], text) for k, text in self.distributions.items())]


class Search(Struct, frozen=True):
    """A search that is followed up.

    Attributes:
        folder: Where it runs, or ran.
        settings: In force.
        study: Folded; it may still be running.
    """

    folder: str
    settings: Settings
    study: Study

    @property
    def paths(self) -> StudyPaths:
        """Its files where it runs."""
        return study_paths(self.folder, self.settings)

    @property
    def home(self) -> str:
        """The folder in which its follow-ups lie: its home, where it runs on scratch."""
        home = home_of(StudyPaths.at(self.folder))
        return self.folder if home is None else os.path.relpath(home.root)

    def repetition(self, number: int, seed: int, **derived: Any) -> Repetition:
        """The configuration of one of its trials, whatever the study file has become since, to be run with a seed.

        Args:
            number: The trial's.
            seed: What the training is given.
            derived: Values that the training gets beyond the configuration.
        """
        trial = self.study.trials[number]
        now = {**self.settings.space.complete(trial.params)}
        had = configuration(trial, self.study, self.settings)
        beyond = {name: value for name, value in had.items() if name not in now or now[name] != value}
        return Repetition(number, seed, trial.params, trial.latent, trial.distributions, {**beyond, **derived})


def the_search(folder: str) -> Search:
    """The search in a study folder.

    Raises:
        StudyNotFound: There is no study.
        UsageError: It is a follow-up of a search itself.
    """
    settings, study = recorded_settings(folder)
    if is_followup(study):
        above = os.path.dirname(os.path.abspath(folder))
        raise UsageError(
            f"{folder} is a follow-up of a search, not a search",
            cure=f"name the search: {os.path.relpath(above)}  ({folder} itself can be run, looked at and stopped)",
        )
    return Search(folder.rstrip("/"), settings, study)


def is_followup(study: Study) -> bool:
    """Whether a study repeats trials of another one."""
    return any(trial.of is not None for trial in study.trials.values())


class Followup(Struct, frozen=True):
    """One follow-up of a search, begun or not.

    Args:
        search: That is followed up.
        kind: Which; the folder's name, and the source of its trials.
        changes: To the search's study file, by its keys: mappings are merged, `None` takes a key out.
    """

    search: Search
    kind: Kind
    changes: Mapping[str, Any] = {}

    @property
    def folder(self) -> str:
        """Its folder, in that of the search."""
        return os.path.join(self.search.home, self.kind)

    @property
    def study(self) -> Study:
        """As its ledger has it now; empty before it is begun.

        Raises:
            LedgerDamaged: Its ledger cannot be read.
        """
        paths = StudyPaths.at(live_of(self.folder))
        return read_study(paths) if paths.exists else Study()

    def settings(self, trials: int) -> Settings:
        """Its study file: with exactly so many trials, which all count, whatever becomes of them.

        Raises:
            StudyFileError: A change that no study file may have.
        """
        search = self.search.settings
        place = as_taken(StudyPaths.at(self.search.folder), search, self.search.study).working_directory
        document = child_document(
            search.resolved, self.kind, self.changes, trials=trials, folds_seed=self.search.study.study_seed
        )
        root = (document.get("checkpoints") or {}).get("dir")
        if root and not os.path.isabs(root):
            document["checkpoints"]["dir"] = os.path.relpath(os.path.join(search.working_directory, root), place)
        return settings_from_resolved(document, place)


def lay_out(
    followup: Followup,
    wanted: Sequence[Repetition],
    *,
    fresh: bool = False,
    accept_changes: bool = False,
    refusal: Callable[[Finding], OutlastError] | None = None,
    say: Callable[[str], object] = print,
) -> tuple[StudyPaths, Settings]:
    """Let a follow-up have the trials that are wanted: those that are missing are created, in one record, and nothing is run.

    A trial is there if one of the same `of` and seed is. What a kill leaves of this is nothing, or all of it.

    Args:
        followup: Begun if it is not there.
        wanted: All trials that it is to have by now.
        fresh: Set an earlier one aside.
        accept_changes: What is missing may be another training than what is there.
        refusal: How the caller says what speaks against it.
        say: Told where an earlier one is kept.

    Returns:
        The files of the folder that it runs in, and its settings with exactly the trials that it has.

    Raises:
        UsageError: It cannot work, or was begun for a search that is run otherwise now.
        StudyBusy: Somebody runs it, and trials are missing.
        StorageError: A disk refused.
    """
    known = Study() if fresh else followup.study
    settings = followup.settings(len(known.trials) + len(_missing(known, wanted)))
    if not accept_changes:
        _refuse_other_trainings(followup, known, settings)
    paths = study_paths(make_ready(settings, followup.folder, fresh=fresh, refusal=refusal, say=say), settings)
    other = accept_changes and bool(difference_from_recorded(known, settings).needs_acceptance)
    if _missing(known, wanted) or not all(trial.state.finished for trial in known.trials.values()):
        _refuse_without_secrets(settings)
    if not paths.exists or _missing(known, wanted) or other:
        _give_objective(followup.search, paths)
        if paths.exists:
            read_sound(paths)  # a damaged ledger is not written to
        with opened_briefly(paths) as opened:
            missing, study = _missing(opened.study, wanted), opened.study
            settings = followup.settings(len(study.trials) + len(missing))
            events = opening_events(study, settings, paths)
            events += _created(missing, followup.kind, study.next_number, [*study.revisions, *events])
            events.append(StudyEnded(utc_now(), StudyState.STOPPED.value, "laid out"))
            opened.ledger.append(events)
            for event in events:
                study.apply(event)
            keep_study_file(paths, study, settings, opened.ledger)
    return paths, settings


def run_followup(
    followup: Followup,
    wanted: Sequence[Repetition],
    listener: Callable[[Opened, int], Listener],
    *,
    tell: Callable[[Verdict, Study], object],
    fresh: bool = False,
    refusal: Callable[[Finding], OutlastError] | None = None,
    say: Callable[[str], object] = print,
) -> tuple[Study, Verdict | None]:
    """Lay a follow-up out and run what of it has no outcome yet, to its rest; nothing is run where everything has one.

    Args:
        followup, wanted, fresh, refusal, say: See `lay_out`.
        listener, tell: See `outlast.engine.launch.run`.

    Returns:
        The follow-up as it is now, whose trials say whether it is whole; and how the run ended, ``None`` where nothing was run.

    Raises:
        OutlastError: As `lay_out`, and any of a run.
    """
    paths, settings = lay_out(followup, wanted, fresh=fresh, refusal=refusal, say=say)
    study = read_study(paths)
    if all(trial.state.finished for trial in study.trials.values()):
        return study, None
    verdict, study = run(paths, settings, listener, tell=tell, accept_changes=True, say=say, pages=False)
    return study, verdict


def _refuse_without_secrets(settings: Settings) -> None:
    """Refuse trainings that would miss what the search's had: a secret of `env` stands in no record."""
    missing = [name for name in settings.masked_env if name not in os.environ]
    if missing:
        raise UsageError(
            f"{', '.join(missing)}: a secret of `env:` that stands in no record, and not in this environment either",
            cure=f"name the study file instead of the folder, or: export {missing[0]}=…",
        )


def _missing(study: Study, wanted: Sequence[Repetition]) -> list[Repetition]:
    there = {(trial.of, trial.seed) for trial in study.trials.values()}
    return list({(each.of, each.seed): each for each in wanted if (each.of, each.seed) not in there}.values())


def _created(missing: Sequence[Repetition], kind: Kind, first: int, before: Sequence[Event]) -> list[Event]:
    now, revision = utc_now(), [event.number for event in before if isinstance(event, RevisionMade)][-1]
    numbered = enumerate(missing, start=first)
    return [event for number, each in numbered for event in each.created(number, now, revision, kind)]


def _give_objective(search: Search, paths: StudyPaths) -> None:
    """An objective that was handed over in Python lies in the search's folder: the follow-up has one of its own."""
    pickled = read_bytes(search.paths.objective)
    if pickled is not None and read_bytes(paths.objective) != pickled:
        make_dir(paths.root)
        write_atomic(paths.objective, pickled)


def _refuse_other_trainings(followup: Followup, known: Study, settings: Settings) -> None:
    """Refuse to put results of another training beside those that are there. Another range changes none of them."""
    if not known.revisions:
        return
    changed = difference_from_recorded(known, settings).needs_acceptance
    ranges = ("parameters.", "nested", "name:")
    harmless = all(line.startswith(ranges) for line in changed) and not fitted_anew(known, settings, "")
    if changed and not harmless:
        shown = "\n".join(f"    {line}" for line in changed)
        kind = followup.kind
        raise UsageError(
            f"{followup.folder} was begun when the search was run otherwise:\n{shown}",
            cure=f"outlast {kind} {followup.search.folder} --fresh sets it aside and begins anew",
        )
