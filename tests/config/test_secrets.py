"""What is taken for a secret, in a command, a parameter and a line of shell: by its name, by its form, by its place."""

from __future__ import annotations

import time

import pytest

from outlast.config.secrets import is_masked, mask_code, mask_inside, mask_secrets, mask_text, secret_in

GITHUB = "ghp_" + "a1B2" * 9
OPENAI = "sk-proj-" + "aB3x" * 10


@pytest.mark.parametrize(
    "text, masked",
    [
        ("python t.py --hf_token=hf_abc ${args}", "python t.py --hf_token=*** ${args}"),
        ("python t.py --verbose --api-key sk-1 --lr 0.1", "python t.py --verbose --api-key *** --lr 0.1"),
        ("export WANDB_API_KEY=0123abc; run", "export WANDB_API_KEY=*** run"),
        ("export DB_PASS='a b'", "export DB_PASS=***"),
        ("--auth.access-token=abc", "--auth.access-token=***"),
        ("curl -H 'Authorization: Bearer abcdefghijklmnop'", "curl -H 'Authorization: Bearer ***'"),
        (f"anything {GITHUB} anywhere", "anything *** anywhere"),
        (OPENAI, "***"),
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abcdefghijkl==", None),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "***"),
        ("postgres://u:pw@h/x", "postgres://u:***@h/x"),
    ],
)
def test_secrets_are_known_by_name_form_and_place(text, masked):
    found = mask_text(text)
    assert found == masked if masked else "abcdefghijkl" not in found
    assert mask_text(found) == found and is_masked(found) and secret_in(text)


@pytest.mark.parametrize(("text", "masked"), [
    ('+API_KEY = "abcdefgh"  # mine', '+API_KEY = "***"  # mine'),
    ("+  password: hunter2", "+  password: ***"),
    ("-db_password = hunter2", "-db_password = ***"),
    ("+ {'client_secret': 'a b', 'lr': 0.1}", "+ {'client_secret': '***', 'lr': 0.1}"),
    (f'wandb.login(key="{"0123abcd" * 5}")', 'wandb.login(key="***")'),
    ("api_key = os.environ['KEY']", None), ("password: str", None), ("if password == 'x':", None), ('key="val_accuracy"', None),
    ("lr: 0.1\npad_token: eos", None), ("import a as api_key\nx = api_key.strip()", None),
])  # fmt: skip
def test_in_code_more_sets_a_credential(text, masked):
    assert mask_code(text) == (masked or text)
    assert mask_code(mask_code(text)) == mask_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "python train.py --lr 0.1 --model sk-learn-random-forest-classifier-v2",
        "--pad_token=<pad> --eos-token </s> --sort-key=length --primary-key id",
        "--hf-token ${envvar:HF_TOKEN} --api_key=$KEY",
        "export HF_TOKEN=$(cat ~/.hf)",
        "--private-key ~/.ssh/id_rsa --secret keys/secret.json --credentials=c.yaml",
        "--pass 2 --password --lr 1",
        "--commit 9c1185a5c5e9fc54612808977ee8f548b2258d31",
        "--tokenizer=bert --n-keys=4 --key=val_acc --token cls",
        "hf_transformer sk-net eyJ",
        "https://host:8080/x@y",
    ],
)
def test_words_of_a_search_stay_as_they_are(text):
    assert mask_text(text) == text and not secret_in(text) and not secret_in(text.split())


def test_a_flag_hides_the_next_word():
    assert secret_in(["python", "t.py", "--api-key", "sk-1"])
    assert mask_secrets({"command": ["t.py", "--api-key", "sk-1"]}) == {"command": ["t.py", "--api-key", "***"]}
    assert not secret_in(["t.py", "--api-key", "--lr", "0.1"]) and not secret_in(["t.py", "--api-key", "${envvar:K}"])


def test_the_value_of_a_parameter_is_judged_by_the_parameter_s_name():
    assert secret_in("sk-1", "model.api_key") and not secret_in("<pad>", "pad_token")


def test_a_number_of_passes_is_no_password():
    assert mask_secrets({"env": {"N_PASS": "3", "SMTP_PASS": "hunter2"}}) == {
        "env": {"N_PASS": "3", "SMTP_PASS": "***"}
    }


def test_a_token_of_an_innocent_name_is_masked_by_its_form():
    assert mask_secrets({"env": {"EXTRA": GITHUB}}) == {"env": {"EXTRA": "***"}}


def test_a_long_line_costs_no_more_than_its_length() -> None:
    """Without a bound on a URL's scheme the square of it: hex that was printed without a newline takes minutes."""
    began = time.process_time()
    mask_text("a1" * 50_000)
    assert time.process_time() - began < 2


def test_a_message_s_data_has_no_secret_however_deep_and_keeps_what_only_sounds_like_one() -> None:
    data = {"key": "disk", "best": {"params": {"pad_token": "x", "hub": GITHUB}}, "studies": [{"why": f"401 {GITHUB}"}]}
    assert mask_inside(data) == {
        "key": "disk", "best": {"params": {"pad_token": "x", "hub": "***"}}, "studies": [{"why": "401 ***"}],
    }  # fmt: skip
