"""Which search a command line means: its settings, its folder, and how it is told that it cannot work."""

from __future__ import annotations

import json
import os
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import click
from msgspec import Struct
from msgspec.structs import replace

from outlast.cli.invocation import Invocation
from outlast.cli.targets.dashes import without_dashes
from outlast.cli.targets.locate import by_name, is_study_folder, study_of_file, the_folder, within_a_study
from outlast.cli.targets.locate_several import only_campaign
from outlast.errors import StudyFileError, StudyNotFound, UsageError

if TYPE_CHECKING:
    from outlast.config.settings import Settings
    from outlast.core.finding import Finding
    from outlast.core.fold import Study
    from outlast.engine.campaign.planned import CampaignPlan

_Metric = tuple[str, Literal["maximize", "minimize"]]


class SearchRequest(Struct, frozen=True, dict=True):
    """Which search a command line means: `check`, `run` and `submit` are asked alike."""

    invocation: Invocation  # the command line as it was typed
    study: tuple[str, ...] = ()  # a study file or folder, or nothing
    overrides: tuple[str, ...] = ()  # of --set
    trials: int | None = None  # this and the others: the flags of these names
    parallel: int | None = None
    maximize: str | None = None
    minimize: str | None = None
    name: str | None = None
    directory: str | None = None
    deadline: str | None = None
    index: str | None = None

    @cached_property
    def meant(self) -> Settings | CampaignPlan:
        """What is meant: a study file, a study folder, a command with inline spaces; or several studies."""
        return self._meant if self.deadline is None else self._until_then(self._meant)

    def _until_then(self, meant: Settings | CampaignPlan) -> Settings | CampaignPlan:
        """With the deadline of the command line, which is this run's alone and goes on no record."""
        from outlast.engine.campaign.planned import CampaignPlan
        from outlast.engine.coordinator.session_end import until

        if not isinstance(meant, CampaignPlan):
            return until(meant, self.deadline, "--deadline")
        planned = [
            each if each.settings is None
            else replace(each, settings=until(each.settings, self.deadline, "--deadline"))
            for each in meant.planned
        ]  # fmt: skip
        return replace(meant, planned=tuple(planned))

    @cached_property
    def _meant(self) -> Settings | CampaignPlan:
        if "" in self.study or ("--" in self.invocation.arguments and not self.invocation.command):
            raise UsageError(
                "there is nothing where a study file or a command should be", cure="outlast run STUDY.yaml"
            )
        if self.invocation.command:
            return self._of_a_command()
        if (meant := without_dashes(self.invocation.before)) is not None:
            raise meant
        if len(self.study) <= 1 and is_study_folder(file := self._source):
            return self.recorded(file)
        from outlast.cli.targets import campaign_request

        if len(self.study) > 1:
            return campaign_request.of_several(self)
        return campaign_request.of_one_place(self, self._source)

    @cached_property
    def settings(self) -> Settings:
        """The one study that is meant, as it is run now.

        Raises:
            UsageError: Several are.
        """
        from outlast.engine.campaign.planned import CampaignPlan

        if isinstance(self.meant, CampaignPlan):
            names = [each.member.study for each in self.meant.planned]
            if len(self.study) > 1:
                raise UsageError(f"one study at a time; {len(names)} were given: {', '.join(names)}")
            fact = f"makes {len(names)} studies where one is meant: {', '.join(names)}"
            raise StudyFileError(fact, file=self._source)
        return self.meant

    @cached_property
    def campaign(self) -> CampaignPlan | None:
        """The several studies that are meant; ``None`` where it is one."""
        from outlast.engine.campaign.planned import CampaignPlan

        return self.meant if isinstance(self.meant, CampaignPlan) else None

    @cached_property
    def folder(self) -> str:
        """The study folder: ``--dir``, the one that was named, or ``studies/NAME``, wherever that was begun."""
        from outlast.config.placeholders import folder_of

        if self.directory is not None:
            if not self.directory:
                raise UsageError("--dir: there is no folder without a name", cure="--dir FOLDER")
            return folder_of(self.settings, self.directory)
        if self.study and not os.path.isfile(place := by_name(self.study[0])):
            return place.rstrip("/")
        return study_of_file(self.study[0], self.settings) if self.study else folder_of(self.settings)

    def refusal(self, finding: Finding) -> UsageError:
        """What speaks against a run, said at its place in the study file where it has one."""
        return _refusal_at(None if self.invocation.command else self._source, finding)

    @property
    def _source(self) -> str:
        return by_name(self.study[0]) if self.study else _default_study()

    @property
    def metric(self) -> _Metric | None:
        """Name and goal, where the command line says them."""
        if self.maximize is not None and self.minimize is not None:
            cure = "several objectives go into a study file"
            raise UsageError("--maximize and --minimize exclude each other", cure=cure)
        if self.maximize is not None:
            return self.maximize, "maximize"
        return None if self.minimize is None else (self.minimize, "minimize")

    @property
    def changes_of_each(self) -> list[str]:
        """What is changed of each study that is meant, as texts of ``--set``."""
        trials = [] if self.trials is None else [f"budget.trials={self.trials}"]
        return [*self.overrides, *trials, *self._store]

    @property
    def _store(self) -> list[str]:
        """The index that ``--index`` names, a path of this folder's, as a text of ``--set``."""
        if self.index is None:
            return []
        here = "://" not in self.index and not self.index.startswith(("~", "$", "{"))
        return [f"index.url={json.dumps(os.path.abspath(self.index) if here else self.index)}"]

    def _of_a_command(self) -> Settings:
        from outlast.config.inline import settings_from_command

        if self.study:
            fact = f"{self.study[0]} and a command behind -- exclude each other"
            raise UsageError(fact, cure="a study file has its own `command`; leave one of the two out")
        if self.overrides:
            raise UsageError("--set changes a study file; there is none", cure="leave it out, or write a study file")
        if (metric := self.metric) is None:
            raise UsageError("a command needs its metric", cure="--maximize NAME or --minimize NAME")
        settings = settings_from_command(
            self.invocation.command, name=self.name, metric=metric, trials=self.trials, parallel=self.parallel
        )
        if not self._store:
            return settings
        from outlast.config.load import settings_from_resolved

        told = settings_from_resolved(settings.resolved, settings.working_directory, self._store)
        return replace(told, notes=settings.notes)

    def recorded(self, folder: str, *, one_of_several: bool = False) -> Settings:
        """The settings of a study that is there, with what the command line changes of it.

        Args:
            folder: Its folder, or its home.
            one_of_several: Whether `name` and `parallel` are those of a campaign that it belongs to.
        """
        from outlast.config.load import settings_from_resolved
        from outlast.engine.record.recorded import recorded_settings
        from outlast.study.home import live_of

        settings, recorded = recorded_settings(live_of(folder))
        if self.study and os.path.isfile(self.study[0]) and not one_of_several:
            _refuse_an_edited_copy(self.study[0], folder, recorded)
        _refuse_for_a_record(settings, self.metric, None if one_of_several else self.name)
        pool = [] if one_of_several or self.parallel is None else [f"parallel={self.parallel}"]
        return settings_from_resolved(settings.resolved, settings.working_directory, [*self.changes_of_each, *pool])


