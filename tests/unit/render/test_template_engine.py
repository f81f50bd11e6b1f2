"""A template cannot let a value through unescaped, reach outside its folder, or fail without its place."""

from pathlib import Path

import pytest

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.render.engine import Language, render
from mmcicd_jenkins.render.files import template_bytes

NAME = "jenkinsfile/ci.j2"


def render_own(tmp_path: Path, text: str, language: Language = "groovy", **values: object) -> str:
    """Render `text` as a team's own copy of one of our templates."""
    file = tmp_path / NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return render(NAME, language, values, tmp_path)


def test_a_value_passes_only_through_a_filter(tmp_path: Path) -> None:
    assert render_own(tmp_path, "sh {{ cmd | groovy }}\n", cmd="rm '; evil()") == "sh 'rm \\'; evil()'\n"

    with pytest.raises(InputError) as caught:
        render_own(tmp_path, "first\nsh '{{ cmd }}'\n", cmd="rm")

    assert caught.value.where == f"{tmp_path / NAME}:2"
    assert "without a language filter" in caught.value.why


@pytest.mark.parametrize("text", ["{{ 'a' }}", "{{ 1 }}", "{{ a ~ b }}", "{{ a | shell }}", "{{ [a] }}"])
def test_nothing_else_passes(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        render_own(tmp_path, text, a="x", b="y")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\n\n{{ missing | groovy }}", "'missing' is undefined"),
        ("\n\n{{ a.missing | groovy }}", "missing"),
        ("\n\n{{ missing }}", "'missing' is undefined"),
        ("\n\n{% for x in missing %}{% endfor %}", "'missing' is undefined"),
        ("\n\n{% if missing.thing %}{% endif %}", "'missing' is undefined"),
        ("\n\n{{ a | nope }}", "nope"),
        ("\n\n{% if %}", "Expected an expression"),
        ("\n\n{{ a | groovy", "unexpected end of template"),
        ("\n\n{{ 1 / 0 }}", "division by zero"),
    ],
)
def test_a_mistake_names_template_and_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        render_own(tmp_path, text, a="x")

    assert caught.value.where == f"{tmp_path / NAME}:3"
    assert why in caught.value.why


@pytest.mark.parametrize(
    "text",
    [
        "{{ a.__class__.__mro__ | groovy }}",
        "{{ ''['__class__'] | groovy }}",
        "{{ self.__init__.__globals__ | groovy }}",
        "{{ cycler | groovy }}",
        "{{ a.append('x') | groovy }}",
    ],
)
def test_the_sandbox_holds(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        render_own(tmp_path, text, a=["x"])


@pytest.mark.parametrize(
    "other", ["../ci.j2", "/etc/hostname", "jenkinsfile/../../x", "nope.j2", "jenkinsfile", ""]
)
def test_a_template_reaches_only_templates(tmp_path: Path, other: str) -> None:
    with pytest.raises(InputError):
        render_own(tmp_path, f"{{% include '{other}' %}}")


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("token", encoding="utf-8")
    own = tmp_path / "own"
    (own / "jenkinsfile").mkdir(parents=True)
    (own / NAME).symlink_to(secret)

    with pytest.raises(InputError):
        render(NAME, "groovy", {}, own)


def test_a_binary_or_huge_template_is_told(tmp_path: Path) -> None:
    file = tmp_path / NAME
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError):
        render(NAME, "groovy", {}, tmp_path)
    file.write_bytes(b" " * (1 << 21))
    with pytest.raises(InputError):
        render(NAME, "groovy", {}, tmp_path)


def test_shell_parameter_lengths_are_no_comments(tmp_path: Path) -> None:
    assert render_own(tmp_path, "n=${#words[@]} {!-- gone --!}x\n", "shell") == "n=${#words[@]} x\n"


def test_only_what_is_there_is_read_from_the_team(tmp_path: Path) -> None:
    """The team owns one template; the parts that it includes are still ours."""
    text = "{% set stage = {'agent': {'label': 'x', 'yaml': ''}} %}{% include 'jenkinsfile/agent.j2' %}"

    assert "label 'x'" in render_own(tmp_path, text)


def test_template_bytes_stay_inside() -> None:
    assert template_bytes(NAME)
    with pytest.raises(Exception, match=r"\.\."):
        template_bytes("../setup.cfg")
