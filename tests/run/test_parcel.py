"""What travels with a job: what git tracks and nothing else, told beforehand to the byte."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from casas_ray.errors import RefusedError
from casas_ray.run.cluster import parcel
from casas_ray.run.cluster.order import new_order
from casas_ray.run.cluster.parcel import parcel_of

CANARY = "WANDB_API_KEY=canary"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("CASAS_RAY_DATA")
    git("init", "-q")
    (folder / "code.py").write_text("x = 1\n")
    git("add", "code.py")
    return folder


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True, capture_output=True)


def packed(checkout: Path, tmp_path: Path) -> dict[str, str]:
    with zipfile.ZipFile(parcel_of(checkout).pack(tmp_path / "code.zip")) as held:
        return {name: held.read(name).decode() for name in held.namelist()}


def test_what_git_tracks_travels_as_it_is_now_and_the_rest_is_told(checkout: Path, tmp_path: Path):
    (checkout / "gone.py").write_text("1")
    (checkout / "run.sh").write_text("#!/bin/sh\n")
    (checkout / "run.sh").chmod(0o755)
    git("add", "gone.py", "run.sh")
    (checkout / "gone.py").unlink()
    (checkout / "code.py").write_text("x = 2\n")
    (checkout / ".env").write_text(CANARY)
    (checkout / "notes.txt").write_text(CANARY)
    (checkout / ".gitignore").write_text("*.sh\n")  # what is tracked travels all the same
    sent = parcel_of(checkout)
    assert packed(checkout, tmp_path) == {
        "code.py": "x = 2\n",
        "run.sh": "#!/bin/sh\n",
        ".casas-ray-code.json": sent.code[1].decode(),
    }
    assert sent.untracked == (".env", ".gitignore", "notes.txt")
    with zipfile.ZipFile(tmp_path / "code.zip") as held:
        assert held.getinfo("run.sh").external_attr >> 16 & 0o111


def test_the_same_files_are_the_same_archive(checkout: Path, tmp_path: Path):
    first = parcel_of(checkout).pack(tmp_path / "one.zip").read_bytes()
    (checkout / "code.py").touch()
    assert parcel_of(checkout).pack(tmp_path / "two.zip").read_bytes() == first


def test_data_stays_even_where_git_tracks_it_and_so_does_what_rayignore_names(
    checkout: Path, tmp_path: Path
):
    for name in ("data/raw/milan/data.txt", "data/runs/r/ledger.jsonl", "data/homes/milan.toml"):
        (checkout / name).parent.mkdir(parents=True)
        (checkout / name).write_text("1")
    (checkout / "film.mp4").write_text("1")
    (checkout / ".rayignore").write_text("*.mp4\n")
    git("add", "-A")
    names = set(packed(checkout, tmp_path))
    assert names == {"code.py", ".rayignore", "data/homes/milan.toml", ".casas-ray-code.json"}
    assert parcel_of(checkout).kept_back == (
        "data/raw/milan/data.txt",
        "data/runs/r/ledger.jsonl",
        "film.mp4",
    )


def test_keys_and_links_out_are_refused_by_name(checkout: Path):
    (checkout / ".env").write_text(CANARY)
    git("add", ".env")
    with pytest.raises(RefusedError, match=r"looks like keys: \.env") as caught:
        parcel_of(checkout)
    assert caught.value.exit_code == 8
    git("rm", "-q", "--cached", ".env")
    (checkout / "out.txt").symlink_to("/etc/passwd")
    git("add", "out.txt")
    with pytest.raises(RefusedError, match=r"links to files that it does not track: out\.txt"):
        parcel_of(checkout)


def test_what_is_too_large_is_refused_with_what_makes_it_so(checkout: Path, monkeypatch):
    monkeypatch.setattr(parcel, "LARGEST_BYTES", 3_000_000)
    (checkout / "big.bin").write_bytes(b"0" * 4_000_000)
    git("add", "big.bin")
    with pytest.raises(RefusedError, match=r"git tracks 4 MB here; .* big\.bin \(4 MB\)"):
        parcel_of(checkout)
    (checkout / ".rayignore").write_text("big.bin\n")
    assert "big.bin" not in parcel_of(checkout).files


def test_outside_a_repository_nothing_says_what_may_travel(tmp_path: Path):
    with pytest.raises(RefusedError, match="is not in a git repository"):
        parcel_of(tmp_path)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["tune", "milan_ablation_mlm", "--quick"], "tune-milan_ablation_mlm-"),
        (["tune", "/x/../y; rm -rf $HOME"], "tune-"),
        (["train", "seed=3"], "train-"),
        (["tune", "a" * 300], "tune-aaa"),
    ],
)
def test_a_jobs_name_is_one_word_of_any_shell(checkout: Path, words: list[str], name: str):
    order = new_order(words, parcel_of(checkout))
    assert order.name.startswith(name)
    assert order.name.replace("-", "").replace("_", "").replace(".", "").isalnum()
    assert len(order.name) < 80
    assert order.name != new_order(words, order.parcel).name


def test_a_dry_run_shows_to_the_byte_what_is_sent_and_asks_nobody(run, checkout: Path, tmp_path):
    words = ("submit", "--machine", "local-head", "--dry-run", "--json", "--", "plan", "a b")
    code, out, err = run(*words)
    assert code == 0, err
    told = json.loads(out)
    assert told["entrypoint"] == "casas-ray plan 'a b' machine.name=local-head"
    assert told["environment"] == {"RAY_JOB_STOP_WAIT_TIME_S": "30"}
    sent = {name: len(text.encode()) for name, text in packed(checkout, tmp_path).items()}
    assert told["files"] == sent
    assert told["bytes"] == sum(sent.values())
    code, out, err = run(*(word for word in words if word != "--json"))
    assert code == 0, err
    for text in ("code.py", "casas-ray plan 'a b'", "RAY_JOB_STOP_WAIT_TIME_S=30"):
        assert text in out


def test_the_machine_that_is_named_becomes_words_of_the_command(run, checkout: Path):
    def entrypoint(*words: str) -> str:
        code, out, err = run("submit", "--dry-run", "--json", *words)
        assert code == 0, err
        return json.loads(out)["entrypoint"]

    named = entrypoint("--machine", "one-gpu", "--", "tune", "x", "machine.cpus_per_worker=2")
    assert named == (
        "casas-ray tune x machine.cpus_per_worker=2 machine.name=one-gpu "
        "machine.gpus_per_worker=1.0"
    )
    assert entrypoint("--", "tune", "x", "--machine", "debug") == "casas-ray tune x --machine debug"
    assert entrypoint("--machine", "one-gpu", "--", "table", "x") == "casas-ray table x"
    code, _, err = run("submit", "--dry-run", "--", "tune", "x", "machine.workers=no")
    assert (code, "workers" in err) == (2, True)
    code, _, err = run("submit", "--dry-run", "--", "tuen", "x")
    assert (code, "did you mean 'tune'?" in err) == (2, True)
