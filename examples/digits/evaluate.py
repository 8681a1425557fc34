"""Score a trained model on the test pictures, which neither training nor search have seen.

python evaluate.py checkpoints/last.pkl
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from train import evaluate, load_data

if __name__ == "__main__":
    state = pickle.loads(Path(sys.argv[1]).read_bytes())
    accuracy, loss = evaluate(state["model"], *load_data()["test"])
    print(f"test_accuracy={accuracy:.4f} test_loss={loss:.4f}")
