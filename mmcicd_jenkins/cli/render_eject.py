"""Copy templates of ours into a repository, whose team owns them from then on."""

from collections.abc import Sequence
from pathlib import Path

from mmcicd_jenkins.adapters import generated_files as disk
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.render.files import OWN_TEMPLATES, template_bytes

EJECT_HELP = f"Copy the templates into {OWN_TEMPLATES}/, where your changes win over ours."


def eject(root: Path, templates: Sequence[str], names: Sequence[str], *, as_json: bool) -> int:
    """Copy those that the team does not own yet; one that it owns is never touched.

    Args:
        names: only these of `templates`, without folder and ending; () is all.

    Raises:
        UsageError: there is none of that name.
    """
    known = {Path(template).stem: template for template in templates}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(
            f"there is no template {unknown[0]!r}", fix="--template " + " or --template ".join(known)
        )
    copied = []
    for template in [known[name] for name in names] or templates:
        path = f"{OWN_TEMPLATES}/{template}"
        if not disk.read_present(root, [path]):
            disk.write_whole(root / path, template_bytes(template))
            copied.append(path)
    if as_json:
        report.emit({"copied": copied})
        return 0
    for path in copied:
        report.say(f"copied {path}: it is yours now and used instead of ours")
    if not copied:
        report.say(f"Nothing to copy: {OWN_TEMPLATES}/ has them already.")
    return 0
