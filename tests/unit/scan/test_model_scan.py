"""Which models are refused for what they hold, on models that no exporter would write."""

import pytest
from graph_bytes import RESTORE, SAVE, TABLE, attribute, call, field, function, meta, model, node, write

from mmcicd_jenkins.adapters.models.scan import MOST_CONCERNS, scan_model
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.operations import known

SIGNATURE = {"serving_default": ({"x": "x:0"}, {"y": "y:0"})}
SAVER = [node("saver_filename", "Placeholder"), node("v", "VarHandleOp")]


def told(folder, content, allowed=()):
    return [(c.operation, c.where) for c in scan_model(write(folder, content), allowed)]


def graph(*nodes, functions=(), **rest):
    return model(meta([node("x", "Placeholder"), *nodes], functions, signatures=SIGNATURE, **rest))


@pytest.mark.parametrize(
    "operation",
    [
        "ReadFile", "WriteFile", "PrintV2", "MatchingFiles", "PyFunc", "EagerPyFunc", "PyFuncStateless", "ImmutableConst",
        "TFRecordDatasetV2", "TextLineDataset", "SqlDataset", "SnapshotDatasetV2", "SaveDatasetV2", "RpcCall",
        "RpcServerStart", "RemoteCall", "DataServiceDatasetV4", "Save", "Restore", "LoadAndRemapMatrix", "Abort",
        "WriteSummary", "DebugIdentityV3", "Copy", "XlaCustomCall", "RecordInput", "DecodeProtoV2", "_Send", "",
        "MyTeamsOwnOperation",
    ],
)  # fmt: skip
def test_an_operation_that_does_more_than_compute_is_refused(tmp_path, operation):
    assert told(tmp_path, graph(node("y", operation, "x"))) == [(operation, "node y")]


def test_it_is_found_in_a_function_and_in_every_meta_graph(tmp_path):
    inner = function("inner", [], node("read", "ReadFile"))
    content = model(
        meta([node("x", "Placeholder")]),
        meta([call("y", "inner")], [inner], tags=("train",)),
        meta([node("z", "WriteFile")], tags=("gpu",)),
    )
    assert told(tmp_path, content) == [
        ("ReadFile", "node read of function inner"),
        ("WriteFile", "node z"),
    ]


def test_it_is_found_where_an_attribute_names_it_as_a_function(tmp_path):
    deep = attribute("g", functions=["PyFunc"])
    nested = node(
        "y",
        "MapDefun",
        "x",
        attributes=attribute("f", function="known", nested=deep.replace(b"*", b"\x12", 1)),
    )
    content = graph(nested, functions=[function("known", [])])
    assert ("PyFunc", "node y") in told(tmp_path, content)


def test_an_operation_that_is_told_twice_counts_as_the_last(tmp_path):
    # A parser takes the last of two; whoever looked at the first would see an Identity.
    assert told(tmp_path, graph(field(1, "y") + field(2, "Identity") + field(2, "ReadFile"))) == [
        ("ReadFile", "node y")
    ]


def test_what_the_team_allows_passes_and_nothing_else(tmp_path):
    content = graph(node("y", "MyTeamsOwnOperation"), node("z", "ReadFile"))
    assert told(tmp_path, content, ["MyTeamsOwnOperation"]) == [("ReadFile", "node z")]


def test_a_function_of_the_model_may_be_called_like_an_operation(tmp_path):
    assert told(tmp_path, graph(node("y", "mine", "x"), functions=[function("mine", ["a"])])) == []


@pytest.mark.parametrize("name", ["ReadFile", "RestoreV2", "Identity"])
def test_a_function_may_not_hide_behind_the_name_of_an_operation(tmp_path, name):
    found = scan_model(write(tmp_path, graph(node("y", "Identity", "x"), functions=[function(name, [])])))
    assert any("has the name of the operation" in c.what for c in found)


