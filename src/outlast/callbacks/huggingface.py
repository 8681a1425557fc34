"""Hugging Face ``Trainer``: reports at each evaluation, saves and leaves when asked to stop, resumes bit for bit.

The Trainer writes the checkpoints itself, so its ``output_dir`` must be the trial's checkpoint folder::

    args = TrainingArguments(output_dir=str(outlast.current_trial().checkpoint_dir), ...)
    trainer = Trainer(..., args=args, callbacks=[OutlastCallback()])
    trainer.train(resume_from_checkpoint=resume_from())
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Optional

from transformers import TrainerCallback

from outlast.callbacks._common import is_whole, numbers, resume_candidates, say, under_outlast
from outlast.client import current_trial

__all__ = ["OutlastCallback", "resume_from"]

_NAME = re.compile(r"checkpoint-\d+")
_STATE = "trainer_state.json"  # the Trainer's last file of a checkpoint


def resume_from() -> Optional[str]:
    """The newest whole checkpoint of this trial, for ``trainer.train(resume_from_checkpoint=resume_from())``.

    A checkpoint that was cut off while it was written is passed over, with a line on stderr, for the one before.

    Returns:
        A folder, or ``None`` where there is nothing to resume from.
    """
    for path in resume_candidates():
        if not (_NAME.fullmatch(os.path.basename(path)) and os.path.isdir(path)):
            continue
        if os.path.exists(os.path.join(path, _STATE)) and is_whole(path):
            return path
        say("checkpoint {} is not used: it was cut off while it was written".format(path))
    return None


class OutlastCallback(TrainerCallback):
    """Reports what the Trainer evaluates, under its names (``eval_loss``, ``eval_accuracy``) at its ``global_step``.

    When asked to stop it lets the Trainer save a checkpoint after the current step and return from ``train()``. In a
    distributed training all ranks stop at the same step.
    """

    def __init__(self) -> None:
        self._left_midway = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Check where checkpoints go; where a resumed training has nothing left to do, report its last evaluation."""
        self._left_midway = False
        _check_output_dir(args, state)
        if state.global_step < state.max_steps:
            return
        evaluations = [entry for entry in state.log_history if any(name.startswith("eval_") for name in entry)]
        if evaluations:
            _report(evaluations[-1], int(evaluations[-1].get("step", state.global_step)))

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report the metrics of this evaluation."""
        _report(kwargs.get("metrics") or {}, state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask whether to stop. At an epoch's end that waits until the epoch has been evaluated."""
        at_epoch_end = state.epoch is not None and float(state.epoch).is_integer()
        if not (at_epoch_end or control.should_training_stop) and _asked_to_stop(args):
            self._left_midway = True
            control.should_save = control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask whether to stop; an epoch that was left midway is neither evaluated nor saved as if it were whole."""
        if self._left_midway:
            control.should_evaluate = control.should_save = control.should_log = False
        elif not control.should_training_stop and _asked_to_stop(args):
            control.should_save = control.should_training_stop = True


def _report(metrics: Dict[str, Any], step: int) -> None:
    found = numbers({name: value for name, value in metrics.items() if name not in ("epoch", "step")})
    if found:
        current_trial().report(step=step, **found)


def _asked_to_stop(args: Any) -> bool:
    """Whether any rank was asked: the same answer on every rank."""
    asked = bool(current_trial().should_stop)
    if args.world_size < 2:
        return asked
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return asked
    flag = torch.tensor([int(asked)], device=args.device)
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
    return bool(flag.item())


def _check_output_dir(args: Any, state: Any) -> None:
    if not (under_outlast() and state.is_world_process_zero):
        return
    if os.path.realpath(args.output_dir) != os.path.realpath(str(current_trial().checkpoint_dir)):
        say(
            "the Trainer keeps its checkpoints in {}, where no later attempt looks for them; "
            "use TrainingArguments(output_dir=str(outlast.current_trial().checkpoint_dir))".format(args.output_dir)
        )
