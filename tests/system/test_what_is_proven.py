"""A switch asks first: where signatures are needed, a release that is not what was released goes nowhere."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paper import FileTarget, commit, make_repository, on_paper
from test_killed_anywhere import drive, end_state, update_lock, walk
from test_moves_that_meet import Client

from mmcicd_jenkins.adapters.signing import make_key
from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.release.statements import KINDS
from mmcicd_jenkins.stages import run_stage
from mmcicd_jenkins.wiring import open_bench


def key(base):
    return str(base / "signing.pem")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """1 serves everywhere, 2 in staging; every event and statement is signed by the laptop's key."""
    base = tmp_path_factory.mktemp("proven")
    make_repository(base / "repo")
    made = make_key(base / "repo", Path(key(base)), zone="laptop", comment="ada")
    assert made.added
    update_lock(base)
    commit(base / "repo", "begin")
    walk(base, "road", "promote", "0.95", "road", MMCICD_SIGNING_KEY=key(base))
    return base


@pytest.fixture
def base(template, tmp_path):
    shutil.copytree(template, tmp_path / "base", symlinks=True)
    return tmp_path / "base"


def bench_of(base):
    return open_bench(base / "repo", variables={**os.environ, "MMCICD_SIGNING_KEY": key(base)})


def do(base, stage, **job):
    bench = bench_of(base)
    return run_stage(stage, bench.job("double", reason="because", **job), on_paper(bench, client=Client()))


def state(base):
    found = end_state(base)
    return {k: found[k] for k in ("pointers", "events", "served")}


def release(base, version):
    return bench_of(base).ledger.release("double", version)


def blob(base, digest):
    return base / "repo.store/blobs/sha256" / digest.removeprefix("sha256:")


def spoil(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def plant(base, version, where):
    known = release(base, version)
    if where in KINDS:
        spoil(blob(base, known.attestations[where]))
    elif where == "manifest":
        spoil(blob(base, known.image_digest))
    elif where == "config":
        manifest = json.loads(blob(base, known.image_digest).read_bytes())
        spoil(blob(base, manifest["config"]["digest"]))
    elif where == "layer":
        blob(base, known.layers[0]["digest"]).unlink()
    else:
        index = base / "repo.store/index.json"
        document = json.loads(index.read_text())
        document["manifests"] = [
            m for m in document["manifests"] if m.get("artifactType") not in KINDS.values()
        ]
        index.write_text(json.dumps(document))


def test_releases_have_signed_statements_that_hold(base):
    for version in (1, 2):
        assert release(base, version).attestations.keys() == KINDS.keys()
    done = verify(base)
    assert done.returncode == 0, done.stderr
    assert "double: 2 images looked at (2 with statements), all hold" in done.stdout


@pytest.mark.parametrize("where", [*KINDS, "manifest", "config", "layer", "links"])
def test_nothing_is_promoted_that_differs(base, where):
    plant(base, 2, where)
    before = state(base)
    with pytest.raises(IntegrityFailed) as refused:
        do(base, "promote", environment="production", version=2)
    assert refused.value.exit_code == 7
    assert state(base) == before
    done = verify(base, "--json")
    assert done.returncode == 7
    told = json.loads(done.stdout)
    assert "2" in told["models"][0]["images"]["breaks"]


@pytest.mark.parametrize("where", ["release", "manifest"])
def test_nothing_is_rolled_back_to_that_differs(base, where):
    do(base, "promote", environment="production", version=2)
    plant(base, 1, where)
    before = state(base)
    with pytest.raises(IntegrityFailed):
        do(base, "rollback", environment="production")
    assert state(base) == before


def test_nothing_is_deployed_that_differs(base):
    # Staging lost what it served, so the same version is to be put there again.
    (base / "repo.serve/staging/target.json").unlink()
    plant(base, 2, "provenance")
    before = end_state_of_ledger(base)
    with pytest.raises(IntegrityFailed):
        do(base, "deploy")
    assert end_state_of_ledger(base) == before
    assert FileTarget(base / "repo.serve/staging/target.json", None).observe("double").version is None


def end_state_of_ledger(base):
    return bench_of(base).ledger.snapshot("double").head.seq


def test_a_machine_without_a_key_states_nothing_that_counts(base):
    commit(base / "repo", "another", factor_txt="0.97")
    done = drive(base, "road", MMCICD_SIGNING_KEY=str(base / "none.pem"))
    assert done.returncode == 7
    assert "has no key that mmcicd.keys trusts" in done.stderr
    assert release(base, 3) is None


def test_a_record_without_statements_counts_by_the_signature_over_the_ledger(base):
    """As a ledger has it that was written by an earlier version."""
    bench = bench_of(base)
    old = dataclasses.replace(release(base, 2), attestations={})

    class Old:
        def __getattr__(self, name):
            return getattr(bench.ledger, name)

        def release(self, model, version):
            return old if version == 2 else bench.ledger.release(model, version)

    ports = on_paper(bench, client=Client(), ledger=Old())
    job = bench.job("double", reason="because", environment="production", version=2)
    assert run_stage("promote", job, ports).sentence == "production serves 2"


def test_releases_of_before_there_were_keys_count_once_the_ledger_is_signed(tmp_path):
    base = tmp_path / "base"
    make_repository(base / "repo")
    update_lock(base)
    commit(base / "repo", "begin")
    assert drive(base, "road").returncode == 0
    make_key(base / "repo", Path(key(base)), zone="laptop", comment="ada")
    with pytest.raises(IntegrityFailed, match="nobody who counts signed"):
        do(base, "promote", environment="production", version=1)
    commit(base / "repo", "a better factor", factor_txt="0.95")
    done = drive(base, "road", MMCICD_SIGNING_KEY=key(base))
    assert done.returncode == 0, done.stderr
    do(base, "promote", environment="production", version=1)
    assert verify(base).returncode == 0


def test_killed_while_it_is_stated_then_again_a_second_later_is_stated_once(base):
    commit(base / "repo", "another", factor_txt="0.98")
    keyed = {"MMCICD_SIGNING_KEY": key(base)}
    drive(base, "road", MMCICD_FAILPOINTS="attest.after-attach=kill", **keyed)
    time.sleep(1.1)
    assert drive(base, "road", **keyed).returncode == 0
    index = json.loads((base / "repo.store/index.json").read_text())
    stated = [m for m in index["manifests"] if m.get("artifactType") in KINDS.values()]
    assert len(stated) == 3 * len(KINDS)


def verify(base, *more):
    return subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "ledger", "verify", "--images", "--deep", *more],
        cwd=base / "repo",
        capture_output=True,
        text=True,
        check=False,
    )
