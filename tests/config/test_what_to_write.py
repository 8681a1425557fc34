"""What people write out of habit from elsewhere is refused with what to write here."""

from __future__ import annotations

import pytest

from outlast.config.inline import settings_from_command
from outlast.config.load import load_study_file
from outlast.errors import StudyFileError

OURS = "metric: minimize x\nbudget: {trials: 3}\ncommand: python train.py ${args}\n"
SWEEP = "program: train.py\nmethod: random\nrun_cap: 3\nmetric: {name: x}\n"
LR = "parameters: {lr: {values: [1, 2]}}\n"


def parameter(text: str) -> str:
    return f"{OURS}parameters: {{lr: {text}}}\n"


def command(text: str) -> str:
    return f"metric: minimize x\nbudget: {{trials: 3}}\n{LR}command: python train.py {text}\n"


@pytest.fixture
def refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("")

    def refused(text: str) -> StudyFileError:
        (tmp_path / "s.yaml").write_text(text)
        with pytest.raises(StudyFileError) as caught:
            load_study_file("s.yaml")
        return caught.value

    return refused


FORGOTTEN = "nested parameters go below `parameters:`, as in `opt: {parameters: {lr: …}}`; or write `opt.lr: …`"


@pytest.mark.parametrize(
    ("text", "key", "cure"),
    [
        (SWEEP + "parameters: {opt: {lr: {values: [1]}, name: {values: [a]}}}\n", "parameters.opt", FORGOTTEN),
        (OURS + "parameters: {opt: {lr: 'log(1e-5, 1)', name: [a, b]}}\n", "parameters.opt", FORGOTTEN),
        (OURS + "parameters: {opt: {lr: 0.1, name: adam}}\n", "parameters.opt", FORGOTTEN),
        (OURS + "parameters: {opt: {lr: {min: 0, max: 1}}, b: 1}\n", "parameters.opt", FORGOTTEN),
        (OURS + "parameters: {opt: {lr: log(1e-5, 1)}}\n", "parameters.opt.lr", "put a short form in quotes"),
        (parameter("{vals: [1, 2]}"), "parameters.lr.vals", "did you mean `values`?"),
        (
            SWEEP + LR + "command: python ${program} ${args}\n",
            "command",
            'write `command: [python, "${program}", "${args}"]`',
        ),
        (command("${args} hydra.run.dir=out/${now:%Y-%m-%d}"), "command", "`$${now:%Y-%m-%d}` is handed on as it is"),
        (
            command("${args} d=${oc.env:DATA}"),
            "command",
            "`${envvar:DATA}` is the environment variable; `$${oc.env:DATA}`",
        ),
        (command("${args} d=${env:DATA}"), "command", "`${envvar:DATA}` is the environment variable"),
        (command("${args} d=${hydra:job.num}"), "command", "`$${hydra:job.num}` is handed on"),
        (command("${args} d=${hydra.job.num}"), "command", "`$${hydra.job.num}` is handed on"),
        (command("${args} d=${DATA_DIR}"), "command", "`${envvar:DATA_DIR}` is the environment variable"),
        (
            f"{OURS.replace('python train.py ${args}', '[python train.py, x]')}{LR}",
            "command",
            "write `[python, train.py, …]`",
        ),
        (command("${arg}"), "command", "did you mean `args`?"),
        (parameter("'uniform(0, 1)'"), "parameters.lr", "write `float(0, 1)`"),
        (parameter("'loguniform(1e-5, 1e-1)'"), "parameters.lr", "write `log(1e-5, 1e-1)`"),
        (parameter("'log_uniform(1e-5, 1e-1)'"), "parameters.lr", "write `log(1e-5, 1e-1)`"),
        (parameter("'tune.loguniform(1e-5, 1e-1)'"), "parameters.lr", "write `log(1e-5, 1e-1)`"),
        (parameter("'np.random.uniform(0, 1)'"), "parameters.lr", "write `float(0, 1)`"),
        (parameter("\"trial.suggest_int('n', 1, 4)\""), "parameters.lr", "write `int(1, 4)`"),
        (parameter("'trial.suggest_float(\"x\", 1, 4, log=True)'"), "parameters.lr", "write `log(1, 4)`"),
        (parameter("'randint(1, 9)'"), "parameters.lr", "write `int(1, 9)`"),
        (parameter("'interval(0, 1)'"), "parameters.lr", "write `float(0, 1)`"),
        (parameter("'range(1, 5)'"), "parameters.lr", "write `int(1, 5)`"),
        (parameter("'tune.choice([16, 32])'"), "parameters.lr", "write `choice(16, 32)`"),
        (parameter("'quniform(1, 9, 2)'"), "parameters.lr", "write `{min: …, max: …, q: …}`"),
        (parameter("'chioce(a, b)'"), "parameters.lr", "did you mean `choice`?"),
        (
            parameter("{min: 1.0e-5, max: 0.1, log: true}"),
            "parameters.lr.log",
            "write `distribution: log_uniform_values`, or",
        ),
        (
            parameter("{min: 1, max: 9, log: true}"),
            "parameters.lr.log",
            "`distribution: int_log_uniform`, or `logint(1, 9)`",
        ),
        (
            parameter("{min: 0.1, max: 9, scale: log}"),
            "parameters.lr.scale",
            "write `distribution: log_uniform_values`",
        ),
        (parameter("{low: 1, high: 9}"), "parameters.lr.low", "write `min`"),
        (parameter("{min: 1, max: 9, step: 2}"), "parameters.lr.step", "write `q`"),
        (parameter("{type: choice, options: [1, 2]}"), "parameters.lr.type", "leave it out: `values` says it"),
        (
            parameter("{type: loguniform, min: 1, max: 9}"),
            "parameters.lr.type",
            "write `distribution: log_uniform_values`",
        ),
        (
            parameter("{distribution: loguniform, min: 1, max: 9}"),
            "parameters.lr.distribution",
            "mean `log_uniform_values`?",
        ),
        (
            parameter("{distribution: choice, values: [1, 2]}"),
            "parameters.lr.distribution",
            "did you mean `categorical`?",
        ),
        (parameter("{min: 1, max: 9, default: 2}"), "parameters.lr.default", "`enqueue:` beside `parameters:`"),
        (OURS + LR + "slurm: {walltime: 4h}\n", "slurm.walltime", "sbatch calls it `time`"),
        (OURS + LR + "slurm: {queue: gpu}\n", "slurm.queue", "sbatch calls it `partition`"),
        (
            OURS + LR + "slurm: {controller: {time-limit: 4h}}\n",
            "slurm.controller.time-limit",
            "sbatch calls it `time`",
        ),
        (OURS + LR + "walltime: 4h\n", "walltime", "`slurm: {time: '04:00:00'}` a job"),
        (OURS + LR + "trial: {walltime: 4h}\n", "trial.walltime", "write `timeout: 4h`"),
        (OURS + LR + "resources: {walltime: 4h}\n", "resources.walltime", "`trial: {timeout: 4h}` ends a trial"),
        (OURS + LR + "n_trials: 4\n", "n_trials", "write `budget: {trials: 50}`"),
        (OURS + LR + "working_dir: ..\n", "working_dir", "write `cwd: …`"),
        (OURS + LR + "n-jobs: 2\n", "n-jobs", "write `parallel: 4`"),
    ],
)
def test_a_habit_from_elsewhere_names_what_to_write(refused, text, key, cure):
    error = refused(text)
    assert (error.key, cure in (error.cure or ""), error.line is not None) == (key, True, True), error.cure


