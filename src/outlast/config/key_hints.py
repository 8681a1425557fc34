"""What people write for a key of the study file, and what it is called here. For cures only."""

from __future__ import annotations

from collections.abc import Mapping

_TIME = "`trial: {timeout: 4h}` ends a trial, `budget: {time: 4h}` the study, `slurm: {time: '04:00:00'}` a job"


def _each(words: str, cure: str) -> dict[str, str]:
    return dict.fromkeys(words.split(), cure)


STUDY: Mapping[str, str] = {
    **_each("walltime wall_time time timeout time_limit timelimit max_time", _TIME),
    **_each("trials n_trials max_trials num_trials num_samples count", "write `budget: {trials: 50}`"),
    **_each("gpus gpu n_gpus num_gpus cpus cpu memory mem", "write `resources: {gpus: 1, cpus: 4, memory: 16GB}`"),
    **_each("seed random_seed", "write `sampler: {name: tpe, seed: 1}`"),
    **_each("retries max_retries grace hang_after resume_args folds seeds oom", "it goes below `trial:`"),
    **_each("script cmd run entrypoint entry_point executable", "write `command: python train.py ${args}`"),
    **_each("workdir work_dir working_directory working_dir workingdir chdir directory dir root", "write `cwd: …`"),
    **_each("environment envs env_vars environ variables", "write `env: {NAME: value}`"),
    **_each("space params parameter hyperparameters hparams", "write `parameters:`"),
    **_each("direction directions", "write `metric: {name: val_acc, goal: maximize}`"),
    **_each("n_jobs jobs workers max_parallel max_concurrent concurrency max_workers", "write `parallel: 4`"),
    **_each("max_failures", "write `budget: {max_failures: 5}`"),
    **_each("algorithm algo strategy tuner", "write `sampler: tpe`"),
    **_each("scheduler early_stopping early_termination pruning", "write `pruner: asha`"),
    **_each("sbatch cluster partition", "write `slurm: {partition: gpu, time: '04:00:00'}`"),
}
TRIAL: Mapping[str, str] = _each("walltime wall_time time time_limit timelimit max_time", "write `timeout: 4h`")
RESOURCES: Mapping[str, str] = {
    **_each("walltime wall_time time timeout time_limit", _TIME),
    **_each("gpu n_gpus num_gpus ngpus", "write `gpus: 1`"),
    **_each("cpu n_cpus num_cpus cores", "write `cpus: 4`"),
    **_each("mem ram", "write `memory: 16GB`"),
}
#: Words of other batch systems that sbatch does not know.
SBATCH: Mapping[str, str] = {
    **_each("walltime wall_time time_limit timelimit wallclock", "sbatch calls it `time`, such as `time: '04:00:00'`"),
    **_each("queue", "sbatch calls it `partition`"),
    **_each("memory mem_gb ram", "sbatch calls it `mem`, such as `mem: 16G`"),
    **_each("cpus ncpus num_cpus cores", "sbatch calls it `cpus_per_task`"),
    **_each("gpu ngpus num_gpus n_gpus", "sbatch calls it `gpus`, or `gres: gpu:1`"),
}
