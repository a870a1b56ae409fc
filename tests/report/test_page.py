"""The page of a study: whole, offline, escaped, and opened in a browser where there is one."""

import re
import subprocess
from pathlib import Path

import pytest
from support.browser import CHROMIUM, Seen
from support.studies import FAILED, study_on_disk

from casas_ray.report.exports import as_csv, as_latex, as_markdown
from casas_ray.report.page import page
from casas_ray.report.table import study_table

BASE = [0.27, 0.25, 0.29, 0.26, 0.28, 0.27, 0.24, 0.28]
BETTER = [0.05, 0.06, 0.04, 0.05, 0.06, 0.05, 0.05, 0.04]
HOSTILE = "<script>alert(1)</script>[red]x[/red]\x1b[31m&_%$|"


def plus(differences: list[float]) -> list[float]:
    return [one + other for one, other in zip(BASE, differences, strict=True)]


ARMS = {
    "base": BASE,
    "faster": plus(BETTER),
    "same": plus([0.001, -0.001, 0.0, 0.001, 0.0, -0.001, 0.001, 0.0]),
    "broken": [FAILED, *BASE[1:]],
}


@pytest.fixture
def made(tmp_path: Path):
    changes = {"faster": {"optim.learning_rate": 0.001}, "same": {"loss.mlm_weight": 0.0}}
    return study_on_disk(tmp_path / "question-1", ARMS, question=HOSTILE, changes=changes)


def test_the_page_says_question_verdicts_and_smallest_p_before_all_else(made):
    seen = Seen(page(made))
    said = " ".join(seen.texts[1:8])
    assert "SIMULATED home" in said
    assert "quick" in said
    assert "Better than the base: faster." in said
    assert "No difference that matters (±0.01): same, broken." in said
    assert "Smallest p that so many pairs can reach: 0.00781" in said
    whole = " ".join(seen.texts)
    assert "optim.learning_rate" in whole
    assert "optim.batch_size" not in whole  # in which no arm differs
    assert "broken-seed0" in whole
    assert "the loss is nan at step 60" in whole
    assert "casas-ray tune question --quick --seeds 8 data.simulated=true" in whole
    assert {"untrained", "chance", "a" * 40} <= set(seen.texts)


def test_the_page_fetches_nothing_and_obeys_no_name(made):
    text = page(made)
    seen = Seen(text)
    assert seen.fetched == ["data:,"]
    assert seen.tags.count("script") == 1
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert r"\x1b[31m" in text
    assert not re.findall(r"https?://|url\(", text)


def test_tables_for_others_hold_verdicts_and_hostile_names_stay_text(made):
    table = study_table(made.results(), made.rule)
    lines = as_csv(table, made).splitlines()
    assert len(lines) == 5
    assert "better" in lines[2]
    assert "no difference that matters" in lines[3]
    markdown = as_markdown(table, made)
    assert r"\<script\>" in markdown
    assert "| faster | 8 |" in markdown
    latex = as_latex(table, made)
    assert r"\&\_\%\$" in latex
    assert r"faster & 8 & 0.0" in latex
    assert r"$\pm$" in latex


def test_a_thousand_trainings_make_a_page_that_can_be_sent(tmp_path: Path):
    arms = {f"arm{index}": plus([index * 1e-4] * 8) for index in range(124)}
    record = study_on_disk(tmp_path / "large-1", {"base": BASE, **arms})
    text = page(record)
    assert len(record.trials) == 1000
    assert len(text) < 25e6
    assert text.count("<polyline") == 1000 + 125


def test_a_study_of_which_nothing_was_trained_still_has_a_page(tmp_path: Path):
    record = study_on_disk(tmp_path / "empty-1", {"base": [0.2], "arm": [0.3]})
    for ledger in record.folder.glob("*/ledger.jsonl"):
        ledger.unlink()
    assert "Not decided: arm." in page(record)


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed here")
@pytest.mark.parametrize("width", [1280, 500])  # 500 is the narrowest window of its headless mode
def test_a_browser_opens_the_page_without_a_word_in_its_console(made, tmp_path: Path, width: int):
    (tmp_path / "report.html").write_text(page(made))
    words = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    words += ["--disable-dev-shm-usage", f"--user-data-dir={tmp_path / 'profile'}"]
    words += [f"--window-size={width},2000", f"--screenshot={tmp_path / 'shot.png'}"]
    url = (tmp_path / "report.html").as_uri()
    done = subprocess.run([*words, url], capture_output=True, text=True, timeout=300, check=True)
    assert "CONSOLE" not in done.stderr
    assert (tmp_path / "shot.png").stat().st_size > 10_000