def test_an_inline_habit_names_it_too():
    with pytest.raises(StudyFileError) as caught:
        settings_from_command(["env", "--lr", "~uniform(0,1)"], name=None, metric=("x", "minimize"), trials=3)
    assert caught.value.cure == "write `float(0, 1)`"


def test_text_that_only_looks_like_somebodys_call_stays_text(tmp_path):
    (tmp_path / "train.py").write_text("")
    (tmp_path / "s.yaml").write_text(
        OURS + "parameters: {loss: [torch.nn.ReLU(), log(x)], act: nn.GELU(), lr: [1, 2]}\n"
    )
    settings = load_study_file(tmp_path / "s.yaml")
    assert (
        settings.parameters[0].choices == ["torch.nn.ReLU()", "log(x)"] and settings.parameters[1].value == "nn.GELU()"
    )


@pytest.mark.parametrize(
    ("words", "note"),
    [
        ("--data $DATA/x ${args}", "`$DATA` is text here: no shell fills it in  (${envvar:DATA})"),
        ("--data=~/data ${args}", "`--data=~/data` is text here: no shell knows ~  (${envvar:HOME}/…)"),
        ("--data $${HOME} ${args}", None),
        ("--price '5$' ${args}", None),
    ],
)
def test_what_a_shell_would_fill_in_is_said(tmp_path, words, note):
    (tmp_path / "train.py").write_text("")
    (tmp_path / "s.yaml").write_text(command(words).replace("trials: 3", "trials: 2"))
    assert load_study_file(tmp_path / "s.yaml").notes == ((note,) if note else ())
