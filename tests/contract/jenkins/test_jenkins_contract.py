"""What we rely on of a controller. The same tests run on the stand-in and on a real one (see conftest).

Items: created once, listed with their description, redacted of nothing, replaced whole, never of another type.
Builds: started with and without parameters, followed, ended; questions listed, answered, refused.
Refusals: told apart.
"""

import time

import pytest
from jenkins_standin import Ask, Say, Script

from mmcicd_jenkins.adapters.jenkins.account import Account
from mmcicd_jenkins.adapters.jenkins.items import Items
from mmcicd_jenkins.adapters.jenkins.server import Server
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.render.job_plan import dropped
from mmcicd_jenkins.render.job_xml import leaf, node, parse, written
from mmcicd_jenkins.stages.build_log import BuildLog

FOLDER = "com.cloudbees.hudson.plugins.folder.Folder"
HOSTILE = "<b>'\"&; $(id) ]]> ünï \N{FIRE}\n\ttwo lines"


def eventually(look, seconds: float = 60.0):
    """The first answer that is not None. A real controller takes its time; the stand-in none."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


def begun(house, job: str, parameters: dict[str, str] | None = None) -> int:
    queued = house.builds.start(job, parameters or {})
    assert queued is not None
    return eventually(lambda: house.builds.queued(queued.id).number)


def whole_log(house, job: str, number: int) -> str:
    text, at = b"", 0
    while True:
        part = house.builds.log(job, number, at)
        text, at = text + part.text, part.next
        if not part.more:
            # What is counted is the log as it is stored; what is sent has the line ends of the web.
            assert at == len(text.replace(b"\r\n", b"\n"))
            return text.decode()
        time.sleep(0.1)


def question(house, job: str, number: int):
    def look():
        house.builds.log(job, number, 0)
        pending = house.inputs.pending(job, number)
        assert pending is not None, "the plugin pipeline-rest-api is missing"
        return pending[0] if pending else None

    return eventually(look)


# --- items


def test_an_item_is_created_once_and_listed_with_its_description(house) -> None:
    path = f"{house.folder}/a"
    xml = written(node(FOLDER, leaf("description", HOSTILE)))
    assert house.items.create(path, xml)
    assert not house.items.create(path, written(node(FOLDER)))
    (listed,) = house.items.children(house.folder)
    assert (listed.name, listed.java_class, listed.description) == ("a", FOLDER, HOSTILE)
    assert parse(house.items.config(path)).findtext("description") == HOSTILE


def test_what_is_not_there_is_none_and_no_failure(house) -> None:
    assert house.items.children(f"{house.folder}/nothing") is None
    assert house.items.config(f"{house.folder}/nothing") is None
    assert house.builds.start(f"{house.folder}/nothing", {}) is None
    assert not house.builds.exists(f"{house.folder}/nothing")
    assert house.builds.build(f"{house.folder}/nothing", 1) is None
    house.items.delete(f"{house.folder}/nothing")
    with pytest.raises(InputError):
        house.items.create(f"{house.folder}/nothing/a", written(node(FOLDER)))


def test_an_item_is_replaced_whole_and_keeps_its_type(house) -> None:
    path = f"{house.folder}/a"
    house.items.create(path, written(node(FOLDER, leaf("description", "one"))))
    house.items.update(path, written(node(FOLDER, leaf("displayName", "A"))))
    assert parse(house.items.config(path)).findtext("displayName") == "A"
    assert not parse(house.items.config(path)).findtext("description")
    with pytest.raises(OutsideFailed, match="500"):
        house.items.update(path, written(node("flow-definition")))
    with pytest.raises(OutsideFailed, match="500"):
        house.items.update(path, "<not-closed>")
    assert parse(house.items.config(path)).findtext("displayName") == "A"


def test_elements_of_a_plugin_that_is_missing_are_dropped_without_a_word(house) -> None:
    path = f"{house.folder}/a"
    tree = node(FOLDER, node("properties", node("org.example.Unknown", leaf("x", "1"))))
    assert house.items.create(path, written(tree))

    class Posted:
        def __init__(self) -> None:
            self.tree = tree

    (lost,) = dropped(Posted(), house.items.config(path))
    assert lost.place == "properties/org.example.Unknown"


def test_an_item_that_is_deleted_is_gone(house) -> None:
    house.items.create(f"{house.folder}/a", written(node(FOLDER)))
    house.items.delete(f"{house.folder}/a")
    assert house.items.children(house.folder) == ()


# --- builds


def test_a_build_without_parameters_is_followed_to_its_end(house) -> None:
    script = Script([Say("[Pipeline] stage\n[Pipeline] { (Try)\n"), Say("hello\n[Pipeline] }\n")])
    job = house.job("plain", "stage('Try') { echo 'hello' }", script)
    number = begun(house, job)
    log = BuildLog()
    lines, events = log.feed(whole_log(house, job, number).encode())
    assert "hello" in lines
    assert [(e.kind, e.text) for e in events] == [("stage", "Try"), ("end", "Try")]
    state = house.builds.build(job, number)
    assert (state.number, state.result) == (number, "SUCCESS")
    assert house.builds.build(job).number == number


def test_parameters_reach_the_build_and_no_address(house) -> None:
    job = house.job(
        "with", "echo 'got ' + params.WORDS", Script([Say("got a b&c=d/'e'\n")]), parameters=("WORDS",)
    )
    number = begun(house, job, {"WORDS": "a b&c=d/'e'"})
    assert "got a b&c=d/'e'" in whole_log(house, job, number)
    if house.standin:
        assert not any("WORDS" in path for _, path, _ in house.standin.requests)


def test_a_job_with_parameters_starts_without_any(house) -> None:
    job = house.job("with", "echo 'done'", Script([Say("done\n")]), parameters=("WORDS",))
    assert "done" in whole_log(house, job, begun(house, job))


def test_a_failed_build_says_so(house) -> None:
    job = house.job(
        "bad", "error('exit code 7; broken')", Script([Say("ERROR: exit code 7; broken\n")], "FAILURE")
    )
    number = begun(house, job)
    _, events = BuildLog().feed(whole_log(house, job, number).encode())
    assert [(e.kind, e.number) for e in events] == [("code", 7)]
    assert house.builds.build(job, number).result == "FAILURE"


def test_a_running_build_is_stopped(house) -> None:
    job = house.job("long", "input(id: 'wait', message: 'wait')", Script([Ask("wait", "wait")]))
    number = begun(house, job)
    question(house, job, number)
    assert house.builds.build(job, number).result == ""
    house.builds.stop(job, number)
    assert eventually(lambda: house.builds.build(job, number).result or None) == "ABORTED"


# --- questions

ASK = """def a = input(id: 'go', message: 'Where to?', parameters: [
  choice(name: 'TARGET', choices: 'staging\\nproduction'), string(name: 'REASON', defaultValue: 'none')])