def test_two_functions_of_one_name_are_refused(tmp_path):
    found = scan_model(
        write(tmp_path, graph(functions=[function("f", []), function("f", [], node("n", "Const"))]))
    )
    assert [c.what for c in found] == ["the model has two functions of one name"]


def test_the_saver_of_an_exported_model_is_no_concern(tmp_path):
    content = graph(
        *SAVER,
        call("save_call", "save", "saver_filename", "v"),
        call("restore_call", "restore", "saver_filename"),
        functions=[SAVE, RESTORE],
        saver="saver_filename:0",
    )
    assert told(tmp_path, content) == []


def test_a_graph_of_tensorflow_1_with_its_saver_is_no_concern(tmp_path):
    content = graph(
        node("save/filename/input", "Const"),
        node("save/filename", "PlaceholderWithDefault", "save/filename/input"),
        node("save/Const", "PlaceholderWithDefault", "save/filename"),
        node("save/SaveV2", "SaveV2", "save/Const", "x", "x", "x"),
        node("save/RestoreV2", "RestoreV2", "save/Const", "x", "x"),
        node("y", "Identity", "x"),
        saver="save/Const:0",
    )
    assert told(tmp_path, content) == []


@pytest.mark.parametrize(
    ("why", "nodes", "functions"),
    [
        ("a request", [call("y", "restore", "x")], [RESTORE]),
        ("a constant", [node("c", "Const"), call("y", "restore", "c")], [RESTORE]),
        ("both", [call("ok", "restore", "saver_filename"), call("y", "restore", "x")], [RESTORE]),
        ("no caller's own", [node("y", "RestoreV2", "x", "x", "x")], []),
        ("a joined constant", [node("c", "Const"), node("j", "StringJoin", "c", "c"), node("y", "SaveV2", "j")], []),
        ("a joined request", [node("j", "StringJoin", "saver_filename", "x"), node("y", "SaveV2", "j")], []),
        ("nothing", [node("y", "SaveV2")], []),
        ("another operation", [node("s", "Substr", "saver_filename"), node("y", "SaveV2", "s")], []),
        ("a circle", [node("a", "Identity", "b"), node("b", "Identity", "a"), node("y", "SaveV2", "a")], []),
        ("a loop's body", [call("y", "restore", "x", operation="While")], [RESTORE]),
    ],
)  # fmt: skip
def test_the_savers_operations_with_a_name_of_another_file_are_refused(tmp_path, why, nodes, functions):
    content = graph(*SAVER, *nodes, functions=functions, saver="saver_filename:0")
    assert told(tmp_path, content), why


def test_a_request_may_not_name_the_file_of_the_saver(tmp_path):
    signatures = {"serving_default": ({"x": "saver_filename:0"}, {"y": "done:0"})}
    content = model(
        meta(
            [*SAVER, call("r", "restore", "saver_filename")],
            [RESTORE],
            saver="saver_filename:0",
            signatures=signatures,
        )
    )
    assert "a request can set" in scan_model(write(tmp_path, content))[0].why


def test_a_request_may_not_set_the_saver_to_work(tmp_path):
    content = graph(
        *SAVER,
        call("r", "restore", "saver_filename"),
        node("y", "Identity", "x", "^r"),
        functions=[RESTORE],
        saver="saver_filename:0",
    )
    assert "a request can make" in scan_model(write(tmp_path, content))[0].what


def test_loading_may_not_set_the_saver_to_work(tmp_path):
    content = graph(
        *SAVER,
        call("r", "restore", "saver_filename"),
        node("first", "NoOp", "^r"),
        functions=[RESTORE],
        saver="saver_filename:0",
        main_op="first",
    )
    assert scan_model(write(tmp_path, content))


ASSET = [node("asset", "Placeholder"), node("table", "HashTableV2")]


