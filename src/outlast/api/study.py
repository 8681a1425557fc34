"""`outlast.Study`: one search, as an object to begin, go on with and look at. Looking loads nothing that decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from outlast._system.platforms import earlier_studies_folder, studies_folder
from outlast.errors import OutlastError, StudyNotFound, UsageError
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths

if TYPE_CHECKING:
    import optuna

    from outlast.api.described import Described, Recorded
    from outlast.api.result import Result
    from outlast.core.fold import Study as Fold
    from outlast.core.records import Trial
    from outlast.monitor.overview import Overview

Source = str | os.PathLike[str] | Mapping[str, Any]


class Study:
    """A search. `open` and `create` make one; neither writes anything: `run` begins it, or goes on with exactly the rest.

    It holds no state of its own: what it says is in the study folder, whoever runs the search, and however often the kernel
    was restarted. `dir` is that folder; ``outlast status`` and every other command take it.
    """

    def __init__(self, dir: str, searched: Described | Recorded) -> None:
        self._named, self._folder = dir, os.path.abspath(dir)
        self._searched = searched

    @property
    def dir(self) -> str:
        """The study folder as it was named; its whole path once the process works elsewhere."""
        return self._named if os.path.abspath(self._named) == self._folder else self._folder

    @classmethod
    def open(cls, dir: str | os.PathLike[str]) -> Study:
        """The study in a folder, whoever ran it: a notebook, ``outlast run``, a cluster. Or of a name, where studies lie.

        Raises:
            StudyNotFound: There is none.
        """
        from outlast.api.described import Recorded

        given = os.fspath(dir)
        earlier = earlier_studies_folder()
        below = [os.path.join(each, given) for each in (studies_folder(), earlier) if each is not None]
        for folder in (given, *below):
            if StudyPaths.at(live_of(folder)).exists:
                return cls(folder.rstrip("/"), Recorded(os.path.abspath(folder)))
        cure = (
            f"outlast.Study.create({given!r})"
            if os.path.isfile(given)
            else "outlast.Study.create(…) describes a new one"
        )
        raise StudyNotFound(f"no study in {given}", cure=cure)

    @classmethod
    def create(
        cls,
        source: Source | None = None,
        *,
        command: str | Sequence[str] | None = None,
        function: str | Callable[..., Any] | None = None,
        objective: Callable[..., Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        metric: str | Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        maximize: str | None = None,
        minimize: str | None = None,
        budget: Mapping[str, Any] | None = None,
        trials: int | None = None,
        name: str | None = None,
        dir: str | os.PathLike[str] | None = None,
        **keys: Any,
    ) -> Study:
        """Describe a search: by a study file, by its keys, or by keys that change a file. It is checked as a study file is.

        A study that is there already, in the same folder, is gone on with: the same cell may run again.

        Args:
            source: A study file, or a mapping with its keys.
            command: How to train once, with ``${args}`` where the parameters go.
            function: Instead of a command: ``package.module:name``, or a function, called with the parameters.
            objective: Instead of both: an Optuna objective, called with a trial.
            parameters: The search space, as in a study file.
            metric: As in a study file; of a Python function its only value, to be minimised, if nothing is said.
            maximize, minimize: The metric's name, which also says its goal.
            budget: As in a study file.
            trials: ``budget.trials``: a total, over all runs.
            name: Of the study; by default that of the file, the script or the function.
            dir: The study folder, with placeholders such as ``{backbone}``; ``studies/NAME`` by default.
            keys: Any other key of a study file, such as ``sampler="tpe"`` or ``checkpoints={"keep": 3}``. A sampler and a pruner
                may be Optuna's own objects, as in `outlast.optimize`.

        A study that is in memory (``index={"in_memory": True}``) leaves nothing in its folder: what `run` returns is all that
        there is of it.

        Raises:
            StudyFileError: Something is wrong, with what would be right.
            UsageError: Two ways to train, two metrics, or a word of Optuna's.
        """
        from outlast.api.creating import described
        from outlast.config.placeholders import folder_of

        plain = {"command": command, "function": function, "parameters": parameters, "metric": metric, "budget": budget,
                 "name": name, **keys}  # fmt: skip
        found = described(
            source, {key: value for key, value in plain.items() if value is not None},
            objective=objective, maximize=maximize, minimize=minimize, trials=trials,
        )  # fmt: skip
        return cls(folder_of(found.settings(), None if dir is None else os.fspath(dir)), found)

    def run(
        self,
        *,
        trials: int | None = None,
        parallel: int | Literal["auto"] | None = None,
        deadline: str | float | None = None,
        timeout: str | float | None = None,
        start_from: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
        fresh: bool = False,
        accept_changes: bool = False,
        quiet: bool = False,
    ) -> Result:
        """Search here until it comes to rest; again, exactly the rest. In a notebook the cell shows how it goes.

        Interrupting the cell, once, lets running trials save a checkpoint and leave; twice ends them at once. Either way the
        call returns, and the same cell goes on.

        Args:
            trials: A total over all runs, instead of what the study has.
            parallel: Trials side by side.
            deadline: As in a study file: the search stops cleanly before.
            timeout: ``budget.time``: seconds, or such as ``2h``, of running the study.
            start_from: Earlier studies, whose best are a new study's first trials.
            fresh: Set an earlier study aside.
            accept_changes: Go on although space, metric, command or objective are others than before.
            quiet: Show nothing.

        Returns:
            What it has come to, with the state ``done``, ``stopped`` or ``halted``.

        Raises:
            UsageError: It cannot work, or is not what was begun.
            StudyBusy: Somebody runs this study just now.
        """
        from outlast.api.creating import given_from
        from outlast.api.searching import search

        changes = {"budget__trials": trials, "budget__time": timeout, "parallel": parallel}
        return search(
            self._searched, self.dir,
            changes=changes, deadline=deadline, fresh=fresh, accept_changes=accept_changes, quiet=quiet,
            given=given_from(start_from),
        )  # fmt: skip

    # looking

    @property
    def name(self) -> str:
        """What the study is called."""
        return self._searched.settings().name

    @property
    def result(self) -> Result:
        """What it has come to so far. Raises `outlast.errors.StudyNotFound` before it is begun."""
        from outlast.api.result import Result

        self._refuse_unbegun()
        return Result.of(self.dir)

    @property
    def best(self) -> Trial | None:
        """The best complete trial: ``best.number``, ``best.params``, ``best.value``; ``None`` while there is none. With several
        objectives one of `best_trials`."""
        from outlast.core.best import best_trial

        study, settings = self._record()
        return best_trial(study, settings.metrics)

    @property
    def best_trials(self) -> tuple[Trial, ...]:
        """The best complete one; with several objectives, the Pareto front."""
        from outlast.core.best import best_trials

        study, settings = self._record()
        return tuple(best_trials(study, settings.metrics))

    def trials(self, library: Literal["pandas", "polars"] | None = None) -> Any:
        """Every trial as a row of a data frame: the columns of ``trials.csv``, typed; unfinished trials as well.

        Args:
            library: Whose data frame; by default whichever is installed, pandas first.

        Raises:
            outlast.errors.MissingExtra: Neither is installed; the message says how to.
        """
        from outlast.results.trial_frame import frame_of
        from outlast.results.trial_table import TrialTable

        study, settings = self._record()
        return frame_of(TrialTable(settings).columns(study), library)

    def status(self) -> dict[str, Any]:
        """How it stands, as ``outlast status --json`` says it. Raises `outlast.errors.StudyNotFound` before it is begun."""
        self._refuse_unbegun()
        snapshot = self._overview().sights[0].snapshot
        assert snapshot is not None
        return snapshot.to_json()

    def to_optuna(self) -> optuna.Study:
        """The search as an Optuna study, for every tool that takes one; changes to it are not the search's."""
        return self.result.study

    def plot_history(self) -> Any:
        """The value of each trial and the best so far, as a plotly figure.

        Raises:
            UsageError: Its trials do not allow it yet; so do all of these.
        """
        return self._figure("history")

    def plot_importances(self) -> Any:
        """How much each parameter matters to the value."""
        return self._figure("importances")

    def plot_parallel(self) -> Any:
        """Each trial as a line through its parameters."""
        return self._figure("parallel")

    def plot_slices(self) -> Any:
        """The value over each parameter."""
        return self._figure("slices")

    def plot_curves(self) -> Any:
        """What each finished trial reported, step by step."""
        return self._figure("curves")

    def plot_pareto(self) -> Any:
        """With two or three objectives, the trials and which of them none is better than."""
        return self._figure("pareto")

    def report(self, *, show: bool = True) -> str:
        """Draw ``report.html``: everything on one page that needs no network. Returns its path.

        Args:
            show: In a notebook, show it below the cell.

        Raises:
            StudyNotFound: It is not begun.
            OSError: The disk refused.
        """
        from outlast.api.report_file import draw, show_below

        self._refuse_unbegun()
        path = os.path.relpath(draw(self.dir))
        if show:
            show_below(path)
        return path

    # a person's part

    def stop(self, *, drain: bool = False, now: bool = False, trial: int | None = None) -> str:
        """Ask whoever runs it to stop, from another cell or notebook. Returns what happened.

        Args:
            drain: Let running trials finish.
            now: End them at once.
            trial: End this one only; it counts as pruned.

        Raises:
            StudyNotFound: It is not begun.
            UsageError: There is no such trial, or it does not run.
        """
        from outlast.engine.campaign.stop_campaign import stop_one

        return stop_one(live_of(self.dir), drain=drain, now=now, trial=trial)

    def retry(
        self, trials: Sequence[int] | None = None, *, cause: str | None = None, from_scratch: bool = False
    ) -> list[int]:
        """Give finished trials new attempts, under their numbers, at the next `run`. Returns which.

        Args:
            trials: Their numbers; every failed one by default.
            cause: Only those that failed for it, such as ``crash``.
            from_scratch: Without their checkpoints.

        Raises:
            StudyNotFound: It is not begun.
            UsageError: A trial that is not there, or has not finished.
        """
        from outlast.engine.care.retry import retry_trials

        return retry_trials(live_of(self.dir), trials, cause=cause, from_scratch=from_scratch)[0]

    def confirm(
        self,
        *,
        top: int | None = None,
        seeds: int | None = None,
        race: bool | None = None,
        fresh: bool = False,
        quiet: bool = False,
    ) -> dict[str, Any]:
        """Run the best again with fresh seeds, and say which is really best: what ``confirmation.json`` says.

        Args:
            top: So many of the best; 3, or what the study file says.
            seeds: Fresh seeds for each; 5, or what the study file says.
            race: Leave out what cannot win any more.
            fresh: Set earlier repetitions aside.
            quiet: Show nothing.

        Raises:
            UsageError: No trial has completed, or it was begun for a search that is run otherwise now.
        """
        from outlast.api.followed_up import confirm

        return confirm(live_of(self.dir), top=top, seeds=seeds, race=race, fresh=fresh, quiet=quiet)

    def refit(
        self, *, trial: int | None = None, seeds: int | None = None, fresh: bool = False, quiet: bool = False
    ) -> dict[str, Any]:
        """Train the best once more, for the model to keep: what ``refit.json`` says. Again, it does the rest.

        Args:
            trial: This one, instead of the confirmed or the best.
            seeds: So many trainings, each with a seed of its own.
            fresh: Set an earlier refit aside.
            quiet: Show nothing.

        Raises:
            UsageError: There is nothing to train again, it was trained otherwise before, or it went wrong or was stopped.
        """
        from outlast.api.followed_up import refit

        return refit(live_of(self.dir), trial=trial, seeds=seeds, fresh=fresh, quiet=quiet)

    def evaluate(self, *, trial: int | None = None, again: bool = False, quiet: bool = False) -> dict[str, Any]:
        """Score that model on the test set, as ``evaluate`` of the study file says: what ``evaluation.json`` says.
        Each look at the test set is counted.

        Args:
            trial: The model of this trial, instead of the refit's.
            again: Look once more, although it was looked at.
            quiet: Show nothing.

        Raises:
            UsageError: Nothing says how, it was looked at before, or the scoring went wrong or was stopped.
        """
        from outlast.api.followed_up import evaluate

        return evaluate(live_of(self.dir), trial=trial, again=again, quiet=quiet)

    def export(
        self, output: str | os.PathLike[str] | None = None, *, trial: int | None = None, quiet: bool = False
    ) -> str:
        """Put the model together with all that belongs to it, in a folder or archive. Returns where.

        Args:
            output: Where to, an archive by its ending; ``export`` in the study folder by default.
            trial: The model of this trial, instead of the one that was refitted, or the best.
            quiet: Print nothing of what a person should know about it.

        Raises:
            UsageError: There is nothing to export, or something else at the place.
        """
        from outlast.api.followed_up import export

        return export(live_of(self.dir), None if output is None else os.fspath(output), trial=trial, quiet=quiet)

    # showing

    def __repr__(self) -> str:
        return f"<outlast.Study {self.dir}: {self._said()}>"

    def _repr_html_(self) -> str:
        from outlast.api.cell_page import page_of

        try:
            return page_of(self._overview()).html if self._exists else self._line()
        except OutlastError:
            return self._line()

    def _line(self) -> str:
        from html import escape

        from outlast.core.escapes import as_on_a_screen

        return f"<div>{escape(as_on_a_screen(f'{self.dir}: {self._said()}'))}</div>"

    def _said(self) -> str:
        if not self._exists:
            return "not begun"
        try:
            snapshot = self._overview().sights[0].snapshot
        except OutlastError as error:
            return error.fact
        assert snapshot is not None
        done = snapshot.counted if snapshot.target is None else f"{snapshot.counted} of {snapshot.target}"
        best = "" if snapshot.best is None else f", best trial {snapshot.best.trial}: {snapshot.best.value:.6g}"
        return f"{snapshot.state.value}, {done} trials{best}"

    # inside

    @property
    def _exists(self) -> bool:
        return StudyPaths.at(live_of(self.dir)).exists

    def _refuse_unbegun(self) -> None:
        if not self._exists:
            raise StudyNotFound(f"no study in {self.dir}", cure="study.run() begins it")

    def _record(self) -> tuple[Fold, Any]:
        from outlast.core.fold import Study as Fold
        from outlast.engine.record.recorded import recorded_settings

        if not self._exists:
            return Fold(), self._searched.settings()
        settings, study = recorded_settings(live_of(self.dir))
        return study, settings

    def _overview(self) -> Overview:
        from outlast.engine.record.look import Looker

        return Looker(live_of(self.dir), self.dir).overview()

    def _figure(self, kind: str) -> Any:
        from outlast.optimizer.plot_pages import figure_of

        study, settings = self._record()
        if len(settings.metrics) == 1 and kind == "pareto":
            raise UsageError("a Pareto front is of several objectives", cure="plot_history()")
        return figure_of(kind, study, settings)
