"""A campaign that seems to run, and a real server of its live page."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from msgspec.structs import fields, replace

from lab.searched import BEGAN, HOSTILE, events, study_file
from outlast._system.clock import utc_now
from outlast.config.load import settings_from_resolved
from outlast.core.records import AttemptOpened, Event, RevisionMade, RunStarted, StudyEnded, TrialCreated
from outlast.study.campaign import Campaign, Member, keep_campaign
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease
from outlast.study.ledger import Ledger


@dataclass
class Running:
    """A study whose coordinator is this process."""

    paths: StudyPaths
    lease: Lease
    ledger: Ledger
    next: int
    metric: str = "val_accuracy"

    def begin(self, slot: int, *, steps: int, says: str = "") -> int:
        """A trial that runs: reports of so many steps, and what it printed. Returns its number."""
        number, at = self.next, utc_now()
        self.next += 1
        params = {"lr": 0.001, "layers": 4, "optimizer": "adam", "dropout": 0.1}
        self.ledger.append([TrialCreated(number, at, params), AttemptOpened(number, 1, at, f"local:{slot}")])
        files = self.paths.attempt(number, 1)
        files.folder.mkdir(parents=True)
        curve = [{"step": step, "metrics": {self.metric: 0.9 - 0.6 / (step + 1)}} for step in range(steps)]
        files.reports.write_text("".join(json.dumps(each) + "\n" for each in curve))
        files.log.write_text(
            "".join(f"epoch {step}: val_accuracy={0.9 - 0.6 / (step + 1):.4f}\n" for step in range(steps)) + says
        )
        return number


def later(given: Sequence[Event], end: datetime) -> list[Event]:
    """The same events, so much later that the last one was at `end`."""
    moments = [datetime.fromisoformat(each.at) for each in given if getattr(each, "at", "")]
    by = end - max(moments)
    return [
        replace(each, at=(datetime.fromisoformat(each.at) + by).isoformat(timespec="milliseconds"))
        if "at" in {field.name for field in fields(each)} and each.at  # type: ignore[attr-defined]
        else each
        for each in given
    ]


def record(
    folder: Path, trials: int, *, seed: int, target: int, hostile: bool = False, name: str = ""
) -> tuple[StudyPaths, list[Event]]:
    """A study's folder without its last record, which is that it ended, and all its records."""
    file = {**study_file(hostile=hostile), "budget": {"trials": target}}
    file |= {"name": name} if name else {}
    resolved = settings_from_resolved(file, str(folder)).resolved
    found = later(
        events({**study_file(hostile=hostile), "name": file["name"]}, trials, seed=seed), datetime.now(timezone.utc)
    )
    found = [replace(each, settings=resolved) if isinstance(each, RevisionMade) else each for each in found]
    found = [replace(each, working_directory=".") if isinstance(each, RunStarted) else each for each in found]
    paths = StudyPaths.at(folder)
    paths.root.mkdir(parents=True)
    return paths, found


@contextlib.contextmanager
def seems_to_run(folder: Path, trials: int, **how: Any) -> Iterator[Running]:
    """A study that this process coordinates, or so it seems."""
    paths, found = record(folder, trials, **how)
    lease = Lease(paths.lease)
    lease.acquire()
    ledger, _ = Ledger.claim(paths.ledger)
    try:
        ledger.append(found[:-1])
        yield Running(paths, lease, ledger, trials, study_file(hostile=how.get("hostile", False))["metric"][0]["name"])
    finally:
        ledger.close()
        lease.release()


def at_rest(
    folder: Path, trials: int, *, state: str = "halted", reason: str = "10 trials in a row have failed", **how: Any
) -> StudyPaths:
    """A study that has come to rest."""
    paths, found = record(folder, trials, **how)
    ledger, _ = Ledger.claim(paths.ledger)
    ended = found[-1]
    assert isinstance(ended, StudyEnded)
    ledger.append([*found[:-1], replace(ended, state=state, reason=reason)])
    ledger.close()
    return paths


@contextlib.contextmanager
def four(folder: Path, trials: int = 60, *, hostile: bool = False) -> Iterator[dict[str, Running]]:
    """A campaign of four: two run, one has halted, one is done."""
    names = ["criteria", "evidence", "share", "joint"]
    with contextlib.ExitStack() as stack:
        found = {}
        for seed, name in enumerate(names[:2]):
            how = {"seed": seed + 1, "target": trials * 3, "name": name, "hostile": hostile}
            found[name] = stack.enter_context(seems_to_run(folder / name, trials, **how))
            for slot in range(2):
                found[name].begin(slot, steps=5 + 4 * slot, says=HOSTILE if hostile else "")
        at_rest(folder / names[2], trials // 2, seed=3, target=trials, name=names[2])
        at_rest(
            folder / names[3],
            trials,
            state="done",
            reason="the target is reached",
            seed=4,
            target=trials,
            name=names[3],
        )
        mark = HOSTILE if hostile else ""
        members = tuple(Member(f"{name}{mark}", name) for name in [*names, "late"])
        keep_campaign(folder, Campaign(f"maximal{mark}", members, parallel=4))
        yield found


@dataclass
class Server:
    """A server that listens.

    Attributes:
        process: Its own.
        url: What it printed, with the token.
        said: Its first lines.
    """

    process: subprocess.Popen[str]
    url: str
    said: list[str]
    cookie: str = ""
    key: str = ""
    port: int = field(init=False)
    token: str = field(init=False)

    def __post_init__(self) -> None:
        place, _, self.token = self.url.partition("/?token=")
        self.port = int(place.rpartition(":")[2])

    @property
    def own(self) -> dict[str, str]:
        """What the page sends with each question."""
        return {"Cookie": self.cookie, "X-Outlast-Page": self.key}

    def come_in(self) -> None:
        """As a browser does with the address that was printed."""
        answer, page = self.ask("/?token=" + self.token)
        assert answer.status == 200
        self.cookie = str(answer.getheader("set-cookie")).partition(";")[0]
        self.key = json.loads(page.partition('type="application/json">')[2].partition("</script>")[0])["key"]

    def ask(
        self, path: str, headers: dict[str, str] | None = None, *, method: str = "GET", body: str | None = None
    ) -> tuple[http.client.HTTPResponse, str]:
        """One request as somebody else may make it: nothing is added but `Host`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True)
            sent = dict(headers or {}) | ({} if body is None else {"Content-Length": str(len(body))})
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(None if body is None else body.encode())
            answer = connection.getresponse()
            return answer, answer.read().decode()
        finally:
            connection.close()

    def data(self, path: str) -> Any:
        """What the page is told there."""
        answer, text = self.ask(path, self.own)
        assert answer.status == 200, text
        return json.loads(text)


@contextlib.contextmanager
def served(folder: Path, *options: str, patch: str = "") -> Iterator[Server]:
    """`outlast serve FOLDER`, as it is typed; ended by Ctrl-C. `patch` is a line of Python that comes before."""
    program = [
        sys.executable,
        "-c",
        f"{patch}\nfrom outlast.cli.main import main; main()",
        "serve",
        str(folder),
        *options,
    ]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(program, **pipes, start_new_session=True)
    try:
        assert process.stdout is not None
        said = [process.stdout.readline(), process.stdout.readline()]
        if "http://" not in said[0]:
            raise AssertionError([*said, process.stderr.read() if process.stderr else ""])
        found = Server(process, said[0].split(" is shown at ")[1].split()[0], said)
        found.come_in()
        yield found
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


__all__ = ["BEGAN", "Server", "at_rest", "four", "later", "seems_to_run", "served", "timedelta"]
