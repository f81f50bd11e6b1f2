"""The keys below `retention`: what `gc` keeps. What serves and what a rollback goes back to is kept whatever stands here."""

from mmcicd_jenkins.config.section import Duration, Section, Whole, key


class RetentionSection(Section):
    """What `gc` keeps. The ledger keeps its records for ever."""

    releases: Whole | None = key(
        None,
        "So many of the newest releases of a model keep their image, and of those that served in an environment as "
        "many again. Default: all of them.",
        10,
        ge=1,
        le=1_000_000,
    )
    runs: Duration = key(
        "30d",
        "How long a run stays that no kept release came of, and what was made for it. The newest always stays.",
        "90d",
    )
    branches: Duration = key("7d", "The same for runs of branches and pull requests.", "14d")
    minimum: Duration = key("1d", "Nothing younger than this is removed, by whatever rule.", "6h")
