"""A search as Python says it: what to run, its settings, and changes to them for one run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct, field

from outlast.config.settings import OBJECTIVE, Settings
from outlast.core.file_names import StudyNames
from outlast.errors import StudyFileError, UsageError
from outlast.study.home import live_of

if TYPE_CHECKING:
    from outlast.api.handed_over import HandedOver

Metric = tuple[str, Literal["maximize", "minimize"]]


class Searched(Protocol):
    """A search that can be run from Python."""

    @property
    def objective(self) -> HandedOver | None:
        """What was handed over in Python."""

    def settings(self, **changes: Any) -> Settings:
        """See `Described.settings`."""


class Described(Struct, frozen=True):
    """A search that is new, or goes on.

    Attributes:
        keys: Of a study file.
        said_in: What errors call their place: ``Study.create()``.
        file: The study file under these.
        metric: Name and goal, where they were said apart.
        objective: That was handed over in Python.
        cwd: Where relative paths start, whatever the process's folder is by the time that it is run.
    """

    keys: Mapping[str, Any]
    said_in: str
    file: str | None = None
    metric: Metric | None = None
    objective: HandedOver | None = None
    cwd: str = field(default_factory=os.getcwd)

    def settings(self, **changes: Any) -> Settings:
        """Its settings, with keys of the study file changed for this run; names of sections, or ``budget__trials`` inside one.

        Raises:
            StudyFileError: Something is wrong, before anything runs.
        """
        said = texts_of(changes)
        try:
            if self.objective is not None:
                from outlast.config.load import settings_from_resolved

                named = {"name": self.objective.name, **self.keys, "function": OBJECTIVE}
                return settings_from_resolved(named, self.cwd, said, described=True)
            from outlast.config.from_python import settings_from_python

            return settings_from_python(
                self._file,
                self.keys,
                said_in=self.said_in,
                changes=said,
                metric=self.metric,
                default_name=self._script(),
                cwd=self.cwd,
            )
        except StudyFileError as error:
            raise in_python(error, self.said_in) from None

    @property
    def _file(self) -> str | None:
        """As it was named, where that still means it."""
        return self.file if self.file is None or os.getcwd() == self.cwd else os.path.join(self.cwd, self.file)

    def _script(self) -> str:
        """What a study without a name is called: as its script, or its function."""
        from outlast.config.inline import script_stem

        command, function = self.keys.get("command"), self.keys.get("function")
        if isinstance(function, str):
            return function.rpartition(":")[2]
        try:
            words = shlex.split(command) if isinstance(command, str) else list(command or ())
            return script_stem([str(word) for word in words]) if words else ""
        except (TypeError, ValueError):  # what is wrong with it is said by whoever reads it
            return ""


class Recorded(Struct, frozen=True):
    """A study that is there, as its folder has it on record."""

    folder: str
    said_in: str = "Study.run()"
    objective: HandedOver | None = None  # it is on record as well

    def settings(self, **changes: Any) -> Settings:
        """Its settings, changed as those of `Described` are.

        Raises:
            StudyNotFound, LedgerDamaged: There is none, or it cannot be read.
            StudyFileError: A change that no study file may have.
        """
        from outlast.engine.record.recorded import recorded_settings

        settings, _ = recorded_settings(live_of(self.folder))
        said = texts_of(changes)
        if not said:
            return settings
        from outlast.config.load import settings_from_resolved

        try:
            return settings_from_resolved(settings.resolved, settings.working_directory, said)
        except StudyFileError as error:
            raise in_python(error, self.said_in) from None


def texts_of(changes: Mapping[str, Any]) -> Sequence[str]:
    """As of ``--set``; what is ``None`` changes nothing."""
    import json

    from outlast.core.plain_json import plain_json

    return [
        f"{key.replace('__', '.')}={json.dumps(plain_json(value))}"
        for key, value in changes.items()
        if value is not None
    ]


def in_python(error: StudyFileError, said_in: str) -> StudyFileError:
    """An error whose place is the call, where it is no file; its cure has no flags of the command line."""
    own = error.file is None or error.file == StudyNames.study_file.name or error.file.startswith("--set ")
    file = said_in if own else error.file
    return StudyFileError(error.fact, file=file, line=error.line, key=error.key, cure=_calls_in(error.cure))


def in_words_of_python(error: UsageError, fresh: str, goes_on: str) -> UsageError:
    """An error of a run that tells flags of the command line."""
    if error.fact.startswith("--from: "):
        return UsageError(error.fact.replace("--from:", "start_from:", 1), cure=error.cure)
    if error.cure is not None and "--resume" in error.cure:
        return UsageError(error.fact, cure=f"auto_resume: true goes on with it; {fresh}")
    if error.cure is None or "--accept-changes" not in error.cure:
        return with_calls(error)
    cure = f"{goes_on}; {fresh}; another name= keeps both"
    return UsageError(error.fact.replace("the study file has", "the arguments have"), cure=cure)


def with_calls(error: UsageError) -> UsageError:
    """An error whose cure calls methods of `outlast.Study`, where it told commands."""
    return error if type(error) is not UsageError else UsageError(error.fact, cure=_calls_in(error.cure))


def calls_in(text: str) -> str:
    """What is said on the command line, with calls of `outlast.Study`'s methods and their arguments."""
    for said, ours in _SAID.items():
        text = text.replace(said, ours)
    return _COMMAND.sub(
        lambda found: f"study.{found[1]}({', '.join(_ARGUMENT.sub(_argument, found[2]).split())})", text
    )


def _calls_in(cure: str | None) -> str | None:
    return None if cure is None else calls_in(cure)


_SAID = {
    ", or give --trials 50": ", or trials=50",
    "--again looks": "again=True looks",
    "(or --trial N:": "(or trial=N:",
    "with --output": "with output=",
    "to it, and name it: outlast evaluate STUDY.yaml": "to it, or evaluate={…} to Study.create()",
}
_COMMAND = re.compile(
    r"outlast (confirm|refit|evaluate|export) [^\s()]+((?: --(?:fresh|again|trial \d+|seeds \d+)(?![\w-]))*)"
)
_ARGUMENT = re.compile(r"--(\w+)(?: (\d+))?")


def _argument(found: re.Match[str]) -> str:
    return f"{found[1]}={found[2] or True}"
