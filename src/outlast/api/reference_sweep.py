"""One search for one backbone, said as an HPO file and a few folders, given back as an Optuna study: a call that notebooks know.

It is a study like any other: `outlast.config.reference_dialect` says what the file means, and every command takes the folder.
"""

from __future__ import annotations

import inspect
import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from outlast._system.platforms import current_platform
from outlast.api.described import in_python, texts_of
from outlast.api.handed_over import HandedOver
from outlast.api.searching import search
from outlast.config.function_source import arguments_of
from outlast.config.placeholders import filled
from outlast.config.settings import OBJECTIVE, Settings
from outlast.core.file_names import StudyNames
from outlast.errors import StudyFileError, UsageError

if TYPE_CHECKING:
    import optuna

_SAID_IN = "run_local_hpo_sweep()"
_DEFAULT_NAME = "hpo_{backbone}"
_DEFAULT_STORE = f"{{backbone}}/{StudyNames.index.name}"
#: What a function may ask for besides the parameters, and a command as ``{dataset_path}``.
_GIVEN = ("dataset_path", "config_dir", "train_config")

Train = str | Sequence[str] | Callable[..., Any]
Path = str | os.PathLike[str]


def run_local_hpo_sweep(
    dataset_path: Path,
    config_dir: Path,
    backbone: str,
    hpo_config: Mapping[str, Any] | Path,
    train_config: Mapping[str, Any] | Path | None = None,
    output_dir: Path = "outputs/hpo",
    mlflow_experiment_name: str | None = None,
    *,
    train: Train | None = None,
    fresh: bool = False,
    accept_changes: bool = False,
    quiet: bool = False,
) -> optuna.Study:
    """Search for the best hyperparameters of one backbone; the same call again goes on with exactly the rest.

    Args:
        dataset_path: Where the data lies. A function that has an argument of this name gets it, of an HPO file's own
            ``function`` as a fixed parameter; in a command it stands for ``{dataset_path}``.
        config_dir: The project's folder of configurations, handed on alike.
        backbone: The one that is trained: the fixed parameter ``backbone`` of each trial, whatever the search space says of
            it, and ``{backbone}`` in paths.
        hpo_config: What is searched and how: an HPO file's content, or its path (``search_space``, ``sampling``,
            ``objective``, ``k_fold``, ``checkpoint``, …).
        train_config: The training's own configuration, or the path of its YAML file. ``command`` in it is what trains, unless
            `train` says so. A function gets the rest as ``train_config``; a command that says ``${config}`` gets the file with
            the trial's parameters in it.
        output_dir: The study lies in ``output_dir/BACKBONE``, or with a ``study_name`` of one's own under that name;
            ``checkpoint.storage_path`` starts here. Relative to the working directory, on Colab with Drive to the folder there.
        mlflow_experiment_name: The search is sent to MLflow's experiment ``NAME-hpo-BACKBONE``, where ``mlflow.yaml`` in
            `config_dir` enables it to that of an Azure ML workspace.
        train: What trains: a command with ``${args}``, or a function that is called with the parameters and returns the score.
        fresh: Set an earlier study aside.
        accept_changes: Go on although what needs acceptance has changed.
        quiet: Print nothing.

    Returns:
        The search as an Optuna study, also when it was interrupted. With ``checkpoint.enabled: false`` it is in memory, and
        nothing else of it is left.

    Raises:
        StudyFileError, UsageError: Something that cannot work, before anything runs.
        StudyBusy: Somebody runs this study just now.
    """
    if not isinstance(backbone, str) or not backbone:
        raise UsageError(f"{_SAID_IN}: backbone is {backbone!r}, not a name", cure='backbone="distilbert"')
    given = {"dataset_path": os.fspath(dataset_path), "config_dir": os.fspath(config_dir)}
    configured = _mapping(train_config, "train_config")
    what = train if train is not None else configured.pop("command", None)
    said = _Said.of(hpo_config)
    output = _below_the_root(os.fspath(output_dir))
    keys = said.in_place(backbone, output)
    objective: HandedOver | None = None
    if callable(what):
        objective = HandedOver(_with_what_it_asks_for(what, {**given, "train_config": configured}), takes_trial=False)
        keys |= {"function": OBJECTIVE, "command": None}
    elif what is not None:
        keys |= {"command": _command(what, given), "function": None}
        if "${config}" in str(what) and train_config is not None:
            keys["config"] = _base(train_config)
    if mlflow_experiment_name is not None:
        follow = os.path.abspath(os.path.join(config_dir, "mlflow.yaml"))
        own = {"config": follow} if os.path.isfile(follow) else {}
        experiment = f"{mlflow_experiment_name}-hpo-{backbone}"
        given_there = said.data.get("mlflow") or {}
        if not isinstance(given_there, Mapping):
            cure = 'mlflow: {uri: "http://…"}'
            raise StudyFileError("must be keys and values", file=f"{_SAID_IN}, hpo_config", key="mlflow", cure=cure)
        keys["mlflow"] = {**given_there, **own, "experiment": experiment}
    of = _Sweep(said, keys, objective)
    if what is None:
        of = replace(of, told=_told(of.settings(), given))
    result = search(of, said.folder(backbone, output), fresh=fresh, accept_changes=accept_changes, quiet=quiet)
    return result.study


