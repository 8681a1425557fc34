"""What is asked and what is answered. Who may ask at all is `outlast.serve.access`'s affair."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from outlast.config.secrets import mask_text
from outlast.core.file_names import CampaignNames, StudyNames, TrialPaths
from outlast.engine.care.stop import stop_study
from outlast.engine.record.examine import read_study
from outlast.errors import OutlastError
from outlast.monitor.exposition import CONTENT_TYPE
from outlast.serve import frame
from outlast.serve.access import HOME, Secrets
from outlast.serve.saying import say
from outlast.serve.tails import folder_below, tail
from outlast.serve.watcher import BOARD, METRICS, Answer, Watcher
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths
from outlast.study.printed import Stretch, stretches

_LONGEST_BODY = 1024  # bytes
_BODY_WITHIN = 5.0  # seconds
_MOST_DIGITS = 9  # of a trial's number
_T = TypeVar("_T")


def application(watcher: Watcher, secrets: Secrets, *, folder: str, may_stop: bool) -> ASGIApp:
    """Everything behind the check of who asks.

    Args:
        watcher: What is known.
        secrets: Of this server.
        folder: The one that is shown, whose campaign's log is handed out.
        may_stop: Whether pages may stop studies and trials.
    """
    desk = _Desk(watcher, secrets, folder, may_stop=may_stop)
    routes = [
        Route(HOME, desk.page),
        Route("/api/board", desk.board),
        Route("/api/log", desk.campaign_log),
        Route("/api/studies/{key}", desk.study),
        Route("/api/studies/{key}/log", desk.study_log),
        Route("/api/studies/{key}/trials/{trial}/log", desk.trial_log),
        Route("/metrics", desk.metrics),
    ]
    if may_stop:
        routes.append(Route("/api/studies/{key}/stop", desk.stop, methods=["POST"]))
    return GZipMiddleware(Starlette(routes=routes), minimum_size=2000, compresslevel=3)


class _Desk:
    def __init__(self, watcher: Watcher, secrets: Secrets, folder: str, *, may_stop: bool) -> None:
        self._watcher, self._secrets, self._folder, self._may_stop = watcher, secrets, folder, may_stop

    async def page(self, request: Request) -> Response:
        has_token = bool(request.scope.get("outlast.token"))
        text, policy = frame.page(key=self._secrets.key if has_token else None, may_stop=self._may_stop)
        headers = {"content-security-policy": policy}
        return HTMLResponse(text, headers=headers | ({"set-cookie": self._secrets.set_cookie} if has_token else {}))

    async def board(self, request: Request) -> Response:
        answer = await self._watcher.ask(BOARD)
        return _not_yet() if answer is None else _known(request, answer)

    async def study(self, request: Request) -> Response:
        key = request.path_params["key"]
        answer = await self._watcher.ask(key)
        return self._no_study(key) if answer is None else _known(request, answer)

    def _no_study(self, key: str) -> Response:
        return _missing() if self._watcher.lacks(key) else _not_yet()

    async def metrics(self, request: Request) -> Response:
        answer = await self._watcher.ask(METRICS)
        if answer is None:
            return PlainTextResponse("nothing is known yet\n", 503)
        return Response(answer.body, media_type=CONTENT_TYPE)

    async def campaign_log(self, request: Request) -> Response:
        return await self._tail(request, self._folder, CampaignNames.log.name)

    async def study_log(self, request: Request) -> Response:
        key = request.path_params["key"]
        place = await self._watcher.place(key)
        return (
            self._no_study(key) if place is None else await self._tail(request, place.folder, StudyNames.run_log.name)
        )

    async def trial_log(self, request: Request) -> Response:
        key, number = request.path_params["key"], request.path_params["trial"]
        if not _is_number(number, _MOST_DIGITS):
            return _missing()
        place = await self._watcher.place(key)
        if place is None:
            return self._no_study(key)
        trial = (StudyNames.trials.name, f"{int(number):04d}")
        return await self._tail(request, place.folder, TrialPaths.log.name, trial)

    async def _tail(self, request: Request, folder: str, name: str, trial: tuple[str, ...] = ()) -> Response:
        return JSONResponse(await _aside(_end_of, folder, name, trial, request.query_params))

    async def stop(self, request: Request) -> Response:
        key = request.path_params["key"]
        place, asked = await self._watcher.place(key), await _body(request)
        if place is None:
            return self._no_study(key)
        trial = asked.get("trial") if isinstance(asked, dict) else None
        if not isinstance(asked, dict) or not (trial is None or (type(trial) is int and 0 <= trial < 10**_MOST_DIGITS)):
            return JSONResponse({"said": "which trial?"}, 400)
        what = place.name if trial is None else f"trial {trial} of {place.name}"
        try:
            said = await _aside(_stop, place.folder, trial)
        except (OutlastError, OSError) as error:
            return JSONResponse({"said": mask_text(getattr(error, "fact", None) or str(error))}, 409)
        say(f"stop was asked for by a page: {what!a}")
        return JSONResponse({"said": said})


async def _aside(function: Callable[..., _T], *arguments: Any, **named: Any) -> _T:
    """What may wait, in a thread of its own that the end of the server does not wait for, as a pool's threads would."""
    done: Future[_T] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(function(*arguments, **named))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(done)


