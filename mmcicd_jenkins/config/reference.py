"""The reference page of `mmcicd.yaml`, made from the schema: `python -m mmcicd_jenkins.config.reference > PAGE`.

A test compares the page in `docs/` with what is made here.
"""

import sys
from collections.abc import Iterator

from mmcicd_jenkins.config.catalogue import NAMES, Key, all_keys
from mmcicd_jenkins.config.metrics import LIVE_METRICS, METRICS
from mmcicd_jenkins.config.overrides import VARIABLES
from mmcicd_jenkins.config.schema import STAGES, FileSection
from mmcicd_jenkins.config.section import Section
from mmcicd_jenkins.config.shape import written

_INTRODUCTION = """\
# mmcicd.yaml, key by key

This page is made from the schema: `python -m mmcicd_jenkins.config.reference > docs/reference/config.md`.

The smallest file that works:

```yaml
models:
  churn:
    data:
      customers: {url: data/customers.csv, label: churned, test_size: 0.2}
    train: python train.py
    evaluate: binary
    gates:
      - roc_auc >= 0.80
```

Then `mmcicd-jenkins config check` says every mistake with its line, `mmcicd-jenkins config explain KEY` where a value
comes from, and the first line `# yaml-language-server: $schema=.mmcicd/schema.json` lets an editor complete the keys.

**How values are written.** A *duration* is a number and `ms`, `s`, `m`, `h` or `d`: `15m`. A *size* is a number and `Ki`,
`Mi`, `Gi` or `Ti`: `4Gi`. A *share* is `20%` or `0.2`. Where a list of texts is expected, one text may stand alone. Text
that YAML takes for something else needs quotes: `"1.10"`, `"no"`. Anchors, aliases, tags and duplicate keys are refused.

**Rules** (gates and canary checks) are one line: `METRIC >=|<= LIMIT [in each COLUMN | where COLUMN = VALUE]`. LIMIT is a
number with an optional unit (`%`, `ms`, `s`, `Mi`, ...), or `champion` (in gates: what production serves) or `stable` (in
canary checks: what serves beside the canary), alone or with `+`, `-` or `*` and a number.
"""


def reference() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, _metrics(), *_sections(), _variables()]
    return "\n".join(parts)


def _metrics() -> str:
    lines = ["| evaluation | metrics that its gates may name |", "|---|---|"]
    lines += [f"| `{problem}` | {_codes(names)} |" for problem, names in METRICS.items()]
    lines.append("| your own command | whatever its metrics.json holds |")
    lines.append(
        "| any | `latency_p50`, `latency_p95`, `latency_p99`, `memory`: judged by `verify` on a server |"
    )
    lines.append(f"| canary checks | {_codes(LIVE_METRICS)} |")
    return "\n".join(lines) + "\n"


def _codes(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _sections() -> Iterator[str]:
    yield _section("The whole file", FileSection, "", FileSection.__doc__ or "")
    for key in all_keys():
        if key.section:
            yield _section(_heading(key), key.section, _heading(key), _about(key))


def _heading(key: Key) -> str:
    return key.dotted + (f".{NAMES[key.name]}" if key.container else "")


def _about(key: Key) -> str:
    section = key.section
    about = (section.__doc__ or "").strip() if section else ""
    if section and section.shorthand:
        name = _heading(key).rpartition(".")[2]
        about += f" `{name}: TEXT` is short for `{name}: {{{section.shorthand}: TEXT}}`."
    return about


def _section(title: str, section: type[Section], prefix: str, about: str) -> str:
    rows = [key for key in all_keys() if _parent(key) == prefix and key.name in section.fields]
    lines = [
        f"## {title}",
        "",
        about.strip(),
        "",
        "| key | kind | default | example | what it is for |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(key) for key in rows]
    return "\n".join(lines) + "\n"


def _parent(key: Key) -> str:
    """The heading under which a key stands."""
    return ".".join(str(part) for part in key.path[:-1])


def _row(key: Key) -> str:
    default = "required" if key.is_required else _default(key)
    example = f"`{key.name}: {written(key.example)}`"
    name = f"[`{key.name}`](#{_anchor(_heading(key))})" if key.section else f"`{key.name}`"
    cells = (name, _kind(key), default, example, key.meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind(key: Key) -> str:
    if key.allowed:
        return "one of " + _codes(key.allowed)
    return key.words


def _default(key: Key) -> str:
    if key.default is None or key.default in ({}, []):
        return "see right" if "Default:" in key.meaning else "none" if key.default is None else "empty"
    return f"`{written(key.default)}`"


def _anchor(title: str) -> str:
    """The fragment that the usual renderers of Markdown make of a heading."""
    return title.lower().replace(".", "")


def _variables() -> str:
    lines = [
        "## From outside the file",
        "",
        "Default < file < environment < flag. Only what differs from machine to machine can be set so; `NAME` is the",
        "environment's name in capitals, with `_` for `-`. `config explain KEY` shows which of them won.",
        "",
        "| key | variable |",
        "|---|---|",
    ]
    lines += [f"| `{key.replace('*', 'NAME')}` | `{variable}` |" for key, variable in VARIABLES.items()]
    lines += ["", f"Stages that `hooks` and `jenkins.agents` may name: {_codes(STAGES)}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(reference())