class _Said(Struct, frozen=True):
    """An HPO file, or its content; and what it says of checkpoints, with all that it extends."""

    file: str | None
    data: Mapping[str, Any]
    checkpoint: Mapping[str, Any] | None

    @classmethod
    def of(cls, given: Mapping[str, Any] | Path) -> _Said:
        """Raises `StudyFileError` where it is no HPO file."""
        from outlast.config.chain import read_chain

        file = None if isinstance(given, Mapping) else _path(given, "hpo_config")
        data = given if isinstance(given, Mapping) else {}
        parts = [data] if file is None else [each.data for each in read_chain(file)]
        if not any("search_space" in part for part in parts):
            cure = "search_space: {learning_rate: {type: loguniform, min: 1e-5, max: 1e-3}}; other study files: outlast.optimize"
            raise StudyFileError("says no `search_space`", file=file or f"{_SAID_IN}, hpo_config", cure=cure)
        found = [part["checkpoint"] for part in parts if isinstance(part.get("checkpoint"), Mapping)]
        merged = {key: value for each in found for key, value in each.items()}
        return cls(file, data, merged if found else None)

    @property
    def name(self) -> str:
        """The study's, with its placeholders."""
        return str((self.checkpoint or {}).get("study_name") or _DEFAULT_NAME)

    def folder(self, backbone: str, output: str) -> str:
        """The study's folder: as the backbone is called, unless the study has a name of its own."""
        own = "{backbone}" if self.name == _DEFAULT_NAME else self.name
        return os.path.join(output, filled(own, {"backbone": backbone}))

    def in_place(self, backbone: str, output: str) -> dict[str, Any]:
        """What is the same for this call, as an HPO file that extends it would say it."""
        store = str((self.checkpoint or {}).get("storage_path") or _DEFAULT_STORE)
        if "://" not in store and not store.startswith(("~", "$")):
            store = os.path.join(os.path.abspath(output), store)
        own = os.path.abspath(os.path.join(self.folder(backbone, output), StudyNames.index.name))
        needed = (
            not os.path.isabs(store)
            or os.path.normpath(store).replace("{backbone}", filled("{b}", {"b": backbone})) != own
        )
        checkpoint = {**(self.checkpoint or {"enabled": True}), "study_name": self.name}
        checkpoint["storage_path"] = store if needed else None
        return {"matrix": {"backbone": [backbone]}, "checkpoint": checkpoint}


