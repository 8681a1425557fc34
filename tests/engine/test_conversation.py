"""Questions and answers over a socket that takes less than an answer at once."""

from __future__ import annotations

import json
import os
import pickle
import socket
import threading

import pytest

from outlast.engine.coordinator.ask_server import open_pair
from outlast.objective.pipe_trial import PipeTrial, asking_over


def test_an_answer_larger_than_the_socket_comes_whole_to_a_reader_however_slow() -> None:
    talk, theirs = open_pair()
    large = {"rows": ["é\n" * 1000] * 2000}
    found: list[object] = []

    def asks() -> None:
        with socket.socket(fileno=theirs) as connection:
            trial = PipeTrial(asking_over(connection))
            found.extend([trial._ask({"op": "rows"}), trial.number])
            with pytest.raises(TypeError, match="stays in the process of its objective"):
                pickle.dumps(trial)
            connection.shutdown(socket.SHUT_RDWR)

    answers = {"begin": {"number": 7}, "rows": large}
    asking = threading.Thread(target=asks)
    asking.start()
    os.set_blocking(talk.fd, True)  # nothing else waits for this end
    while talk.serve(lambda question: answers[str(question["op"])]) and not found:
        pass
    asking.join()
    assert found == [large, 7] and len(json.dumps(large)) > 1 << 22
    talk.close()
