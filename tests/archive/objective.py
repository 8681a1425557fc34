"""An objective of Optuna's that draws its parameters as it goes and notes something about its trial."""


def objective(trial):
    """A curve with one peak."""
    depth = trial.suggest_int("depth", 1, 3)
    x = sum(trial.suggest_float(f"x{at}", 0.0, 1.0) for at in range(depth)) / depth
    trial.set_user_attr("mean", x)
    for step in range(3):
        trial.report(0.9 - (x - 0.3) ** 2 - 0.1 / (step + 1), step)
    return 0.9 - (x - 0.3) ** 2
