"""Commands that make a model of a search: refit, evaluate, export."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from outlast.cli.help import Command
from outlast.cli.options import WholeNumber, complete_files, dir_option, json_option, study_argument
from outlast.cli.targets.locate import by_name, is_study_folder, the_folder

if TYPE_CHECKING:
    from outlast.config.settings import Settings

trial_option = click.option(
    "--trial", metavar="N", type=WholeNumber(0), help="This trial of the search, instead of its best."
)

no_run_option = click.option("--no-run", is_flag=True, help="Only lay it out, for `submit` or `run` of its own folder.")


def asked_for(study: str | None, directory: str | None) -> tuple[str, Settings | None, str]:
    """The search's folder; its study file, where one is named or lies here: it may have been edited since the search; and
    what the next command is given."""
    from outlast.config.load import load_study_file

    if study is None and directory is None and os.path.isfile("study.yaml") and not is_study_folder("."):
        study = "study.yaml"
    named = None if study is None else by_name(study)
    settings = load_study_file(named) if named is not None and os.path.isfile(named) else None
    if settings is not None:
        os.environ.update(settings.secret_env)  # a follow-up is made of the search's record, which cannot have them
    folder = the_folder(study, directory)
    return folder, settings, folder if study is None or directory is not None else study


@click.command(cls=Command)
@study_argument
@trial_option
@click.option("--seeds", metavar="N", type=WholeNumber(1), help="So many trainings, each with a seed of its own.")
@click.option("--fresh", is_flag=True, help="Keep an earlier refit under a name with the time, and train anew.")
@no_run_option
@dir_option
def refit(
    study: str | None, trial: int | None, seeds: int | None, fresh: bool, no_run: bool, directory: str | None
) -> None:
    """Train the best configuration once more, on everything that is not for testing: the model to keep.

    It is the confirmed best, or else the best of the search. How it is trained, `refit:` in the study file says: the
    search's `arguments` and more, or a `command` of its own, where ${epochs} is how many epochs it took to be best.
    Without `refit:` the search's own command is run. The same command again goes on, and changes nothing when it is done.

    Example:
        outlast refit study.yaml
        outlast refit studies/digits --trial 7
        outlast refit studies/digits --seeds 3
    """
    from outlast.cli.running.model_runs import run_refit

    folder, settings, typed = asked_for(study, directory)
    code = run_refit(folder, settings, typed, trial=trial, seeds=seeds, fresh=fresh, here=not no_run)
    click.get_current_context().exit(code)


@click.command(cls=Command)
@study_argument
@click.option(
    "--trial", metavar="N", type=WholeNumber(0), help="The model of this trial of the search, not of its refit."
)
@click.option("--again", is_flag=True, help="Look at the test set although it was looked at before.")
@no_run_option
@dir_option
@json_option
def evaluate(
    study: str | None, trial: int | None, again: bool, no_run: bool, directory: str | None, as_json: bool
) -> None:
    """Score the model on the test set, once: looks are counted, and a second one has to be asked for.

    How, `evaluate:` in the study file says: a `command` with ${model}, and the `metric` that it prints. A look that was
    cut off before its score was known goes on as the same look.

    Example:
        outlast evaluate study.yaml
        outlast evaluate studies/digits --json
        outlast evaluate studies/digits --again
    """
    from outlast.cli.running.model_runs import run_evaluation

    folder, settings, typed = asked_for(study, directory)
    code = run_evaluation(folder, settings, typed, trial=trial, again=again, here=not no_run, as_json=as_json)
    click.get_current_context().exit(code)


@click.command(cls=Command)
@study_argument
@click.option(
    "-o",
    "--output",
    metavar="PLACE",
    help="Folder, or archive by its ending.  [default: export in the study folder]",
    shell_complete=complete_files,
)
@click.option("--archive", is_flag=True, help="One file, .tar.gz, or .zip where the place is called so.")
@click.option("--trial", metavar="N", type=WholeNumber(0), help="The model of this trial of the search.")
@dir_option
def export(study: str | None, output: str | None, archive: bool, trial: int | None, directory: str | None) -> None:
    """Put the model into one folder or archive, with its configuration, scores, environment, code, a card and run.sh.

    It is the model that `refit` trained, or else that of the search's best trial. A model saved as Hugging Face's
    libraries do stands at the top, so that from_pretrained reads the folder. No secret and no path of this machine is in
    it. The same command again replaces it, or says that it is current.

    Example:
        outlast export studies/digits
        outlast export studies/digits --output digits-model.zip
        outlast export studies/digits --archive
    """
    from outlast.cli.running.model_runs import run_export

    folder, settings, _ = asked_for(study, directory)
    run_export(folder, settings, output=output, archive=archive, trial=trial)