@pytest.mark.parametrize(
    ("nodes", "holds"),
    [
        ([call("init", "initialise", "asset", "table")], True),
        ([node("init", "InitializeTableFromTextFileV2", "table", "asset")], True),
        ([node("c", "Const"), call("init", "initialise", "c", "table")], False),
        ([node("init", "InitializeTableFromTextFileV2", "table", "x")], False),
        (
            [
                node("j", "StringJoin", "asset", "x"),
                node("init", "InitializeTableFromTextFileV2", "table", "j"),
            ],
            False,
        ),
    ],
)
def test_a_table_may_be_read_from_an_asset_and_from_nothing_else(tmp_path, nodes, holds):
    content = graph(*ASSET, *nodes, functions=[TABLE], assets={"asset:0": "words.txt"})
    assert (told(tmp_path, content) == []) is holds


KEPT = [*ASSET, node("kept", "VarHandleOp"), node("set", "AssignVariableOp", "kept", "asset")]
READ = [node("read", "ReadVariableOp", "kept", "^set"), call("init", "initialise", "read", "table")]


@pytest.mark.parametrize(
    ("more", "functions", "holds"),
    [
        ([], [], True),
        ([node("again", "AssignVariableOp", "kept", "x")], [], False),
        ([call("other", "writes", "kept")], [function("writes", ["v"])], False),
        ([node("two", "VarHandleOp", attributes=attribute("shared_name", text="kept"))], [], False),
    ],
)
def test_an_asset_kept_in_a_variable_counts_while_nobody_else_writes_it(tmp_path, more, functions, holds):
    content = graph(*KEPT, *READ, *more, functions=[TABLE, *functions], assets={"asset:0": "words.txt"})
    assert (told(tmp_path, content) == []) is holds


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "s3://bucket/key"])
def test_an_asset_outside_the_model_is_refused(tmp_path, name):
    found = scan_model(write(tmp_path, graph(*ASSET, assets={"asset:0": name})))
    assert [c.what for c in found] == ["an asset lies outside the model"]


@pytest.mark.parametrize(
    ("name", "content", "holds"),
    [
        ("assets/words.txt", b"a\nb\n", True),
        ("variables/variables.index", b"#!/", True),
        ("variables/variables.data-00000-of-00001", b"\x80\x02", True),
        ("assets/vectorizer.pkl", b"", False),
        ("assets/model.KERAS", b"", False),
        ("weights.h5", b"", False),
        ("custom_ops.so", b"", False),
        ("assets/plain", b"\x80\x04\x95aaaaaaaa", False),
        ("assets/words", b"\x89HDF\r\n\x1a\n", False),
        ("assets.extra/run", b"\x7fELF", False),
    ],
)
def test_files_that_run_have_no_place_in_a_model(tmp_path, name, content, holds):
    folder = write(tmp_path, graph(node("y", "Identity", "x")))
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    (folder / name).write_bytes(content)
    assert ([c.where for c in scan_model(folder)] == []) is holds


def test_a_flood_of_strange_operations_is_cut(tmp_path):
    assert len(told(tmp_path, graph(*(node(f"n{i}", f"Strange{i}") for i in range(500))))) == MOST_CONCERNS


def test_attributes_nested_without_end_are_an_error_of_the_file(tmp_path):
    nested = b""
    for _ in range(5000):
        nested = field(2, field(1, "k") + field(2, field(10, field(1, "f") + nested)))
    content = graph(
        field(1, "y") + field(2, "Identity") + field(5, field(1, "k") + field(2, field(10, nested)))
    )
    with pytest.raises(InputError, match="cannot be read as a model"):
        told(tmp_path, content)


def test_a_long_chain_of_identities_before_the_saver_is_refused_not_followed_for_ever(tmp_path):
    chain = [node(f"i{n}", "Identity", f"i{n + 1}") for n in range(5000)]
    content = graph(*SAVER, *chain, node("i5000", "Identity", "saver_filename"), node("y", "SaveV2", "i0"))
    assert told(tmp_path, content) == [("SaveV2", "node y")]


def test_the_list_names_no_operation_twice():
    listed = known()
    assert not listed.allowed & listed.savers
    assert not (listed.allowed | listed.savers) & listed.refused.keys()
    assert len(listed.allowed) > 1000
