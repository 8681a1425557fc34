"""Conversations with objectives that draw their parameters as they go: each answer is durable before it is given."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from outlast.core.records import ParamDrawn
from outlast.engine.conversation import Conversation, open_pair
from outlast.engine.decisions import Decisions
from outlast.engine.watch import Watch
from outlast.executors.base import Executor

__all__ = ["Talks"]


class Talks:
    """One conversation for each running attempt whose objective asks."""

    def __init__(self, decisions: Decisions, watch: Watch, executor: Executor) -> None:
        self._talks: dict[str, Conversation] = {}
        self._decisions, self._watch, self._executor = decisions, watch, executor

    def __contains__(self, name: str) -> bool:
        return name in self._talks

    def open(self, name: str, trial: int) -> int:
        """Begin one. Returns the descriptor that the runner inherits; the caller closes its copy."""
        talk, theirs = open_pair(trial)
        self._talks[name] = talk
        self._executor.watch_fd(talk.fd)
        return theirs

    def serve(self) -> None:
        """Answer everything that was asked."""
        for name, talk in list(self._talks.items()):
            if not talk.serve(partial(self._answer, name)):
                self.end(name)

    def end(self, name: str) -> None:
        """The attempt is over, or hung up."""
        talk = self._talks.pop(name, None)
        if talk is not None:
            self._executor.unwatch_fd(talk.fd)
            talk.close()

    def _answer(self, name: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        attempt = self._watch.running[name]
        match question.get("op"):
            case "suggest":
                return self._suggest(attempt.trial, str(question["name"]), str(question["distribution"]))
            case "should_prune":
                self._watch.judge(attempt)
                return {"value": attempt.stop_reason == "pruned"}
            case _:
                return {"number": attempt.trial}

    def _suggest(self, trial: int, name: str, distribution: str) -> Mapping[str, Any]:
        drawn = name in self._decisions.study.trials[trial].params
        try:
            value = self._decisions.optimizer.suggest(trial, name, distribution)
        except ValueError as error:
            return {"error": str(error)}
        if not drawn:
            self._decisions.take(ParamDrawn(trial, name, value, distribution))
            self._decisions.commit()
        return {"value": value}