class _Sweep(Struct, frozen=True):
    """The search, as `outlast.api.searching.search` asks for it."""

    said: _Said
    keys: Mapping[str, Any]
    objective: HandedOver | None
    told: Sequence[str] = ()  # as of ``--set``

    def settings(self, **changes: Any) -> Settings:
        """See `outlast.api.described.Described.settings`."""
        from outlast.config.from_python import settings_from_python

        keys = {**self.said.data, **self.keys}
        given = {key: value for key, value in keys.items() if value is not None}
        try:
            return settings_from_python(
                self.said.file, given if self.said.file is None else keys,
                said_in=_SAID_IN, changes=[*self.told, *texts_of(changes)],
            )  # fmt: skip
        except StudyFileError as error:
            if error.key is None and "says nothing to run" in error.fact:
                cure = 'train="python train.py ${args}", or a function; or `command` in train_config'
                raise StudyFileError("what trains is not said", file=_SAID_IN, cure=cure) from None
            raise in_python(error, _SAID_IN) from None


def _below_the_root(folder: str) -> str:
    """Where a relative folder lies: below the platform's root, which at home is the working directory."""
    platform = current_platform()
    return folder if platform.kind == "local" else os.path.join(platform.root, folder)


def _mapping(given: Mapping[str, Any] | Path | None, name: str) -> dict[str, Any]:
    """The content of a configuration that was handed over, or named."""
    if given is None or isinstance(given, Mapping):
        return dict(given or {})
    from outlast.config.yaml import read

    return dict(read(_path(given, name)).data)


def _path(given: object, name: str) -> str:
    if not isinstance(given, (str, os.PathLike)):
        raise UsageError(f"{_SAID_IN}: {name} is {given!r}", cure="a mapping, or the path of a YAML file")
    return os.fspath(given)


def _base(train_config: Mapping[str, Any] | Path) -> str:
    """The file that ``${config}`` is made of, anew for each trial."""
    if isinstance(train_config, Mapping):
        cure = "name its YAML file, which is read again for each trial"
        raise UsageError(f"{_SAID_IN}: the command says ${{config}}, and train_config is no file", cure=cure)
    return os.path.abspath(train_config)


def _with_what_it_asks_for(function: Callable[..., Any], known: Mapping[str, Any]) -> Callable[..., Any]:
    """The function with those of these that it has an argument for."""
    try:
        asked = inspect.signature(function).parameters
    except (TypeError, ValueError):  # written in C
        return function
    held = {name: known[name] for name in _GIVEN if name in asked}
    return partial(function, **held) if held else function


def _command(words: str | Sequence[str], given: Mapping[str, str]) -> str | list[str]:
    """The command with ``{dataset_path}`` and ``{config_dir}`` filled in."""
    if isinstance(words, str):
        return _filled_in(words, {name: shlex.quote(value) for name, value in given.items()})
    return [_filled_in(str(word), given) for word in words]


def _told(settings: Settings, given: Mapping[str, str]) -> list[str]:
    """What the HPO file's own function or command asks for of these, as texts of ``--set``; paths as seen from where it runs.

    Raises:
        UsageError: Whether the function asks for it cannot be told.
    """
    here = os.path.samefile(settings.working_directory, os.curdir)
    seen = {name: value if here else os.path.abspath(value) for name, value in given.items()}
    if settings.command is not None:
        words = _command(settings.command, seen)
        return [] if words == list(settings.command) else [f"command={json.dumps(words)}"]
    if settings.function in (None, OBJECTIVE):
        return []
    asked = arguments_of(str(settings.function), settings.working_directory)
    if asked is None:
        fact = f"whether `function: {settings.function}` asks for dataset_path cannot be told from its source"
        raise UsageError(f"{_SAID_IN}: {fact}", cure="import it, and hand it over: train=…")
    return [f"parameters.{name}={json.dumps({'value': value})}" for name, value in seen.items() if name in asked]


def _filled_in(text: str, given: Mapping[str, str]) -> str:
    for name, value in given.items():
        text = text.replace(f"{{{name}}}", value)
    return text
