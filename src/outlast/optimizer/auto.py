"""What ``sampler: auto`` means: known without loading a sampler.

For one objective a Gaussian process and TPE suggest by turns, as long as there are few trials; TPE alone after that, and where
there are several objectives. By turns they are about as good as the better of the two, which neither is everywhere: see
``benchmarks/README.md``, search quality.
"""

from __future__ import annotations

from outlast.config.settings import Settings

#: With more trials than this TPE suggests alone: what the process costs grows with the cube of their number (0.06 s at 150).
FEW_TRIALS = 150
#: Trials are spread evenly, which the process does, until so many have ended.
FIRST_TRIALS = 10
#: With more parameters than this the process is not asked: its search for the best point becomes a poor one.
MOST_PARAMETERS = 30
#: Options that both samplers have.
SHARED_OPTIONS = frozenset({"n_startup_trials"})


def asks_gaussian(settings: Settings) -> bool:
    """Whether ``auto`` asks a Gaussian process, too: not for an objective that asks for its parameters as it goes, and not
    where options of TPE's own say that TPE is meant."""
    drawn = sum(parameter.latent is not None for parameter in settings.parameters)
    fits = len(settings.metrics) == 1 and 0 < drawn <= MOST_PARAMETERS
    return fits and SHARED_OPTIONS.issuperset(settings.sampler.options)


def is_gaussians_turn(number: int, others: int, ended: int, first: int = FIRST_TRIALS) -> bool:
    """Whether it suggests this trial, where there are so many others, of which so many have ended."""
    return others < FEW_TRIALS and (ended < first or number % 2 == 0)


def said_of_auto(settings: Settings) -> str:
    """What people are told it is."""
    return "gaussian and tpe by turns (auto)" if asks_gaussian(settings) else "tpe (auto)"
