"""MLflow: a run for the study and, below it, one for each trial.

Exactly once: a run is looked for by its tags before it is made, and what was made twice because an answer came late is
removed. A metric carries the time and step of its report, so that sending it again is the same row of a database; where an
earlier request may or may not have arrived, what is there is looked at first, so that this holds for every kind of server.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import msgspec

from outlast.config.secrets import mask_text
from outlast.core.file_names import StudyNames
from outlast.tracking import mlflow_content as content
from outlast.tracking.mlflow_content import Row
from outlast.tracking.mlflow_names import same_number, texts_of
from outlast.tracking.mlflow_place import tracking_uri
from outlast.tracking.mlflow_runs import Runs
from outlast.tracking.mlflow_server import Gone, Refused, Server, is_deleted
from outlast.tracking.mlflow_trial import logged, missing, send_trial
from outlast.tracking.sink import EverythingAgain, Memory, SinkError, TrackedStudy, TrackedTrial

_DELETED = "the study's run was deleted in MLflow"
_KEPT_EVERY = 10  # trials
_ANY = 2**53  # higher than any step: what an unknown memory has sent may be at each
_CURE = "restore it there, or leave `tracking:` out"


class MlflowSink:
    """Sends a study to MLflow, as `outlast.tracking.sink.Sink` says.

    Args:
        uri: MLflow's tracking URI; by default MLFLOW_TRACKING_URI, or what MLflow takes where the trainings run.
        experiment: By default ``{name}-hpo-{backbone}``.
        run_name: The parent's; by default ``hpo_{backbone}_{YYYYMMDD_HHMMSS}``.
        artifacts: Whether the files of trials and study are uploaded.
        log_best_checkpoint: Whether the best trial's checkpoint is, which may be large.
        tags: Of every run.
        handed_uri: The same address for trainings, where it holds a password: with ``${NAME}``, which their environment has.
    """

    def __init__(
        self,
        uri: str | None = None,
        experiment: str | None = None,
        run_name: str | None = None,
        artifacts: bool = True,
        log_best_checkpoint: bool = False,
        tags: Mapping[str, str] | None = None,
        handed_uri: str | None = None,
    ) -> None:
        self._given_uri, self._experiment_name, self._run_name = uri, experiment, run_name
        self._handed_uri = handed_uri if uri else "${MLFLOW_TRACKING_URI}"
        self._artifacts, self._best_checkpoint, self._tags = artifacts, log_best_checkpoint, dict(tags or {})
        self._server: Server | None = None
        self._named = ""  # what the study's experiment is called

    # The contract

    def open(self, study: TrackedStudy, memory: Memory) -> None:
        """Find the study's runs, or make the first one."""
        uri = tracking_uri(self._given_uri, study.cwd)
        if self._server is None or self._server.uri != uri:
            self._server = Server(uri)
        self._memory = memory
        experiment = self._experiment(study)
        tags = {"mlflow.user": _user(), "mlflow.source.name": "outlast", "mlflow.source.type": "LOCAL", **self._tags}
        self._runs = Runs(self._server, experiment, study, memory, tags)
        self._runs.find()
        if self._runs.parent is None:
            self._begin(study)
        elif self._runs.is_new_to_us:
            memory.data["adopted"] = [str(number) for number in self._runs.children]  # with whatever they have
            memory.data["doubt"] = {str(number): True for number in self._runs.children}
            memory.data.update(parent_doubt=True, parent_step=_ANY)
        memory.data["experiment"] = experiment
        memory.keep()
        self._send_parent(study)

    def send(self, study: TrackedStudy, changed: Sequence[TrackedTrial]) -> None:
        """Bring runs for all that run or will soon, then what has changed, then the study."""
        data, runs = self._memory.data, self._runs
        wanted = [trial for trial in changed if str(trial.number) not in runs.dropped]
        data["last_end"] = max(
            [data.get("last_end", study.created), *(t.ended for t in changed if t.ended is not None)]
        )
        try:
            self._make(study, changed)
            doubt = data.setdefault("doubt", {})
            surely = {str(trial.number) for trial in wanted if str(trial.number) not in doubt}
            doubt.update(dict.fromkeys(surely, False))  # sent to: whether it arrives is not known before an answer
            self._memory.keep()
            for count, trial in enumerate(wanted, start=1):
                self._send_trial(study, trial, is_known=str(trial.number) in surely)
                if not count % _KEPT_EVERY:  # of what came after it, there is doubt
                    self._memory.keep()
            self._send_parent(study)
        except (Gone, Refused) as error:
            self._judge(error)
            raise
        if study.state in content.AT_REST:
            self._send_files(runs.parent, "study", study.files)

    def close(self, study: TrackedStudy) -> None:
        """Remove what was made ahead and is of no use, and what was made twice."""
        if self._server is None:
            return
        self._send_parent(study)
        self._runs.find()
        if study.state in content.AT_REST:
            self._runs.remove_unused()
            self._send_files(self._runs.parent, "study", study.files)
        self._memory.keep()

    def _experiment(self, study: TrackedStudy) -> str:
        """The id of the one where the study's runs are, whatever it is called by now, or of the one where they are to be."""
        known = self._memory.data.get("experiment") if self._memory.data.get("parent") else None
        name = self._opened.name_of(known) if known else None
        self._named = name or self._experiment_name or content.experiment_name(study)
        return str(known) if name else self._opened.experiment(self._named)

    # The study

    def _begin(self, study: TrackedStudy) -> None:
        """Nothing is there: all of it is sent again if something was."""
        had = bool(self._memory.data.get("parent"))
        if had:
            self._memory.data.clear()
            self._memory.keep()
            raise EverythingAgain("MLflow has nothing of this study any more: another database stands behind it")
        self._runs.make_parent(self._run_name or content.parent_name(study))

    def _judge(self, error: SinkError) -> None:
        """Something that was there is not: is it the database, the parent, or a trial's run that a person deleted?"""
        self._runs.find()
        if self._runs.parent is None:
            self._memory.data.clear()
            self._memory.keep()
            raise EverythingAgain(
                "MLflow has nothing of this study any more: another database stands behind it"
            ) from error

    def _send_parent(self, study: TrackedStudy) -> None:
        data, run_id = self._memory.data, self._runs.parent
        assert run_id is not None
        params = {} if data.get("parent_params") else texts_of(content.parent_params(study))
        tags = {**content.parent_tags(study), **self._tags}
        tags = {name: text for name, text in tags.items() if data.get("parent_tags", {}).get(name) != text}
        metrics = content.parent_metrics(study)
        known, is_known = data.get("parent_metrics", {}), not data.get("parent_doubt")
        if not is_known:
            known = self._opened.run(run_id).data.metrics
        new = {
            name: value for name, value in metrics.items() if not (name in known and same_number(known[name], value))
        }
        if new or params or tags:
            data["parent_doubt"] = True
            self._memory.keep()
            step = sum(count for state, count in study.counts.items() if state.finished)
            # The same whenever it is sent.
            at = content.milliseconds(data.get("last_end", study.created) if step else study.created)
            try:
                rows = [Row(name, value, at, step) for name, value in new.items()]
                if not is_known or step <= data.get("parent_step", -1):
                    rows = missing(self._opened, run_id, rows)
                logged(self._opened, run_id, rows, params, tags)
                data["parent_step"] = max(step, data.get("parent_step", 0))
            except Refused as error:
                if is_deleted(error):
                    raise SinkError(_DELETED, cure=_CURE, lasting=True) from None
                raise
        status = content.STUDY_STATUS[study.state]
        if data.get("parent_status") != status:
            ended = content.milliseconds(study.ended or time.time()) if study.state in content.AT_REST else None
            self._opened.status(run_id, status, ended)
        data.update(parent_params=True, parent_tags={**data.get("parent_tags", {}), **tags}, parent_status=status)
        data.update(parent_metrics=metrics, parent_doubt=False)
        self._memory.keep()

    # The trials

    def _make(self, study: TrackedStudy, changed: Iterable[TrackedTrial]) -> None:
        """A run for each trial that changed, and for those to come; and what their trainings are to know of it: nothing at all
        says that no run will come."""
        runs, by_number = self._runs, {trial.number: trial for trial in changed}
        wanted = sorted({*by_number, *study.upcoming})
        try:
            for number in wanted:
                runs.make_child(number, by_number[number].began if number in by_number else None)
        finally:
            handed, address = self._memory.data.setdefault("environment", {}), self._address
            for number in wanted:
                is_over = number in by_number and by_number[number].is_over
                if number in runs.children and not is_over and address:
                    handed[str(number)] = {
                        "MLFLOW_TRACKING_URI": address,
                        "MLFLOW_EXPERIMENT_ID": runs.experiment,
                        "MLFLOW_EXPERIMENT_NAME": self._named,
                        "MLFLOW_RUN_ID": runs.children[number],
                    }
                elif not is_over and (not address or str(number) in runs.dropped):
                    handed[str(number)] = {}
                else:
                    handed.pop(str(number), None)
            self._memory.keep()

    @property
    def _address(self) -> str:
        """The server's address as trainings are handed it, without a secret on record; empty where that is not possible."""
        uri, handed = self._opened.uri, self._handed_uri or ""
        if mask_text(uri) == uri:
            return uri
        return handed if "${" in handed and mask_text(handed) == handed else ""

    def _send_trial(self, study: TrackedStudy, trial: TrackedTrial, *, is_known: bool) -> None:
        number, data = str(trial.number), self._memory.data
        run_id, digest = self._runs.children[trial.number], _digest(trial)
        if is_known and data.setdefault("has", {}).get(number) == digest:
            data["doubt"].pop(number, None)
            return  # of several at once that did not all arrive, this one did
        try:
            send_trial(self._opened, run_id, study, trial, data, is_known=is_known, tags=self._tags)
            if trial.is_over:
                self._send_files(run_id, number, trial.files)
        except (Refused, Gone) as error:
            if not isinstance(error, Gone) and not is_deleted(error):
                raise
            self._judge(error)
            self._runs.drop(trial.number)  # a person deleted it, or MLflow's own `gc` has
            if not trial.is_over:
                data.setdefault("environment", {})[number] = {}
        data.setdefault("has", {})[number] = digest
        data["doubt"].pop(number, None)

    # Files

    def _send_files(self, run_id: str | None, whose: str, files: Mapping[str, str]) -> None:
        """Upload what is there and is new. What nobody can upload (no package, no permission) is said once, on the run."""
        done = self._memory.data.setdefault("files", {})
        wanted = files if self._artifacts else {}
        present = {name: stamp for name, path in wanted.items() if (stamp := _stamp(path))}
        if not self._best_checkpoint:
            present.pop(StudyNames.best_checkpoint.name, None)
        if run_id is None or not present or done.get(whose) == present:
            return
        with tempfile.TemporaryDirectory(prefix="outlast-") as folder:
            for name in present:
                link = os.path.join(folder, os.path.basename(name))
                os.symlink(os.path.abspath(files[name]), link)
                try:
                    self._opened.upload(run_id, link, os.path.dirname(name))
                except SinkError as error:
                    if not _is_for_good(error):
                        raise
                    self._opened.log(run_id, tags={"outlast.files": f"not uploaded: {error.reason}"})
                    break
                finally:
                    os.unlink(link)
        done[whose] = present

    @property
    def _opened(self) -> Server:
        assert self._server is not None
        return self._server


def _is_for_good(error: SinkError) -> bool:
    return error.lasting or isinstance(error, Refused) or "Permission denied" in error.reason


def _digest(trial: TrackedTrial) -> str:
    return hashlib.sha256(msgspec.json.encode(trial, enc_hook=repr)).hexdigest()[:16]


def _stamp(path: str) -> list[int] | None:
    with suppress(OSError):
        status = os.stat(path)
        return [status.st_mtime_ns, status.st_size]
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
