"""A training with Transformers that knows nothing of Outlast: on SIGTERM it saves, leaves `train`, evaluates and ends with 0."""

import argparse
import logging
import time

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments


class Slowly(TrainerCallback):
    """A step on real data takes its time."""

    def on_step_end(self, args, state, control, **kwargs):
        time.sleep(0.25)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float)
    parser.add_argument("--output_dir")
    parser.add_argument("--resume_from_checkpoint", default=None)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    texts = torch.randint(0, 50, (48, 8), generator=torch.Generator().manual_seed(0))
    data = [{"input_ids": text, "labels": int(text[0] > 25)} for text in texts]
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    trainer = Trainer(
        model_init=lambda: BertForSequenceClassification(BertConfig(vocab_size=50, **sizes)),
        args=TrainingArguments(
            output_dir=args.output_dir, learning_rate=args.lr, max_steps=40, per_device_train_batch_size=8,
            logging_steps=1, save_strategy="no", eval_strategy="no", report_to="none", disable_tqdm=True,
            enable_jit_checkpoint=True,
        ),
        train_dataset=data[:32],
        eval_dataset=data[32:],
        callbacks=[Slowly()],
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    print(f"steps={trainer.state.global_step}", flush=True)
    print(trainer.evaluate(), flush=True)


main()