def _refuse_an_edited_copy(file: str, folder: str, recorded: Study) -> None:
    """A study's own copy means the study as it is on record: what somebody wrote into it would be passed over in silence."""
    from outlast.config import yaml

    if recorded.revision is not None and yaml.read(file).data != recorded.revision.settings:
        raise UsageError(
            f"{file} is the study's own copy, and it was changed: it is written by Outlast and never read",
            cure=f"change your own study file, or: outlast run {folder} --set KEY=VALUE  (outlast repair {folder} restores it)",
        )


def _refuse_for_a_record(settings: Settings, metric: _Metric | None, name: str | None) -> None:
    """Flags that say what a new study is; a study that is there has its own."""
    if name is not None and name != settings.name:
        raise UsageError(f"--name: the study that is there is called {settings.name}", cure="leave it out")
    if metric is not None and [metric] != [(each.name, each.goal) for each in settings.metrics]:
        own = ", ".join(f"{each.goal} {each.name}" for each in settings.metrics)
        raise UsageError(
            f"--{metric[1]} {metric[0]}: the study that is there has its metric on record ({own})",
            cure=f"leave it out; or change it: --accept-changes --set metric.name={metric[0]} --set metric.goal={metric[1]}",
        )


def _default_study() -> str:
    """What is meant where nothing is named: ``study.yaml`` here, or the only study."""
    if within_a_study():
        raise UsageError("this is a study's own folder, and its study.yaml is Outlast's copy", cure="outlast run .")
    for name in ("study.yaml", "sweep.yaml"):
        if os.path.isfile(name):
            return name
    try:
        return only_campaign() or the_folder(None)
    except StudyNotFound:
        raise UsageError("no study file", cure="outlast run STUDY.yaml, or: outlast init -- python train.py") from None


def invocation_of(context: click.Context) -> Invocation:
    """The command line as it was typed."""
    return context.obj if isinstance(context.obj, Invocation) else Invocation()


def _refusal_at(file: str | None, finding: Finding) -> UsageError:
    from outlast.config import yaml

    document = yaml.read(file) if file is not None and os.path.isfile(file) else None
    if document is None or finding.about in ("folder", "checkpoints.dir"):
        return UsageError(finding.text, cure=finding.cure or _where_it_ran(finding.about, file))
    about, text = finding.about, finding.text
    if about == "files" and ": " in text:
        about, _, text = text.partition(": ")
    for place in ((about,), ("slurm", about)):
        if place in document.places:
            return document.error(place, text, finding.cure)
    return StudyFileError(finding.text, file=file, cure=finding.cure)


def _where_it_ran(about: str, file: str | None) -> str | None:
    """What helps where a study goes on by its record and its program is missing."""
    if file is None or not os.path.isdir(file) or about not in ("command", "files"):
        return None
    return (
        f"the trainings of {file} ran there, as seen from its folder: was it moved? Its study file says where they run: "
        f"outlast run STUDY.yaml --dir {file}"
    )
