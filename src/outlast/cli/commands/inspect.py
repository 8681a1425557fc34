"""Commands that only look: status, logs, show."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from outlast.cli.help import Argument, Command
from outlast.cli.options import WholeNumber, collect_nothing, dir_option, json_option, study_argument
from outlast.cli.targets.locate import study_or_trial, the_folder
from outlast.cli.targets.locate_several import one_or_several, studies_named
from outlast.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from outlast.monitor.overview import Overview
    from outlast.monitor.snapshot import Snapshot


@click.command(cls=Command)
@study_argument
@dir_option
@click.option("-w", "--watch", is_flag=True, help="Stay and show it live.")
@click.option("--check", is_flag=True, help="Say by the exit code whether something is wrong (1).")
@json_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "prometheus"]),
    default="text",
    help="prometheus: numbers for a scraper, in its text format.",
)
@click.option(
    "--mlflow", metavar="URI", help="The studies that an MLflow server or database knows of, and their checkpoints."
)
@click.option(
    "--filter", "filter_string", metavar="TEXT", help="Which of those, in MLflow's words; by default all to resume."
)
def status(
    study: str | None,
    directory: str | None,
    watch: bool,
    check: bool,
    as_json: bool,
    form: str,
    mlflow: str | None,
    filter_string: str | None,
) -> None:
    """How a search goes, or several: state, counts, best, speed, expected end, and what is wrong.

    Of a campaign, and of a folder that studies lie below, it is a line for each study, and all of them together; so it is
    without an argument where there are several studies here.

    Example:
        outlast status studies/digits
        outlast status studies/digits -w
        outlast status studies
        outlast status studies --format prometheus
        outlast status --mlflow http://tracker:5000 --filter "params.backbone = 'distilbert'"
    """
    if mlflow is not None or filter_string is not None:
        if study or directory or watch or check or form == "prometheus":
            raise UsageError(
                "--mlflow asks MLflow, not a folder", cure="leave the study and its options out; --json works"
            )
        from outlast.cli.looking.mlflow_studies import show_studies

        show_studies(mlflow or "", filter_string, as_json=as_json or form == "json")
        return
    if as_json and form == "prometheus":
        raise UsageError("--json and --format prometheus are two answers", cure="ask for one of them")
    if watch:
        if as_json or check or form != "text":
            raise UsageError("-w stays and shows; --json, --format and --check answer once", cure="leave -w out")
        with _ended_by_ctrl_c(watch):
            _watch(study, directory)
        return
    collect_nothing()
    from outlast.cli.render.text import print_out

    folder, several = one_or_several(study, directory)
    found = _see_several(folder) if several else _see_one(folder)
    try:
        if as_json or form == "json":
            click.echo(json.dumps(found.to_json()))
        elif form == "prometheus":
            from outlast.monitor.exposition import exposition

            click.echo(exposition(found.overview()).encode(), nl=False)  # as UTF-8 whatever the terminal takes
        else:
            print_out(found.draw())
    except OSError:  # the answer is the exit code, whether or not anybody reads the words
        if not (check and found.is_wrong):
            raise
    if check and found.is_wrong:
        click.get_current_context().exit(1)


class _Seen(NamedTuple):
    """What `status` has to say, in each of its forms."""

    is_wrong: bool
    to_json: Callable[[], dict[str, Any]]
    draw: Callable[[], RenderableType]
    overview: Callable[[], Overview]


def _see_one(folder: str) -> _Seen:
    from outlast.engine.record.at_a_glance import seen_at_once

    snapshot = seen_at_once(folder)

    def draw() -> RenderableType:
        from outlast.cli.render import render_run

        return render_run.status(snapshot)

    return _Seen(snapshot.is_wrong, snapshot.to_json, draw, lambda: _alone(snapshot))


def _see_several(folder: str) -> _Seen:
    from outlast.engine.record.look_many import ManyLooker

    overview = ManyLooker(folder, only_numbers=True).look()

    def draw() -> RenderableType:
        from outlast.cli.render import render_many

        return render_many.several(overview)

    return _Seen(overview.is_wrong, overview.to_json, draw, lambda: overview)


def _alone(snapshot: Snapshot) -> Overview:
    from outlast.monitor.overview import Sight, overview_of

    return overview_of(Sight(snapshot.study, snapshot.folder, snapshot), snapshot.now)


def _watch(study: str | None, directory: str | None) -> None:
    from outlast.cli.live.onlooker import watch
    from outlast.engine.record.look import Looker
    from outlast.engine.record.look_many import ManyLooker

    folder, several = one_or_several(study, directory)
    watch(ManyLooker(folder).look if several else Looker(folder).overview, several=several)


@click.command(cls=Command)
@study_argument
@click.argument(
    "trial", cls=Argument, type=WholeNumber(0), required=False, help="Its number.  [default: the one that began last]"
)
@dir_option
@click.option("-f", "--follow", is_flag=True, help="Stay and print what comes.")
@click.option("-n", "--lines", metavar="N", type=WholeNumber(0), help="Only the last N lines.")
@click.option("--errors", is_flag=True, help="What went wrong, in all trials; the newest last.")
def logs(
    study: str | None, trial: int | None, directory: str | None, follow: bool, lines: int | None, errors: bool
) -> None:
    """What a trial printed, all attempts; of a campaign, what all trials print that run now.

    Example:
        outlast logs studies/digits 7 -f
        outlast logs studies/digits -n 20
        outlast logs studies/maximal -f
        outlast logs studies/maximal --errors
    """
    if not follow:
        collect_nothing()
    study, first = study_or_trial(study, directory)
    trial = first if trial is None else trial
    folders, campaign = studies_named(study, directory)
    if errors:
        from outlast.cli.looking.logged_errors import print_errors

        if follow or trial is not None:
            raise UsageError("--errors is of all trials, and stays for nothing", cure="leave the trial and -f out")
        print_errors(folders, lines)
    elif campaign is None:
        with _ended_by_ctrl_c(follow):
            _log_of_one(folders[0], trial, follow=follow, lines=lines)
    elif trial is not None:
        raise UsageError(f"trial {trial} of which study?", cure="  ".join(folders))
    elif follow:
        from outlast.cli.looking.follow_many import follow_many

        with _ended_by_ctrl_c(follow):
            follow_many(folders, lines=lines, campaign=campaign)
    else:
        cure = f"outlast logs {campaign} -f follows all of them; or name one: {'  '.join(folders)}"
        raise UsageError(f"{campaign} is a campaign's: which of its studies?", cure=cure)


def _ended_by_ctrl_c(stays: bool) -> AbstractContextManager[None]:
    """Of what stays until Ctrl-C, that is the good end, also before it has loaded and shown everything."""
    return suppress(KeyboardInterrupt) if stays else nullcontext()


def _log_of_one(folder: str, trial: int | None, *, follow: bool, lines: int | None) -> None:
    from outlast.cli.looking.following import print_log
    from outlast.engine.record.examine import in_force, read_study
    from outlast.study.layout import StudyPaths

    paths = StudyPaths.at(folder)
    found = read_study(paths)
    in_force(found, folder)
    if not found.trials:
        raise UsageError("no trial has begun yet", cure=f"outlast status {folder}")
    if trial is None:
        trial = max(
            found.trials.values(), key=lambda t: (t.attempts[-1].opened_at if t.attempts else "", t.number)
        ).number
    if trial not in found.trials:
        raise UsageError(f"there is no trial {trial}", cure=f"trials 0 to {max(found.trials)}: outlast show {folder}")
    print_log(paths, found, found.trials[trial], folder=folder, lines=lines, follow=follow)


@click.command(cls=Command)
@study_argument
@click.argument("what", cls=Argument, required=False, help="A trial's number, best, failures, analysis, or plots.")
@dir_option
@click.option("--all", "everything", is_flag=True, help="All trials, not the best thirty.")
@click.option("--config", is_flag=True, help="Of a trial or best: the whole configuration that it was given, as YAML.")
@click.option("--trials", "table", is_flag=True, help="Every trial as a table, with the columns of trials.csv.")
@click.option("--where", metavar="TEXT", help="Of the table: only trials for which this holds.")
@click.option("--sort", metavar="KEYS", help="Of the table: by these columns; -KEY or KEY:desc from the largest on.")
@json_option
def show(
    study: str | None,
    what: str | None,
    directory: str | None,
    everything: bool,
    config: bool,
    table: bool,
    where: str | None,
    sort: str | None,
    as_json: bool,
) -> None:
    """The trials of a study; or one trial, the best one, what failed and why, what all trials say, or the plots, which it draws.

    Example:
        outlast show studies/digits
        outlast show studies/digits 7
        outlast show studies/digits best --json
        outlast show studies/digits 7 --config > config.yaml
        outlast show studies/digits failures
        outlast show studies/digits analysis
        outlast show studies/digits --trials --sort -value
        outlast show studies/digits --where "lr < 0.01"
        outlast show studies/digits plots
    """
    collect_nothing()
    from outlast.cli.looking import showing

    if (
        what is None
        and study is not None
        and directory is None
        and (study in ("best", "failures", "analysis", "plots") or (study.isascii() and study.isdigit()))
    ):
        study, what = None, study
    folder = the_folder(study, directory)
    if table or where is not None or sort is not None:
        if what is not None or config:
            raise UsageError("--trials is of all trials", cure=f"outlast show {folder} --trials")
        from outlast.cli.looking.trials_table import show_table

        show_table(folder, where=where, sort=sort, as_json=as_json)
    elif config:
        showing.show_config(folder, what)
    else:
        showing.show(folder, what, everything=everything, as_json=as_json)
