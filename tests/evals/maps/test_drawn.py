"""The page of a clustering: whole, offline, escaped, true, and opened in a browser."""

import base64
import json
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.browser import CHROMIUM, NARROWEST, Seen, opened

from casas_ray.corpus.alignment import PreparedSet
from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json
from casas_ray.corpus.exchange.shape_a import write_shape_a
from casas_ray.evals.grouping import Grouping
from casas_ray.evals.judge import unwatched
from casas_ray.evals.maps.drawn import draw

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m"
HOVER = """
<script>
(function look() {
  const canvas = document.getElementById("points");
  if (canvas.hidden) { setTimeout(look, 20); return; }
  const box = canvas.getBoundingClientRect();
  for (let x = 5; x < box.width; x += 9) for (let y = 5; y < box.height; y += 9) {
    const at = {clientX: box.left + x, clientY: box.top + y};
    canvas.dispatchEvent(new PointerEvent("pointermove", at));
  }
  const colour = document.getElementById("colour");
  for (let each = 0; each < colour.options.length; each++) {
    colour.selectedIndex = each;
    colour.dispatchEvent(new Event("change"));
    document.querySelector("#legend button").click();
  }
  document.title = "looked";
})();
</script>
"""


def data_of(page: str) -> dict:
    letters = re.search(r'id="windows">([^<]*)<', page)
    assert letters is not None
    return json.loads(zlib.decompress(base64.b64decode(letters[1])))


@pytest.fixture(scope="module")
def drawn(small_set: PreparedSet):
    return draw(small_set, None, Grouping("hand", k=6), "pca", "casas-ray map x", unwatched)


