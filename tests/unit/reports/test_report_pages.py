"""The pages: they render under Jenkins' default policy, nothing hostile becomes markup, the same bytes each time."""

import dataclasses
import html.parser
import os
import re
import subprocess
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from evaluations import binary, curves, record
from tables import measured

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.release.measures import Measure, Measures
from mmcicd_jenkins.reports.curves_file import read_curves
from mmcicd_jenkins.reports.writing import ReportFiles, write_report

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></svg><svg onload=x>",
    "{{ 7 * 7 }}{% raw %}",
    "\x00\x1b[2J\u202eevil\ud800",
    "@everyone [x](http://x) `|\n|#1",
    "-->]]>&amp;'\"",
    "x" * 5000,
    " ",
]


class Elements(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(folder):
    return Elements((folder / "report.html").read_text(encoding="utf-8"))


def check_page(folder):
    """Everything that Jenkins' policy and a person without a mouse ask for."""
    page = read(folder)
    assert page.open == []
    assert {tag for tag, _ in page.found} <= {
        "html", "head", "meta", "title", "link", "body", "header", "div", "p", "h1", "h2", "h3", "span", "ul", "li",
        "main", "section", "table", "caption", "thead", "tbody", "tr", "th", "td", "code", "figure", "img", "figcaption",
        "dl", "dt", "dd", "details", "summary", "footer",
    }  # fmt: skip
    for tag, attributes in page.found:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
        for name in ("src", "href"):
            if name in attributes:
                assert re.fullmatch(r"report(\.css|/[a-z]+(-\d+)?\.svg)", attributes[name])
                assert (folder / attributes[name]).is_file()
        if tag == "img":
            assert len(attributes["alt"]) > 10
            assert attributes["width"].isdecimal()
        if tag == "th":
            assert attributes["scope"] in {"row", "col"}
    return page


def check_images(folder):
    for image in (folder / "report").glob("*"):
        root = ET.fromstring(image.read_bytes())  # noqa: S314  we wrote it
        for element in root.iter():
            tag = element.tag.rpartition("}")[2]
            assert tag in {"svg", "title", "rect", "polyline", "circle", "text"}
            assert not {"style", "href", "class", "onload"} & set(element.attrib)
            assert not any("nan" in v or "inf" in v for k, v in element.attrib.items() if k != "font-family")


def test_a_whole_report(tmp_path):
    rules = ("recall >= 0.99", "roc_auc >= champion - 0.5", "recall >= 0.1 in each country")
    paths = write_report(tmp_path, binary(tmp_path, rules, curves=curves(tmp_path)))
    assert paths[-1] == tmp_path / "report.html"
    assert {p.relative_to(tmp_path).as_posix() for p in paths} == {
        "report.html", "report.css", "report.md", "gates.xml", "report/confusion.svg", "report/roc.svg", "report/pr.svg",
        "report/calibration.svg", "report/slices-1.svg", "report/curve-1.svg", "report/curve-2.svg",
    }  # fmt: skip
    text = " ".join("".join(check_page(tmp_path).text).split())
    for part in (
        "refused",
        "recall 0.",
        "short by 0.",
        "champion 7 has",
        "e81d03a",
        "keras==3.1",
        "By country",
    ):
        assert part in text
    check_images(tmp_path)


def test_the_same_record_gives_the_same_bytes_and_no_stale_image_stays(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    made = binary(tmp_path, curves=curves(tmp_path))
    write_report(one, made)
    write_report(other, made)
    assert all(
        (other / p.relative_to(one)).read_bytes() == p.read_bytes() for p in one.rglob("*") if p.is_file()
    )
    write_report(one, dataclasses.replace(made, curves=None))
    assert not (one / "report" / "curve-1.svg").exists()
    check_page(one)


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_names_stay_text_everywhere(tmp_path, value):
    storable = value.encode("utf-8", "replace").decode().replace("\x00", "")
    made = binary(tmp_path, countries=(storable, "DE"), classes=(storable.strip() or "no", "yes"))
    made = dataclasses.replace(
        made,
        model=value,
        lineage={value: value, "branch": value},
        environment=(value,),
        gates=dataclasses.replace(made.gates, reason=value),
    )
    write_report(tmp_path, made)
    check_page(tmp_path)
    check_images(tmp_path)
    ET.fromstring((tmp_path / "gates.xml").read_bytes())  # noqa: S314  we wrote it
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<script" not in markdown
    assert "onerror=alert(1)>" not in markdown
    assert not re.search(r"@\w", markdown)
    assert "](http" not in markdown
    assert all(c in "\n\t" or c >= " " for c in markdown)


def test_every_markdown_table_is_whole(tmp_path):
    write_report(tmp_path, binary(tmp_path, countries=("a|b", "c\nd", "`e`")))
    for block in (tmp_path / "report.md").read_text().split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_a_first_release_has_no_champion_column(tmp_path):
    made = binary(tmp_path)
    write_report(
        tmp_path, record((made.measures, made.report, {}), ("recall >= 0.1", "recall >= champion - 0.1"))
    )
    text = "".join(check_page(tmp_path).text)
    assert "not counted" in text
    assert "No champion yet" in text
    assert "Change" not in text


def test_multiclass_with_many_classes(tmp_path):
    random = np.random.default_rng(0)
    names = tuple(f"class {i:02d}" for i in range(30))
    scores = random.dirichlet(np.ones(30), 90)
    found = measured(
        tmp_path / "t.csv", {"y": [names[i % 30] for i in range(90)]}, scores, "multiclass", classes=names
    )
    write_report(tmp_path, record(found, ("accuracy >= 0.1",)))
    check_page(tmp_path)
    check_images(tmp_path)


def test_regression(tmp_path):
    found = measured(
        tmp_path / "t.csv", {"y": [*range(30)]}, [[x + 1e6 * (x == 3)] for x in range(30)], "regression"
    )
    write_report(tmp_path, record(found, ("mae <= 5",)))
    assert (tmp_path / "report" / "predicted.svg").is_file()
    check_page(tmp_path)
    check_images(tmp_path)


def test_nan_scores_are_told_in_a_warning(tmp_path):
    found = measured(
        tmp_path / "t.csv",
        {"y": ["0", "1"] * 20},
        [[float("nan")]] + [[0.4]] * 39,
        "binary",
        classes=("0", "1"),
    )
    write_report(tmp_path, record(found, ("accuracy >= 0.1",)))
    text = "".join(check_page(tmp_path).text)
    assert "1 rows got a score that is not a usable number" in text
    assert "NaN" in text
    check_images(tmp_path)


def test_the_teams_own_metrics_need_no_report_document(tmp_path):
    measures = Measures(
        overall={"bleu": Measure(value=31.2, samples=100), "odd": Measure(value=float("inf"), samples=100)},
        slices={"language": {"pt": {"bleu": Measure(value=float("nan"), samples=10)}, "de": {}}},
    )
    write_report(
        tmp_path, record((measures, {}, {}), ("bleu >= 30", "odd <= 3", "bleu >= 3 in each language"))
    )
    text = "".join(check_page(tmp_path).text)
    assert "31.200" in text
    assert "As the team's own evaluation measured them" in text
    check_images(tmp_path)


def test_very_many_gate_outcomes_show_those_that_did_not_pass(tmp_path):
    values = {
        f"v{i:03d}": {"recall": Measure(value=0.4 if i == 290 else 0.9, samples=50)} for i in range(300)
    }
    measures = Measures(overall={"recall": Measure(value=0.9, samples=900)}, slices={"c": values})
    write_report(tmp_path, record((measures, {}, {}), ("recall >= 0.5 in each c",)))
    text = "".join(check_page(tmp_path).text)
    assert "c=v290" in text
    assert "100 more outcomes are in gates.xml" in text
    assert len((tmp_path / "report.md").read_text()) < 65_536


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        '{"epoch": 1}',
        "[1]",
        '{"loss": "x", "val_loss": null, "auc": true}',
        '{"epoch": 0, "loss": 1}\n{"epoch": 1, "loss": NaN}\n{"epoch": 2, "loss": 0.5}\n{"epo',
        '{"loss": 1e999}\n{"loss": 1}\n{"loss": -1e400}',
        '{"epoch": 5, "loss": 3}\n{"epoch": 5, "loss": 3}',
        "\x00\xff{}\n" + "[" * 10_000,
    ],
)
def test_curves_of_any_kind_never_spoil_a_report(tmp_path, text):
    path = tmp_path / "metrics.jsonl"
    path.write_text(text, encoding="latin-1")
    write_report(tmp_path, binary(tmp_path, curves=path))
    check_page(tmp_path)
    check_images(tmp_path)


def test_curves_pair_training_with_validation(tmp_path):
    axis, found = read_curves(curves(tmp_path))
    assert axis == "epoch"
    assert [(c.name, len(c.train), len(c.validation)) for c in found] == [("loss", 4, 4), ("auc", 4, 0)]
    assert read_curves(tmp_path / "nowhere") == ("epoch", ())


def test_what_a_killed_process_left_is_swept(tmp_path):
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    (tmp_path / "report").mkdir()
    dead = [tmp_path / f".report.html.{child.pid}.part", tmp_path / "report" / f".roc.svg.{child.pid}.part"]
    mine = tmp_path / f".other.{os.getpid()}.part"
    for path in (*dead, mine):
        path.write_text("half")
    write_report(tmp_path, binary(tmp_path))
    assert [path.exists() for path in (*dead, mine)] == [False, False, True]


def test_a_folder_that_cannot_be_written_is_an_outside_failure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideFailed) as caught:
        ReportFiles().write(tmp_path / "file", binary(tmp_path))
    assert caught.value.exit_code == 5
