"""What is wrong with a study, as values: a person should know within minutes, not after hours. Pure.

Every rule is one function from the same view of the study to a warning or nothing; what they mean is in ``docs/health.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.monitor.health import rules_of_outcomes as outcomes
from outlast.monitor.health import rules_of_the_run as run
from outlast.monitor.health import rules_of_the_search as search
from outlast.monitor.health import rules_of_time as time
from outlast.monitor.health.rules_of_the_run import purge_days as purge_days
from outlast.monitor.health.rules_of_the_run import purge_warning as purge_warning
from outlast.monitor.health.warning import LEVELS as LEVELS
from outlast.monitor.health.warning import HealthFacts as HealthFacts
from outlast.monitor.health.warning import HealthWarning as HealthWarning
from outlast.monitor.health.warning import Level as Level
from outlast.monitor.health.what_rules_see import View

#: In the order in which they are told among those of one level.
EVERY_RULE: tuple[Callable[[View], HealthWarning | None], ...] = (
    run.left_alone,
    run.holder_silent,
    run.disk,
    run.purge,
    run.contention,
    run.not_told,
    run.not_sent,
    outcomes.same_failure,
    outcomes.failure_rate,
    outcomes.no_result,
    outcomes.all_pruned,
    outcomes.database_locked,
    outcomes.pruner_without_values,
    outcomes.short_walltime,
    time.nothing_completed,
    time.silent,
    time.hung_trial,
    time.stale_worker,
    time.long_trial,
    time.idle_card,
    time.clock_jump,
    search.duplicates,
    search.no_new_best,
    search.at_border,
)
#: What is on record to be said once, of which a person should do something.
_TROUBLE_ON_RECORD = ("stuck-", "pruner")


def health(
    study: Study,
    settings: Settings,
    *,
    now: datetime,
    live: bool,
    folder: str = "",
    facts: HealthFacts | None = None,
) -> list[HealthWarning]:
    """Everything that is wrong, worst first; what the ledger has on record to be said comes last of its level.

    It is `live` while somebody holds its lease; `folder` is as a person types it, for the cures; `now` is aware.
    """
    view = View.of(study, settings, now, live, folder or study.name, facts or HealthFacts())
    found = [warning for rule in EVERY_RULE if (warning := rule(view)) is not None]
    found += [_on_record(key, text, study.warned_at.get(key, "")) for key, text in study.warnings.items()]
    return sorted(found, key=lambda warning: LEVELS.index(warning.level))


def of_facts(facts: HealthFacts, folder: str) -> list[HealthWarning]:
    """What the machine alone tells of a study at rest, whatever its trials say: it changes while they do not."""
    found = (run.disk_warning(facts, folder), run.not_told_warning(facts))
    return [warning for warning in found if warning is not None]


def begun_well(study: Study, settings: Settings, *, now: datetime, folder: str = "") -> HealthWarning | None:
    """That the first trials of the run ended well, once they have."""
    return search.begun_well(View.of(study, settings, now, True, folder or study.name, HealthFacts()))


def _on_record(key: str, text: str, at: str) -> HealthWarning:
    return HealthWarning(key, text, since=at, level="warning" if key.startswith(_TROUBLE_ON_RECORD) else "note")
