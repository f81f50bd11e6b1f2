"""A model and what a run that nothing disturbed makes of it."""

import pytest
from folders import write_folder
from layout_program import MODEL, finish, start, state


@pytest.fixture
def model(tmp_path):
    return write_folder(tmp_path / "model", MODEL)


@pytest.fixture
def undisturbed(tmp_path, model):
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    assert finish(start(folder, model))[0] == 0
    return state(folder)
