import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stillhouse.report import write_report
from tests.report.folders import account, write_compare, write_kitchen, write_nan, write_run, write_unfinished

HOSTILE = "</p></details><script>alert(1)</script>{{ 7*7 }}{% raw %}<img src=http://evil.example/x>\x00\x1b[31m\u202e"
VOID = {"meta", "link", "br", "img", "hr", "input", "use", "path"}


class Tags(HTMLParser):
    """Collects tags with their attributes, and checks that every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    base = tmp_path_factory.mktemp("runs")
    makers = {"run": write_run, "unfinished": write_unfinished, "nan": write_nan, "compare": write_compare}
    return {name: write_report(make(base / name)).read_text(encoding="utf-8") for name, make in makers.items()}


def figure_titles(page: str) -> list[str]:
    return re.findall(r"<figure>\s*<h3>(.*?)</h3>\s*<svg", page)


@pytest.mark.parametrize("name", ["run", "unfinished", "nan", "compare"])
def test_nothing_is_asked_of_the_network(pages: dict[str, str], name: str) -> None:
    tags = Tags(pages[name])
    assert tags.open == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & {t for t, _ in tags.found}
    for tag, attributes in tags.found:
        for key, value in attributes.items():
            if "//" in (value or ""):
                assert (tag, key) == ("a", "href") and (value or "").startswith("https://arxiv.org/abs/"), (
                    tag,
                    key,
                    value,
                )
    assert "@import" not in pages[name] and not re.search(r"url\((?!#)", pages[name])
    assert "default-src 'none'" in pages[name]


@pytest.mark.parametrize("name", ["run", "compare"])
def test_ids_are_unique(pages: dict[str, str], name: str) -> None:
    ids = [a["id"] for _, a in Tags(pages[name]).found if "id" in a]
    assert len(ids) == len(set(ids))


def test_a_run_has_every_part(pages: dict[str, str]) -> None:
    page = pages["run"]
    assert figure_titles(page) == [
        "Training loss", "Held-out KL per token", "Top-1 agreement", "First-token divergence", "Implicit reward",
        "Reward against reverse KLD", "ROUGE-L on held-out prompts", "Exact match on held-out prompts",
        "ROUGE-L on held-out prompts and speed", "KL to the teacher and speed",
    ]  # fmt: skip
    assert re.findall(r'<section id="(\w+)"', page) == ["results", "curves", "lengths", "tradeoff", "samples", "run"]
    assert "SmolLM2-135M-Instruct (135 M parameters) distilled into a student of 20 of its layers" in page
    assert 'href="https://arxiv.org/abs/2406.19774"' in page and "keep_layers = 20" in page
    assert "Name three things that float on water." in page and "prefers-color-scheme: dark" in page


def test_a_comparison_overlays_methods(pages: dict[str, str]) -> None:
    titles = figure_titles(pages["compare"])
    assert {
        "Training loss",
        "First-token divergence: rKLD",
        "Implicit reward: of y_t",
        "Implicit reward: of y_s",
    } <= set(titles)
    assert '<span style="border-color: var(--c2)">sft</span>' in pages["compare"]
    assert "Comparison of 5 methods over 3 seeds" in pages["compare"] and 'class="best"' in pages["compare"]
    assert "--methods dpkd,sft,kd,seqkd,akl --seeds 1,2,3" in pages["compare"]


def test_an_unfinished_run_shows_what_it_has(pages: dict[str, str]) -> None:
    page = pages["unfinished"]
    assert figure_titles(page)[:2] == ["Training loss", "Held-out KL per token"] and len(figure_titles(page)) == 6
    assert 'id="results"' not in page and 'id="samples"' not in page and "This run is not finished" in page


def test_a_nan_is_shown(pages: dict[str, str]) -> None:
    assert "loss is not a finite number" in pages["nan"] and ">NaN</text>" in pages["nan"]


def test_an_empty_run_still_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    assert "Nothing has been trained yet" in write_report(tmp_path).read_text(encoding="utf-8")


def test_a_run_without_probes_has_its_loss(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "bare")
    for log in folder.glob("train/*/metrics.jsonl"):
        rows = [json.loads(line) for line in log.read_text().splitlines()[:1]]
        log.write_text("".join(json.dumps({"step": r["step"], "loss": r["loss"]}) + "\n" for r in rows))
    assert figure_titles(write_report(folder).read_text(encoding="utf-8"))[0] == "Training loss"


def test_what_models_write_is_data(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "hostile")
    scores = json.loads((folder / "scores.json").read_text())
    student = scores["models"]["student"]
    student["label"] = HOSTILE
    task = student["tasks"]["held_out"]
    task["samples"][0]["answer"] = HOSTILE
    task["samples"][1]["answer"] = "<b>" + "y" * 1_000_000
    task["samples"][2] |= {"prompt": HOSTILE, "references": [HOSTILE]}
    student["tasks"] = {"held_out": task, HOSTILE: task}
    (folder / "scores.json").write_text(json.dumps(scores))
    (folder / "recipe.toml").write_text('name = "x"\nabout = "<script>alert(2)</script>{{ 7*7 }}\\u0007"\n[[stage]]\n')
    page = write_report(folder).read_text(encoding="utf-8")
    tags = Tags(page)
    assert tags.open == [] and not {"script", "img"} & {tag for tag, _ in tags.found}
    assert "{{ 7*7 }}" in page and "49" not in re.findall(r"alert\(1\)&lt;/script&gt;(\S{2})", page)
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page)
    assert "cut here: 2,000 of 1,000,003 characters are shown" in page and len(page) < 1_000_000


def test_the_kitchen_is_shown(tmp_path: Path) -> None:
    page = write_report(write_kitchen(write_run(tmp_path / "kitchen"))).read_text(encoding="utf-8")
    tags = Tags(page)
    ids = [a["id"] for _, a in tags.found if "id" in a]
    assert tags.open == [] and len(ids) == len(set(ids))
    assert re.findall(r'<section id="(\w+)"', page)[-2:] == ["kitchen", "run"]
    assert {"Taken, kept and dropped", "What the instructions begin with"} <= set(figure_titles(page))
    assert "<b>too similar</b>" in page and "expand in new instructions (round 2, teacher)" in page
    bare = write_report(write_run(tmp_path / "bare")).read_text(encoding="utf-8")
    assert "kitchen" not in re.findall(r'<section id="(\w+)"', bare) and len(page) - len(bare) < 120_000


def test_a_comparison_shows_the_kitchen_of_the_run_that_asked_first(tmp_path: Path) -> None:
    folder = write_compare(tmp_path / "c", {"sft": 0.9, "kd": 1.0}, (1,))
    write_kitchen(folder / "sft-1")
    assert '<section id="kitchen"' in write_report(folder).read_text(encoding="utf-8")


def test_a_damaged_kitchen_is_a_notice(tmp_path: Path) -> None:
    folder = write_kitchen(write_run(tmp_path / "damaged"))
    (folder / "elicit" / "steps.json").write_text('[{"step": "rul')
    (folder / "elicit" / "dropped.jsonl").write_text("{broken\n")
    page = write_report(folder).read_text(encoding="utf-8")
    assert "elicit/steps.json cannot be read" in page and "elicit/dropped.jsonl has 1 lines" in page
    assert '<section id="kitchen"' not in page


def test_what_the_kitchen_holds_is_data(tmp_path: Path) -> None:
    folder = write_kitchen(write_run(tmp_path / "hostile"))
    steps = [account(HOSTILE, HOSTILE + str(i), HOSTILE, took=9, kept=4, dropped={HOSTILE: 5}, notes=[HOSTILE * 999],
                     role=HOSTILE, asked=3) for i in range(60)]  # fmt: skip
    (folder / "elicit" / "steps.json").write_text(json.dumps(steps))
    record = {"messages": [{"role": HOSTILE, "content": HOSTILE}], "lineage": [{"operation": HOSTILE, "role": HOSTILE}]}
    record |= {"responses": [{"source": HOSTILE, "text": "y" * 1_000_000}], "fields": {HOSTILE: {HOSTILE: [HOSTILE]}}}
    dropped = [{"step": s["step"], "reason": HOSTILE, "record": record} for s in steps]
    (folder / "elicit" / "dropped.jsonl").write_text("".join(json.dumps(d) + "\n" for d in dropped))
    fields = {"instruction": HOSTILE, "similarity": 0.4}
    (folder / "records.jsonl").write_text("".join(json.dumps(record | {"fields": fields}) + "\n" for _ in range(30)))
    page = write_report(folder).read_text(encoding="utf-8")
    tags = Tags(page)
    assert tags.open == [] and not {"script", "img"} & {tag for tag, _ in tags.found}
    assert "{{ 7*7 }}" in page and "&lt;script&gt;alert(1)" in page
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page) and len(page) < 1_000_000


def test_the_same_folder_is_the_same_page(tmp_path: Path) -> None:
    folder = write_unfinished(tmp_path / "same")
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    assert not list(folder.glob(".*.tmp")), "nothing else is left behind"
