"""Trials that are bytes until somebody asks for them are a dictionary to everybody."""

from __future__ import annotations

import copy
import pickle
import random
from typing import Any

import msgspec
import pytest

from outlast.core.kept_trials import KeptTrials, packed, scores
from outlast.core.records import Trial
from outlast.core.states import TrialState


def trials(count: int) -> dict[int, Trial]:
    return {
        number: Trial(
            number, TrialState.COMPLETE if number % 3 else TrialState.FAILED, params={"x": number / 7}, values=(number / 7,),
            optuna_attrs={} if number % 5 else {"constraints": [1.0]},
        )
        for number in range(count)
    }  # fmt: skip


LOOKS: dict[str, Any] = {
    "keys": lambda found: (list(found), list(found.keys()), 3 in found, 99 in found, len(found), bool(found), max(found)),
    "one": lambda found: (found[3], found.get(3), found.get(99), found.get(99, 7)),
    "several": lambda found: [found[number] for number in range(0, len(found), 3)],
    "all": lambda found: (list(found.values()), list(found.items())),
    "a copy": lambda found: (dict(found), {**found}, found.copy(), copy.deepcopy(found), pickle.loads(pickle.dumps(found))),
    "a set": lambda found: found.keys() & {1, 2, 99},
    "scores": lambda found: sorted(scores(found)),
    "as text": lambda found: repr(found),
    "backwards": lambda found: list(reversed(found)),
    "together": lambda found: (found | {99: 1}, {99: 1} | found, {3: 1} | found),
    "equal": lambda found: (found == trials(40), trials(40) == found, found != trials(39)),
}  # fmt: skip


def begin(found: dict[int, Trial], number: int) -> None:
    trial = found.setdefault(number, Trial(number))
    trial.state, trial.values = TrialState.COMPLETE, (number / 3,)


CHANGES = (
    begin,
    lambda found, number: found.pop(number, None),
    lambda found, number: found.update({number: Trial(number)}),
    lambda found, number: found.__ior__({number: Trial(number)}),
    lambda found, number: found.pop(found.popitem()[0], None),
)
#: Of a `dict`, what is built on the rest or asks nothing of what is in it.
AS_THEY_ARE = {"__getitem__", "__class_getitem__", "__new__", "fromkeys", "__getattribute__", "__hash__"}


@pytest.mark.parametrize("look", LOOKS)
def test_each_look_tells_what_a_dictionary_tells(look: str) -> None:
    assert LOOKS[look](KeptTrials(packed(trials(40)))) == LOOKS[look](trials(40))


def test_whatever_a_dictionary_can_do_is_thought_of() -> None:
    own = {name for name, value in vars(dict).items() if callable(value) or isinstance(value, classmethod)}
    assert own - vars(KeptTrials).keys() - AS_THEY_ARE <= {"__lt__", "__le__", "__gt__", "__ge__", "__sizeof__"}
    emptied = KeptTrials(packed(trials(9)))
    emptied.clear()
    assert (len(emptied), list(emptied), dict(emptied)) == (0, [], {})


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_done_to_them_in_whatever_order(seed: int) -> None:
    print(f"seed {seed}")
    chance, wanted = random.Random(seed), trials(chance_count := 20 + 40 * seed)
    found: dict[int, Trial] = KeptTrials(packed(wanted))
    for _ in range(60):
        number = chance.randrange(chance_count + 9)
        if chance.random() < 0.3:
            change = chance.choice(CHANGES)
            change(found, number)
            change(wanted, number)
        elif chance.random() < 0.2:
            found = KeptTrials(packed(found))
        else:
            assert found.get(number) == wanted.get(number)
            assert (list(found), len(found), number in found) == (list(wanted), len(wanted), number in wanted)
            assert sorted(scores(found)) == sorted(scores(wanted))
    assert found == wanted


def test_nothing_is_unpacked_for_numbers_and_one_for_one() -> None:
    found = KeptTrials(packed(trials(40)))
    assert list(found) == list(range(40))
    assert found[7] is found[7]
    assert dict.__len__(found) == 1


@pytest.mark.parametrize("many, unpacked", [(60, 0), (101, 200)])
def test_where_most_will_be_asked_for_none_is_unpacked_by_itself_first(many: int, unpacked: int) -> None:
    found = KeptTrials(packed(wanted := trials(200)))
    found.expect(many)
    assert dict.__len__(found) == unpacked
    assert found == wanted


def test_what_it_was_is_told_of_a_trial_that_is_another_now() -> None:
    found = KeptTrials(packed({1: Trial(1, values=(0.5,))}))
    found[1].values = (0.7,)
    for _ in range(2):
        assert (found.was(1) or ())[2] == (0.5,)
        list(found.values())
    assert found.was(2) is None


def test_a_trial_that_could_not_be_read_back_is_not_packed() -> None:
    with pytest.raises(msgspec.ValidationError):
        packed({1: Trial(1, reason=None)})  # type: ignore[arg-type]
