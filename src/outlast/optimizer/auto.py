"""What ``sampler: auto`` means: known without loading a sampler.

For one objective a Gaussian process and TPE suggest by turns, as long as there are few trials; TPE alone after that, and where
there are several objectives. By turns they are about as good as the better of the two, which neither is everywhere: see
``benchmarks/README.md``, search quality.
"""

from __future__ import annotations

from collections.abc import Collection

#: With more trials than this TPE suggests alone: what the process costs grows with the cube of their number (0.06 s at 150).
FEW_TRIALS = 150
#: Trials are spread evenly, which the process does, until so many have ended.
FIRST_TRIALS = 10
#: With more parameters than this the process is not asked: its search for the best point becomes a poor one.
MOST_PARAMETERS = 30
#: Options that both samplers have.
SHARED_OPTIONS = frozenset({"n_startup_trials"})


def asks_gaussian(objectives: int, parameters: int, options: Collection[str] = ()) -> bool:
    """Whether ``auto`` asks a Gaussian process, too.

    Args:
        parameters: How many are declared in the study file; 0: the objective asks for them as it goes.
        options: Those of the study file; TPE's own are a wish for TPE.
    """
    return objectives == 1 and 0 < parameters <= MOST_PARAMETERS and SHARED_OPTIONS.issuperset(options)


def is_gaussians_turn(number: int, others: int, ended: int, first: int = FIRST_TRIALS) -> bool:
    """Whether it suggests this trial, where there are so many others, of which so many have ended."""
    return others < FEW_TRIALS and (ended < first or number % 2 == 0)


def said_of_auto(objectives: int, parameters: int, options: Collection[str] = ()) -> str:
    """What people are told it is."""
    return "gaussian and tpe by turns (auto)" if asks_gaussian(objectives, parameters, options) else "tpe (auto)"