def test_the_page_s_windows_are_those_that_are_kept(drawn):
    data = data_of(drawn.page)
    kept = pq.read_table(drawn.assigned.folder / "windows.parquet")
    assert data["start"] == [us // 1_000_000 for us in kept.column("start_us").to_pylist()]
    by_cluster, by_label, *others = data["colourings"]
    told = [by_cluster["names"][each].split()[0] for each in by_cluster["of"]]
    assert told == [str(each) for each in kept.column("cluster").to_pylist()]
    assert by_label["names"][-1] == "no label"
    assert [each["name"] for each in others] == ["hour", "room", "split"]
    runs = data["runs"]
    assert sum(runs["of"]) == len(runs["sensor"])
    assert sum(runs["count"]) == sum(kept.column("length").to_pylist())


def test_without_scripts_names_tables_sheets_and_pictures_are_there(drawn):
    seen = Seen(drawn.page)
    said = " ".join(seen.texts)
    assert "SIMULATED home" in said
    assert "fitted on" in said
    for name in drawn.names.values():
        assert name in said
    assert said.count("typical windows") == len(drawn.names)
    assert {"NMI, validation days", "Clusters by label", "casas-ray map x"} <= set(seen.texts)
    assert seen.tags.count("svg") == 1 + 3 * len(drawn.names)
    assert seen.tags.count("img") == 3
    fetched = {each.partition(":")[0] if not each.startswith("#") else "#" for each in seen.fetched}
    assert fetched == {"data", "#"}
    assert not re.findall(r"https?://|url\(", drawn.page)


def test_a_second_drawing_finds_the_clusters_that_are_kept(drawn, small_set: PreparedSet):
    stages: list[str] = []
    again = draw(small_set, None, Grouping("hand", k=6), "pca", "casas-ray map x", stages.append)
    assert again.page == drawn.page
    assert "scoring clusters" not in stages


def test_names_and_captions_are_never_obeyed(small_set: PreparedSet, tmp_path: Path):
    folder = shutil.copytree(write_shape_a(small_set), tmp_path / "json")
    for path in folder.glob("*.json"):
        held = json.loads(path.read_text())
        if path.stem == "vocab":
            continue
        for sample in held:
            sample["captions"] = [HOSTILE]
            sample["first_activity"] = HOSTILE
        path.write_text(json.dumps(held))
    prepared = prepare_json(JsonFiles.beside(folder / "train.json"))
    page = draw(prepared, None, Grouping("counts", k=4), "pca", HOSTILE, unwatched).page
    seen = Seen(page)
    assert seen.tags.count("script") == 2
    assert "<img src=x" not in page
    assert "\x1b" not in page
    assert r"\x1b[31m" in page
    assert data_of(page)["captions"] == [HOSTILE.replace("\x1b", r"\x1b")]


def test_a_home_that_nobody_labelled_has_its_map(small_set: PreparedSet, run, tmp_path: Path):
    events = pq.read_table(small_set.folder / "events.parquet")
    times = events.column("time_us").to_numpy().astype("datetime64[us]")
    rows = zip(times, events.column("sensor"), events.column("state"), strict=True)
    log = tmp_path / "bare.txt"
    log.write_text("".join(f"{str(t).replace('T', ' ')}\t{s}\t{v}\n" for t, s, v in rows))
    assert run("prepare", "unlabelled_map", "--log", log)[0] == 0
    code, out, _ = run("map", "unlabelled_map", "--k", "4", "-o", tmp_path)
    assert code == 0
    assert "principal axes" in out
    page = (tmp_path / "map.html").read_text()
    said = " ".join(Seen(page).texts)
    assert "Nobody labelled these windows." in said
    assert "purity" not in said
    assert [each["name"] for each in data_of(page)["colourings"]] == [
        "cluster",
        "hour",
        "room",
        "split",
    ]


def test_a_run_is_drawn_and_a_look_at_test_days_is_told(run, whole_run: Path, tmp_path: Path):
    folder = Path(shutil.copytree(whole_run, tmp_path / "run"))
    code, out, _ = run("map", folder, "--k", "5", "--split", "test", "--json")
    assert code == 0
    told = json.loads(out)
    page = Path(told["page"])
    assert page == folder / "clusters" / "encoder-kmeans-5-test.html"
    assert told["caveats"] == ["SIMULATED home"]
    said = " ".join(Seen(page.read_text()).texts)
    assert "THE TEST DAYS HAVE BEEN LOOKED AT: encoder-kmeans-5-test" in said
    assert len(told["names"]) == 5


def test_noise_has_its_colour_and_no_sheet(small_set: PreparedSet):
    grouping = Grouping("hand", "hdbscan", None)
    found = draw(small_set, None, grouping, "pca", "x", unwatched)
    by_cluster = data_of(found.page)["colourings"][0]
    kept = pq.read_table(found.assigned.folder / "windows.parquet").column("cluster").to_numpy()
    assert (kept == -1).any()
    assert by_cluster["names"][0] == "noise"
    assert np.array_equal(np.array(by_cluster["of"]) == 0, kept == -1)
    assert -1 not in found.names


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["-o", "no/such/folder"], 2, "no/such/folder is no folder"),
        (["--layout", "umap"], 2, "umap"),
        (["--features", "encoder"], 2, "--features encoder are those of a training"),
        (["--k", "999"], 3, "training windows are fewer than 999 clusters"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    run, small_set: PreparedSet, words: list[str], code: int, problem: str
):
    ended, out, err = run("map", small_set.folder.name, *words)
    assert (ended, out) == (code, "")
    assert problem in err
    assert "Traceback" not in err


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed here")
@pytest.mark.parametrize("width", [1280, NARROWEST])
def test_a_browser_draws_the_map_and_tells_of_windows(drawn, tmp_path: Path, width: int):
    path = tmp_path / "map.html"
    path.write_text(drawn.page.replace("</body>", f"{HOVER}</body>"))
    done = opened(path, f"--window-size={width},2000", "--dump-dom")
    assert "CONSOLE" not in done.stderr
    assert "<title>looked</title>" in done.stdout
    told = re.search(r'<div id="told"[^>]*>(.*?)</div></div>', done.stdout, re.S)
    assert told is not None
    assert " → " in told[1] or " ×" in told[1]
    assert 'id="still"' in done.stdout
    assert re.search(r'<img id="still"[^>]*hidden', done.stdout)
    assert 'aria-pressed="true"' in done.stdout


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed here")
def test_without_its_scripts_a_browser_shows_the_picture(drawn, tmp_path: Path):
    path = tmp_path / "map.html"
    path.write_text(re.sub("<script.*?</script>", "", drawn.page, flags=re.S))
    opened(path, "--window-size=1280,2000", f"--screenshot={tmp_path / 'shot.png'}")
    assert (tmp_path / "shot.png").stat().st_size > 50_000
