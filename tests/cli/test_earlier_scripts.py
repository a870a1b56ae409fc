"""What users of the earlier scripts type and import goes on working."""

import json
import sys
from pathlib import Path

import pytest
from support.alignment_json import files
from support.recipes import WORDS

from casas_ray.cli.entry import _tags_together
from casas_ray.config import Recipe, TextConfig, Tracking
from casas_ray.config.flat_json import flat_config, read_flat, written
from casas_ray.errors import DataError, SettingsError
from casas_ray.records.run_record import RunRecord
from casas_ray.wandb_config import WandBConfig, get_wandb_config_for_experiment

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "milan_baseline_config.json"


def test_the_example_is_the_baseline():
    found = read_flat(EXAMPLE)
    recipe_words = {k: v for k, v in found.settings.items() if not k.startswith("tracking.")}
    assert Recipe().replace(recipe_words) == Recipe()
    assert found.settings["tracking.tags"] == ["milan", "baseline", "dual-encoder"]
    assert found.no_effect == {}


def test_every_key_of_the_earlier_scripts_is_understood():
    found = flat_config(
        {
            "use_hard_negatives": True,
            "hard_negative_memory_size": 512,
            "adaptive_mask": True,
            "mask_prob": 0.2,
            "wandb_watch_freq": 500,
            "wandb_log_graph": True,
            "save_interval": 500,
            "train_data_path": "a/train.json",
            "vocab_path": "a/vocab.json",
            "use_wandb": False,
        },
        "mine.json",
    )
    assert found.settings == {
        "masking.share": 0.2,
        "masking.grows_from": 0.1,
        "loss.bank_size": 512,
        "tracking.watch_every": 500,
        "tracking.log_graph": True,
    }
    assert found.files == {"train_data": Path("a/train.json"), "vocab": Path("a/vocab.json")}
    assert list(found.no_effect) == ["save_interval"]
    assert not found.use_wandb


def test_off_and_0_are_settings_and_only_null_means_the_usual():
    tree = {"wandb_log_parameters": False, "dropout": 0.0, "wandb_name": None, "seed": 0}
    assert flat_config(tree, "mine.json").settings == {
        "tracking.log_parameters": False,
        "model.dropout": 0.0,
        "seed": 0,
    }


def test_an_unknown_key_and_what_is_no_configuration_are_named(tmp_path: Path):
    with pytest.raises(SettingsError, match="unknown key 'd_modell'") as caught:
        flat_config({"d_modell": 5}, "mine.json")
    assert caught.value.hint == "did you mean 'd_model'?"
    for text in ("[1]", "{", "\x00"):
        (tmp_path / "c.json").write_text(text)
        with pytest.raises(DataError, match=r"c\.json"):
            read_flat(tmp_path / "c.json")


def test_a_recipe_written_is_read_back_the_same(run, tmp_path: Path):
    code, out, _ = run("config", "milan_tiny", "optim.epochs=3", "tracking.notes=mine")
    assert code == 0
    (tmp_path / "mine.json").write_text(out)
    found = read_flat(tmp_path / "mine.json").settings
    tracking = {k.removeprefix("tracking."): v for k, v in found.items() if "tracking." in k}
    recipe = {k: v for k, v in found.items() if "tracking." not in k}
    assert Recipe().replace(recipe).model.width == 192
    assert Tracking().replace(tracking).notes == "mine"
    assert written(Recipe().replace(recipe), Tracking().replace(tracking)) + "\n" == out
    assert run("config", tmp_path / "mine.json")[1] == out


def test_the_wandb_configuration_in_python():
    base = {"d_model": 512, "n_layers": 4, "n_heads": 8, "clip_weight": 0.7, "mlm_weight": 0.0}
    base |= {"train_data_path": "data/milan_training/train.json", "wandb_watch_freq": 500}
    made = WandBConfig(project_name="mine").get_config("first", base)
    assert made == {
        "use_wandb": True,
        "wandb_project": "mine",
        "wandb_entity": None,
        "wandb_name": "first",
        "wandb_tags": ["milan", "d512", "layers4", "heads8", "clip"],
        "wandb_notes": "",
        "wandb_group": "milan_d512_l4",
        "wandb_log_model": False,
        "wandb_log_gradients": False,
        "wandb_log_parameters": True,
        "wandb_watch_freq": 500,
        "wandb_log_graph": False,
    }
    found = get_wandb_config_for_experiment("milan_baseline", base)
    assert found["wandb_name"] == "milan_baseline_v1"
    assert found["wandb_tags"][:3] == ["milan", "baseline", "dual-encoder"]
    with pytest.raises(SettingsError, match="no experiment 'milan'"):
        get_wandb_config_for_experiment("milan", base)


