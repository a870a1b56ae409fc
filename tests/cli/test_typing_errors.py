"""What was typed wrongly is told in a line, with what was meant, and nothing of it is obeyed."""

import unicodedata

import pytest
from support.said import told

from casas_ray.config.spelling import known_as, meant, setting_paths

EVIL = "[bold]\x1b[31mx\u202e\x9b\n[/nope]:skull:"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["train", "--epochs", "3"], "without dashes: did you mean optim.epochs=3?"),
        (["train", "--epochs=3"], "without dashes: did you mean optim.epochs=3?"),
        (["train", "--lr", "1e-3"], "did you mean optim.learning_rate=1e-3?"),
        (["train", "--batch-size", "8"], "did you mean optim.batch_size=8?"),
        (["plan", "milan_ablation_mlm", "--wandb-project", "p"], "mean tracking.project=p?"),
        (["tune", "milan_ablation_mlm", "mlm_weight=0.2"], "mean loss.mlm_weight=0.2?"),
        (["plan", "milan_ablation_mlm", "epoch=1"], "did you mean optim.epochs=1?"),
        (["train", "workers=2"], "did you mean machine.workers=2?"),
        (["train", "optim.lr=3"], "did you mean optim.learning_rate=3?"),
        (["train", "loss.mlm_wieght=3"], "did you mean loss.mlm_weight=3?"),
        (["train", "d_model=64"], "did you mean model.width=64?"),
        (["train", "--quik"], "did you mean '--quick'?"),
        (["tabel"], "did you mean 'table', 'label'?"),
        (["table", "--epochs", "3"], "`casas-ray table --help` lists the options"),
    ],
)
def test_the_setting_or_option_that_was_meant_is_named_whole(run, words: list[str], hint: str):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert hint in err
    assert len(told(err)) == 2


def test_every_setting_is_found_by_its_last_part():
    for path in setting_paths():
        assert path in known_as(path.rpartition(".")[2])
        assert path in known_as(path)
    assert meant("a_thing_that_nobody_knows") == []


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--output-dir", ""],
        ["train", "--config", " "],
        ["train", "--train-data="],
        ["table", ""],
        ["evaluate", "somewhere", ""],
        ["prepare", "x", "--log", ""],
        ["prepare", "--from", ""],
        ["simulate", "milan", "--beside", ""],
        ["describe", ""],
        ["sync", ""],
    ],
)
def test_an_empty_path_is_not_the_current_folder(run, words: list[str]):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "a path cannot be empty" in err


def test_an_empty_path_in_a_configuration_is_refused(run, tmp_path):
    (tmp_path / "flat.json").write_text('{"output_dir": ""}')
    code, _, err = run("train", "--config", tmp_path / "flat.json")
    assert (code, "'output_dir' is an empty path" in err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        [EVIL],
        ["train", f"--{EVIL}"],
        ["train", f"--{EVIL}=1"],
        ["describe", "x", "--window", EVIL],
        ["simulate", EVIL, "--days", EVIL],
        ["tune", "x", f"--machine{EVIL}", EVIL],
        ["homes", EVIL],
        [f"-{EVIL}"],
    ],
)
def test_a_wrong_word_is_repeated_as_text(run, words: list[str]):
    code, _, err = run(*words)
    assert code == 2
    assert len(told(err)) == 2
    bad = {char for char in err if char != "\n" and unicodedata.category(char) in ("Cc", "Cf")}
    assert not bad