def _stop(folder: str, trial: int | None) -> str:
    return stop_study(live_of(folder), trial=trial, say=lambda _text: None)


def _end_of(folder: str, name: str, trial: tuple[str, ...], query: Mapping[str, str]) -> dict[str, Any]:
    """What a log holds behind the place that was asked for. Touches the disk, which may hang."""
    root = live_of(folder)
    folders = _where_it_prints(root, trial) if trial else ()
    source = folders[-1] if len(folders) > 2 else ""
    after = query.get("after", "0")
    goes_on = query.get("source") == source and _is_number(after, 18)
    known = int(after) if goes_on else 0
    found = tail(root, folders, name, after=known)
    if found is None and trial and (kept := _in_kept_workers(root, int(trial[-1]))) is not None:
        source, within = f"{kept.path.name}:{kept.start}", (kept.start, kept.end)
        known = int(after) if query.get("source") == source and _is_number(after, 18) else 0
        found = tail(root, (StudyNames.outputs.name,), kept.path.name, after=known, within=within)
    return {"source": source, **(found or {"from": 0, "to": 0, "lines": "", "rest": "", "none": True})}


def _in_kept_workers(root: str, trial: int) -> Stretch | None:
    """Where a trial without a folder of its own prints."""
    paths = StudyPaths.at(root)
    try:
        study = read_study(paths)
        return next(reversed(stretches(paths, study, study.trials[trial])), None)
    except (OutlastError, KeyError):
        return None


def _is_number(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= most


def _where_it_prints(root: str, trial: tuple[str, ...]) -> tuple[str, ...]:
    """The folder of its log: the trial's own once it is finished, that of its latest attempt before."""
    try:
        with folder_below(root, *trial) as fd:
            if TrialPaths.log.name in os.listdir(fd):
                return trial
        with folder_below(root, *trial, TrialPaths.attempts.name) as fd:
            numbers = [int(name) for name in os.listdir(fd) if name.isascii() and name.isdigit()]
    except OSError:
        return trial
    return (*trial, TrialPaths.attempts.name, str(max(numbers))) if numbers else trial


async def _body(request: Request) -> Any:
    """What was sent, if it is JSON, short and in time."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return None
    found = b""

    async def read() -> bytes:
        nonlocal found
        async for chunk in request.stream():
            found += chunk
            if len(found) > _LONGEST_BODY:
                return b""
        return found

    try:
        return json.loads(await asyncio.wait_for(read(), _BODY_WITHIN))
    except (ValueError, RecursionError, asyncio.TimeoutError, TimeoutError):
        return None


def _known(request: Request, answer: Answer) -> Response:
    head = {"version": answer.version, "age": round(time.monotonic() - answer.made, 1), "page": frame.version()}
    start = json.dumps(head).encode()
    if request.query_params.get("have") == answer.version:
        return Response(start, media_type="application/json")
    return Response(start[:-1] + b', "data": ' + answer.body + b"}", media_type="application/json")


def _missing() -> Response:
    return JSONResponse({"said": "there is no such study"}, 404)


def _not_yet() -> Response:
    return JSONResponse({"said": "the first look is not done, or the last one failed"}, 503)