echo 'went to ' + a.TARGET + ' because ' + a.REASON"""


def asking(house):
    script = Script(
        [Ask("go", "Where to?", parameters={"TARGET": ["staging", "production"], "REASON": "none"}),
         Say("went to production because of 'me'\n")],
    )  # fmt: skip
    job = house.job("asks", ASK, script)
    number = begun(house, job)
    return job, number, question(house, job, number)


def test_a_question_is_listed_with_its_choices(house) -> None:
    job, number, pending = asking(house)
    assert pending.id == "Go"
    assert pending.message == "Where to?"
    target, reason = pending.questions
    assert (target.name, target.choices) == ("TARGET", ("staging", "production"))
    assert (reason.name, reason.choices, reason.default) == ("REASON", (), "none")
    house.inputs.abort(job, number, "Go")


def test_an_answer_reaches_the_build(house) -> None:
    job, number, _ = asking(house)
    house.inputs.proceed(job, number, "go", {"TARGET": "production", "REASON": "of 'me'"})
    assert "went to production because of 'me'" in whole_log(house, job, number)
    assert house.builds.build(job, number).result == "SUCCESS"


def test_a_wrong_answer_leaves_the_question_open(house) -> None:
    job, number, pending = asking(house)
    with pytest.raises(InputError, match="does not take this answer"):
        house.inputs.proceed(job, number, pending.id, {"TARGET": "moon", "REASON": ""})
    with pytest.raises(InputError, match="does not take this answer"):
        house.inputs.proceed(job, number, pending.id, {"PLACE": "moon"})
    with pytest.raises(InputError):
        house.inputs.proceed(job, number, "another", {"TARGET": "staging"})
    assert house.inputs.pending(job, number)[0].id == "Go"
    house.inputs.abort(job, number, pending.id)


def test_no_ends_the_build(house) -> None:
    job, number, pending = asking(house)
    house.inputs.abort(job, number, pending.id)
    assert eventually(lambda: house.builds.build(job, number).result or None) == "ABORTED"


# --- refusals


def test_a_wrong_token_is_told_as_one(house) -> None:
    stranger = Items(
        Server(Account(url=house.account.url, user=house.account.user, token="11wrong"), tries=1)
    )
    with pytest.raises(OutsideFailed, match="does not know"):
        stranger.children(house.folder)


def test_nobody_in_particular_may_not_look(house) -> None:
    stranger = Items(Server(Account(url=house.account.url), tries=1))
    with pytest.raises((OutsideFailed, InputError)):
        stranger.create(f"{house.folder}/x", written(node(FOLDER)))


def test_the_controller_says_who_we_are_and_what_it_has(house) -> None:
    assert house.facts.account() == house.account.user
    assert "workflow-job" in house.facts.plugins()
