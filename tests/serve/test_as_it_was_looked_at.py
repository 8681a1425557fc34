"""The page of a campaign, as somebody looked at it and found it good: what it says and what it is to a screen reader.

Everything is fixed: the studies, the moment, the clock of the browser. To look again, and keep what it says now:
``OUTLAST_KEEP=1 python -m pytest tests/serve/test_as_it_was_looked_at.py``, then read the difference.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from lab.searched import BEGAN, a_search
from outlast.config.settings import BudgetSettings
from outlast.core.plain_json import plain_json
from outlast.core.records import AttemptOpened, RunStarted, StudyEnded, TrialCreated
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import LiveFacts, SupervisorFacts, snapshot
from outlast.serve import frame
from outlast.serve.boards import Boards, key_of
from outlast.serve.study_view import study_data

pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=timezone.utc)
FOLDER = Path(__file__).parent / "looked_at"
PARAMS = {"lr": 0.001, "layers": 4, "optimizer": "adam", "dropout": 0.1}
CURVES = {120: {step: 0.9 - 0.6 / (step + 1) for step in range(9)}, 121: {0: 0.31}}


def a_sight(name: str, *, runs: bool) -> Sight:
    """A search of 120 trials that goes on with two, or has halted."""
    from msgspec.structs import replace

    study, settings = a_search(120)
    settings = replace(settings, name=name, budget=BudgetSettings(trials=400))
    study.name = name
    if runs:
        at = "2026-01-05T09:29:00.000+00:00"
        study.apply(RunStarted(BEGAN.isoformat(), "box", 4711))
        for slot, number in enumerate(CURVES):
            study.apply(TrialCreated(number, at, PARAMS))
            study.apply(AttemptOpened(number, 1 + slot, at, f"local:{slot}", gpus=(f"GPU-{slot}",)))
    else:
        study.apply(StudyEnded("2026-01-05T09:10:00.000+00:00", "halted", "10 trials in a row have failed", 4200.0))
    seen = snapshot(
        study, settings, now=NOW, live=LiveFacts("box", 1, BEGAN.isoformat(), 3) if runs else None, folder=f"/studies/{name}",
        running_reports={n: max(curve.items()) for n, curve in CURVES.items()} if runs else {},
    )  # fmt: skip
    return Sight(name, f"/studies/{name}", seen, "", study, settings)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """Path → what the server would say."""
    going, halted = a_sight("criteria", runs=True), a_sight("evidence", runs=False)
    late = Sight("share", "/studies/share", error="not begun yet", begun=False, target=400)
    broken = Sight(
        "joint",
        "/studies/joint",
        error="joint.yaml:4: parameters.lr: unknown key",
        cure="outlast check joint.yaml",
        refused=True,
    )
    by = SupervisorFacts("box", 17, BEGAN.isoformat(), {"criteria": 3})
    seen = Overview("maximal", "/studies", (going, halted, late, broken), NOW, 3, by, is_campaign=True)
    board = Boards().board(seen, {going.folder: CURVES})
    study = study_data(going.study, going.settings, going.snapshot)  # type: ignore[arg-type]
    return {"/api/board": board, f"/api/studies/{key_of(going.folder)}": study}


def looked_at(browser: Browser, url: str, told: dict[str, Any], place: str, wait: str) -> str:
    """The page at a place, as a screen reader has it."""

    def answer(route: Route) -> None:
        path = "/" + route.request.url.split("/", 3)[3].partition("?")[0]
        data = (
            {"data": plain_json(told[path])}
            if path in told
            else {"lines": "epoch 0\n", "rest": "", "from": 0, "to": 8, "source": "1"}
        )
        route.fulfill(json={"version": "1", "age": 0.1, "page": frame.version(), **data})

    context = browser.new_context(viewport={"width": 1280, "height": 900}, timezone_id="UTC", locale="en-GB")
    try:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.clock.set_fixed_time(NOW)
        page.route("**/api/**", answer)
        page.goto(url)
        page.wait_for_selector(".figures")
        page.goto(f"{url.partition('?')[0]}{place}")
        page.wait_for_selector(wait)
        return page.locator("dialog[open]" if "trial" in place else "body").aria_snapshot() + "\n"
    finally:
        context.close()


@pytest.mark.parametrize(
    ("name", "place", "wait"),
    [
        ("campaign", "", ".studies"),
        ("trial", f"#study-{key_of('/studies/criteria')}-trial-120", "dialog[open] .log"),
    ],
)
def test_it_says_what_somebody_has_looked_at(name, place, wait, browser, server, told) -> None:
    said, kept = looked_at(browser, server.url, told, place, wait), FOLDER / f"{name}.yaml"
    if os.environ.get("OUTLAST_KEEP"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(said)
    assert said == kept.read_text()
