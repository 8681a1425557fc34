"""What W&B's own client needs of a W&B server, on loopback: it keeps what it is sent, and can be away or lose its answers.

W&B's server is no package; this one takes the requests that the client makes (GraphQL, and a stream of lines with offsets) and
holds what they say, so that a test can count it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789" * 4


@dataclass
class KeptRun:
    """A run as it stands on the server."""

    said: dict[str, Any] = field(default_factory=dict)  # what it was begun with
    begun: int = 0
    lines: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


class WandbServer:
    """Started when it is made; `close` ends it."""

    def __init__(self) -> None:
        self.forget()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def forget(self) -> None:
        """As it was at first."""
        self.runs: dict[str, KeptRun] = {}  # by project/id
        self.is_up, self.lost_answers, self.accepts_key = True, 0, True

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if path == "/graphql":
                return {"data": self._asked(str(body.get("operationName")), body.get("variables") or {})}
            if path.endswith("/file_stream"):
                self._streamed(self.runs["/".join(path.split("/")[-3:-1])], body)
            return {}

    def _asked(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        if operation == "UpsertBucket":
            return self._upserted(given)
        if operation == "RunResumeStatus":
            run = self.runs.get(f"{given['project']}/{given['name']}")
            return {
                "model": {
                    "id": "p",
                    "name": given["project"],
                    "entity": _ME,
                    "bucket": run and _resumed(given["name"], run),
                }
            }
        if operation == "CreateRunFiles":
            files = [{"name": name, "uploadUrl": f"{self.url}/upload"} for name in given["files"]]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
        if operation == "Viewer":
            return {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}}
        return {}

    def _upserted(self, given: dict[str, Any]) -> dict[str, Any]:
        key = f"{given['project']}/{given['name']}"
        inserted = key not in self.runs
        run = self.runs.setdefault(key, KeptRun())
        run.said |= {name: value for name, value in given.items() if value is not None}
        run.begun += inserted
        for name, value in json.loads(given.get("config") or "{}").items():
            run.config[name] = value["value"]
        project = {"id": "p", "name": given["project"], "entity": _ME}
        bucket = {
            "id": "r", "name": given["name"], "displayName": run.said.get("displayName", ""), "description": "",
            "config": given.get("config"), "sweepName": None, "historyLineCount": len(run.lines), "project": project,
        }  # fmt: skip
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    @staticmethod
    def _streamed(run: KeptRun, body: dict[str, Any]) -> None:
        files = body.get("files") or {}
        if "wandb-history.jsonl" in files:
            part = files["wandb-history.jsonl"]
            run.lines[part["offset"] : part["offset"] + len(part["content"])] = part["content"]
        for text in (files.get("wandb-summary.json") or {}).get("content", []):
            run.summary = json.loads(text)
        if body.get("complete"):
            run.exit_code = body.get("exitcode")


_ME = {"id": "e", "name": "me"}


def _resumed(name: str, run: KeptRun) -> dict[str, Any]:
    return {
        "id": "r", "name": name, "summaryMetrics": json.dumps(run.summary), "displayName": run.said.get("displayName", ""),
        "logLineCount": 0, "historyLineCount": len(run.lines), "eventsLineCount": 0,
        "historyTail": json.dumps(run.lines[-1:]), "eventsTail": "[]",
        "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
        "tags": run.said.get("tags"), "notes": None, "wandbConfig": json.dumps({"t": 1}),
    }  # fmt: skip


def _handler(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            raw = gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw
            if not server.is_up:
                self._hang_up()
                return
            if not server.accepts_key:
                self._say(401, {"errors": [{"message": "user is not logged in"}]})
                return
            body: dict[str, Any] = {}
            with contextlib.suppress(ValueError):
                body = json.loads(raw)
            answer = server.answer(self.path, body)
            if self.path.endswith("/file_stream") and server.lost_answers > 0:
                server.lost_answers -= 1
                self._hang_up()
                return
            self._say(200, answer)

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self._say(200, {})

        def _hang_up(self) -> None:
            self.close_connection = True

        def _say(self, status: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler
