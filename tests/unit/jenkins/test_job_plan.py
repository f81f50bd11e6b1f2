"""What would be done to the jobs on Jenkins: never more than is needed, never to what is not ours.

Unchanged; changed in the file; changed on Jenkins; somebody else's; another repository's; another type; adopted.
What is brought together keeps credentials, views and what people switched; the lists that we own are whole.
"""

import pytest

from mmcicd_jenkins.render.job_compare import differences, merged
from mmcicd_jenkins.render.job_items import CLASSES, desired_items
from mmcicd_jenkins.render.job_plan import Live, orphans, plan
from mmcicd_jenkins.render.job_sources import source_of
from mmcicd_jenkins.render.job_xml import parse, read_mark

OURS = "453858c7-9b1d-5a12-8b6c-2fb3fafd423a"


def live(item, xml: str | None = None, description: str | None = None, java_class: str = "") -> Live:
    told = item.tree.findtext("description") if description is None else description
    return Live(path=item.path, java_class=java_class or CLASSES[item.kind], description=told, xml=xml)


@pytest.fixture
def wanted(make_config):
    config = make_config()
    identity = source_of(config.jenkins, "").identity
    items = {item.path: item for item in desired_items(config)}
    return items["ml/ops/churn-promote"], items["ml/ops"], identity


def one(item, there, identity, **options):
    (action,) = plan([item], {item.path: there} if there else {}, identity, **options)
    return action


def test_what_is_not_there_is_created(wanted) -> None:
    job, _, identity = wanted
    assert one(job, None, identity).do == "create"


def test_what_carries_our_mark_is_unchanged_and_nothing_is_fetched(wanted) -> None:
    job, _, identity = wanted
    assert one(job, live(job), identity).do == "unchanged"


def test_what_is_unchanged_may_still_have_been_edited(wanted) -> None:
    job, _, identity = wanted
    assert one(job, live(job, job.xml), identity).do == "unchanged"
    edited = job.xml.replace("<sandbox>true", "<sandbox>false").replace("refs/heads/main", "refs/heads/evil")
    action = one(job, live(job, edited), identity)
    assert (action.do, action.reason) == ("update", "changed on Jenkins")
    assert [(d.wanted, d.found) for d in action.differences] == [("refs/heads/main", "refs/heads/evil")]


def test_other_words_in_the_description_are_no_reason_to_post(wanted) -> None:
    job, _, identity = wanted
    words = "Somebody's words. " + job.tree.findtext("description").partition("\n\n")[2]
    assert one(job, live(job, job.xml, words), identity).do == "unchanged"


def test_something_that_we_no_longer_want_is_posted_away(wanted) -> None:
    job, _, identity = wanted
    old = live(job, job.xml, job.tree.findtext("description").replace(job.digest, "0" * 64))
    assert one(job, old, identity).do == "update"


def test_a_change_in_the_file_is_posted(wanted) -> None:
    job, _, identity = wanted
    xml = job.xml.replace("<name>REASON</name>", "<name>WHY</name>")
    action = one(
        job, live(job, xml, job.tree.findtext("description").replace(job.digest, "0" * 64)), identity
    )
    assert (action.do, action.reason) == ("update", "mmcicd.yaml changed")
    assert action.differences


@pytest.mark.parametrize("description", ["by hand", ""])
def test_what_we_did_not_make_is_refused_unless_adopted(wanted, description) -> None:
    job, folder, identity = wanted
    assert one(job, live(job, description=description), identity).do == "refuse"
    assert one(folder, live(folder, description=description), identity).do == "keep"
    assert one(job, live(job, description=description), identity, adopt=True).do == "update"


def test_what_another_repository_made_is_not_ours(wanted) -> None:
    job, folder, _ = wanted
    action = one(job, live(job), OURS)
    assert action.do == "refuse"
    assert "another repository" in action.reason
    assert one(folder, live(folder), OURS).do == "keep"


def test_the_type_of_an_item_never_changes_even_when_adopting(wanted) -> None:
    job, _, identity = wanted
    action = one(job, live(job, java_class="hudson.model.FreeStyleProject"), identity, adopt=True)
    assert action.do == "refuse"
    assert "FreeStyleProject" in action.reason


def test_xml_that_cannot_be_read_is_one_items_trouble(wanted) -> None:
    job, _, identity = wanted
    assert one(job, live(job, "<a>\x01</a>"), identity).do == "refuse"


def test_only_our_jobs_that_nobody_wants_are_orphans(wanted) -> None:
    job, folder, identity = wanted
    there = {
        path: Live(path=path, java_class=kind, description=words)
        for path, kind, words in (
            (job.path, CLASSES["pipeline"], job.tree.findtext("description")),
            ("ml/ops/old-promote", CLASSES["pipeline"], job.tree.findtext("description")),
            ("ml/ops/by-hand", CLASSES["pipeline"], "mine"),
            ("ml/ops/theirs", CLASSES["pipeline"], job.tree.findtext("description").replace(identity, OURS)),
            ("ml/old", CLASSES["folder"], folder.tree.findtext("description")),
        )
    }
    assert orphans([job, folder], there, identity) == ("ml/ops/old-promote",)


# --- comparing and bringing together


def test_more_than_we_wrote_is_no_difference() -> None:
    ours = parse("<p><properties/><a>1</a></p>")
    theirs = parse("<p><x/><properties><y/></properties><a>1</a><disabled>true</disabled></p>")
    assert differences(ours, theirs) == ()


def test_in_a_list_that_we_own_more_is_a_difference() -> None:
    tag = "com.cloudbees.hudson.plugins.folder.properties.AuthorizationMatrixProperty"
    ours = parse(f"<f><properties><{tag}><permission>Build:a</permission></{tag}></properties></f>")
    theirs = parse(
        f"<f><properties><{tag}><permission>Configure:mallory</permission><permission>Build:a</permission>"
        f"</{tag}></properties></f>"
    )
    (found,) = differences(ours, theirs)
    assert found.found == "Configure:mallory"
    assert found.wanted == ""


def test_the_order_of_equals_is_no_difference() -> None:
    ours = parse("<t><traits><a>1</a><a>2</a></traits></t>")
    assert differences(ours, parse("<t><traits><a>2</a><a>1</a></traits></t>")) == ()
    assert len(differences(ours, parse("<t><traits><a>2</a></traits></t>"))) == 1


def test_a_missing_element_names_its_plugin() -> None:
    tag = "org.jenkinsci.plugins.githubScmTraitNotificationContext.NotificationContextTrait"
    ours = parse(f"<t><traits><{tag}><typeSuffix>true</typeSuffix></{tag}></traits></t>")
    (found,) = differences(ours, parse("<t><traits/></t>"))
    assert found.plugin == "github-scm-trait-notification-context"


def test_a_parameter_that_we_took_away_is_a_difference() -> None:
    tag = "hudson.model.ParametersDefinitionProperty"
    theirs = parse(f"<p><properties><{tag}/></properties></p>")
    assert len(differences(parse("<p><properties/></p>"), theirs)) == 1
    assert merged(parse("<p><properties/></p>"), theirs).find(f"properties/{tag}") is None


def test_what_is_none_of_our_business_is_kept() -> None:
    theirs = parse(
        "<f plugin='x'><properties><creds><secret>{AQ}</secret></creds><own>old</own></properties>"
        "<views><v/></views><disabled>true</disabled><a>old</a></f>"
    )
    made = merged(parse("<f><properties><own>new</own></properties><a>new</a></f>"), theirs)
    assert made.findtext("properties/creds/secret") == "{AQ}"
    assert [e.text for e in made.iterfind("properties/own")] == ["new"]
    assert made.find("views/v") is not None
    assert made.findtext("disabled") == "true"
    assert [e.text for e in made.iterfind("a")] == ["new"]
    without = merged(parse("<f><a>new</a></f>"), theirs)
    assert without.findtext("properties/creds/secret") == "{AQ}"


def test_bringing_together_leaves_no_difference_and_is_done_once(wanted) -> None:
    job, _, _ = wanted
    edited = parse(job.xml.replace("refs/heads/main", "refs/heads/evil"))
    made = merged(job.tree, edited)
    assert differences(job.tree, made) == ()
    assert read_mark(made.findtext("description")).digest == job.digest
