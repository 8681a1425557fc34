"""`check` of one study and of a campaign: what is found of each study, and how many of them can be begun."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from typing import Any

import click

from outlast.cli.render.text import make_console, next_line
from outlast.cli.running.trying import check_table, tried
from outlast.config.settings import NotifySettings, Settings
from outlast.config.store_address import masked_address
from outlast.core.finding import Finding
from outlast.engine.campaign.planned import CampaignPlan, Planned
from outlast.engine.check.quick import deadline_check, quick_check
from outlast.engine.check.stores import store_findings
from outlast.engine.cluster.inspection import check_cluster, meant_for_slurm
from outlast.engine.cluster.shared_storage import storage_findings
from outlast.engine.sending.usable import tracking_findings
from outlast.engine.telling.tryout import notify_findings
from outlast.errors import OutlastError
from outlast.executors.slurm.commands import can_submit


def all_findings(settings: Settings, folder: str, *, notify: bool = False) -> list[Finding]:
    """What is found of one study, on a cluster too where it is meant for one. `notify`: people get a test message."""
    told = notify_findings(settings.notify, settings.name, settings.working_directory, settings.env, send=notify)
    findings = [*quick_check(settings, folder), *told, *tracking_findings(settings)]
    findings += store_findings(settings, folder)
    if meant_for_slurm(settings):
        findings += [*check_cluster(settings, folder), *storage_findings(settings, folder)]
    else:
        findings += deadline_check(settings)
    return findings


def how_to_begin(studies: Sequence[Settings], words: Sequence[str]) -> str:
    """The command that begins what was checked."""
    submits = any(settings.slurm is not None for settings in studies) and can_submit()
    return shlex.join(["outlast", "submit" if submits else "run", *map(masked_address, words)])


def check_campaign(
    plan: CampaignPlan, *, smoke: bool, rehearse: bool, limit: float, as_json: bool, again: Sequence[str],
    notify: bool = False,
) -> int:  # fmt: skip
    """Look through each study, and print what is found but for what is as it should be.

    Returns:
        The exit code: the worst of its studies', as `outlast.cli.running.trying.try_out` says them. 4 if somebody ended it.
    """
    console = make_console(stderr=as_json)
    codes: dict[str, int] = {}
    studies: list[dict[str, Any]] = []
    told = [*notify_findings(NotifySettings.of(plan.campaign.notify), plan.campaign.name, os.curdir, {}, send=notify)]
    if told and not as_json:
        console.print(check_table(told))
    for each in plan.planned:
        codes[each.member.study], facts = _check(
            each, _nothing if as_json else console.print, console.print, smoke=smoke, rehearse=rehearse, limit=limit,
            notify=notify,
        )  # fmt: skip
        studies.append({"study": each.member.study, "dir": each.folder, **facts})
        if codes[each.member.study] == 4:
            break
    bad = [name for name, code in codes.items() if code]
    untold = 2 if any(finding.level == "error" for finding in told) else 0
    if as_json:
        click.echo(
            json.dumps(
                {
                    "name": plan.campaign.name,
                    "dir": plan.folder,
                    "studies": studies,
                    "notify": [e.to_json() for e in told],
                }
            )
        )
        return max(untold, *codes.values())
    count = f"{len(codes)} {'study' if len(codes) == 1 else 'studies'}"
    console.print(f"{count}: {len(codes) - len(bad)} can run" + (f"; not {', '.join(bad)}" if bad else ""))
    if len(bad) < len(codes):
        console.print(next_line(how_to_begin([s.settings for s in plan.startable if s.settings is not None], again)))
    return max(untold, *codes.values())


def _check(
    each: Planned, show: Any, say: Any, *, smoke: bool, rehearse: bool, limit: float, notify: bool
) -> tuple[int, dict[str, Any]]:
    name = each.member.study
    if each.settings is None:
        show(f"{name}: cannot run")
        about, fact, cure = _place_and_fact(each.error)
        show(check_table([Finding(about, "error", fact, cure)]))
        return 2, {"error": str(each.error)}
    findings = all_findings(each.settings, each.folder, notify=notify)
    trials = each.settings.budget.trials
    much = "" if trials is None else f", {trials} trials"
    wrong = any(finding.level == "error" for finding in findings)
    show(f"{name}: {'cannot run' if wrong else 'can run'}{much}, {each.folder}")
    if said := [finding for finding in findings if finding.level != "ok"]:
        show(check_table(said))
    return tried(each.settings, each.folder, findings, show, say, smoke=smoke, rehearse=rehearse, limit=limit)


def _place_and_fact(error: OutlastError | None) -> tuple[str, str, str | None]:
    text = str(error).partition("\n")[0]
    fact, cure = (error.fact, error.cure) if error is not None else (text, None)
    return text.removesuffix(fact).rstrip(": ") or "study", fact, cure


def _nothing(*_shown: Any) -> None:
    """Facts are printed as one document, at the end."""