def test_tags_with_spaces_between_them_are_tags():
    words = ["train", "--wandb_tags", "milan", "baseline", "--wandb_name", "x", "optim.epochs=1"]
    assert _tags_together(words) == [
        "train",
        "--wandb_tags",
        "milan,baseline",
        "--wandb_name",
        "x",
        "optim.epochs=1",
    ]


def test_the_guides_command_trains_and_names_its_run(run, tmp_path: Path, text_model: str):
    paths, vocab = files(tmp_path)
    (tmp_path / "mine.json").write_text(
        json.dumps({"wandb_notes": "from the file", "log_interval": 5, "save_interval": 9})
    )
    model = [word for word in WORDS if word.startswith(("model.", "optim."))]
    code, _, err = run(
        "train",
        "--train_data",
        paths["train"],
        "--vocab",
        vocab,
        "--experiment",
        "milan_baseline",
        "--config",
        tmp_path / "mine.json",
        "--wandb_tags",
        "one",
        "two",
        "--output_dir",
        tmp_path / "out",
        "--machine",
        "debug",
        *model,
        f"text.model={text_model}",
        "optim.batch_size=3",
        "optim.epochs=1",
        "tracking.mode=offline",
    )
    assert code == 0, err
    assert "save_interval" in err
    assert "validating on" in err
    job = RunRecord.read(tmp_path / "out")
    assert job.tracking.name == "milan_baseline_v1"
    assert job.tracking.tags == ("one", "two")
    assert job.tracking.notes == "from the file"
    code, out, _ = run("audit", tmp_path / "out")
    assert code == 0
    assert "STAYS HERE" in out
    code, out, _ = run("sync", tmp_path / "out")
    assert (code, "made anew offline" in out) == (0, True)
    assert run("sync", tmp_path / "out", "--tensorboard")[0] == 0


def test_a_study_given_as_an_experiment_says_what_it_is(run):
    code, _, err = run("train", "--experiment", "milan_ablation_mlm")
    assert code == 2
    assert "is a study, not a starting point" in err
    assert "casas-ray tune milan_ablation_mlm" in err


def test_a_package_that_is_missing_from_this_environment_is_named(monkeypatch):
    from casas_ray.run import doctor

    wanted = ["torch>=2", "no-such-package>=1", "numpy>=99"]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: wanted)
    (found,) = doctor._packages()
    assert found.state == "missing"
    assert f"no-such-package is not installed in {sys.prefix}" in found.found
    assert "wanted >=99" in found.found
    assert f"{sys.executable} -m pip install" in found.fix


def test_a_command_that_lacks_a_package_says_which_and_where(monkeypatch, run, tmp_path: Path):
    RunRecord("x", tmp_path / "run", Recipe(), Tracking()).write()
    monkeypatch.delitem(sys.modules, "casas_ray.tracking.wandb_mirror", raising=False)
    monkeypatch.setitem(sys.modules, "wandb", None)
    code, _, err = run("sync", tmp_path / "run")
    assert code == 4
    assert f"'wandb' is not installed in {sys.prefix}" in err
    assert "pip install casas-ray" in err


def test_the_doctor_says_what_is_here_and_names_a_key_of_the_wrong_shape(monkeypatch):
    from casas_ray.run import doctor
    from casas_ray.tracking import connection

    monkeypatch.setenv("WANDB_API_KEY", "short")
    found = {
        one.name: one
        for one in [
            *doctor._python(),
            *doctor._packages(),
            *doctor._torch(),
            *doctor._storage(),
            *doctor._text_model(TextConfig()),
            *doctor._wandb(Tracking()),
        ]
    }
    assert [found[name].state for name in ("python", "packages", "torch", "storage")] == [
        "good"
    ] * 4
    assert found["text model"].state == "good"
    assert found["wandb key"].state == "missing"
    assert "wandb login" in found["wandb key"].fix
    assert "short" not in found["wandb key"].found
    assert connection.key_problem("a" * 40) == ""
