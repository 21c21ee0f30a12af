"""The generator end to end: reproducible, and open to whatever Kafka adds next."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.generate import differing, generate, main, write
from codegen.names import snake_case
from codegen.spec_error import SpecError
from datacore.wire.errors import EncodeError
from tests.generated.messages import SPECS, Generated, load

NEWEST: Final = max(each.name for each in SPECS.iterdir() if each.is_dir())
FETCH: Final = f"{NEWEST}/messages/FetchRequest.json"
STRUCT: Final = {
    "name": "Extra",
    "type": "[]Struct",
    "versions": "0+",
    "fields": [{"name": "A", "type": "int8", "versions": "0+"}],
}


def copied_specs(folder: Path) -> Path:
    """A copy of specs/ to alter."""
    return shutil.copytree(SPECS, folder / "specs")


def alter(file: Path, change: Any) -> None:
    """Read a spec, let `change` alter it, and write it back."""
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def add_version_19(document: dict[str, Any]) -> None:
    """What a Kafka release may do to FetchRequest: all kinds of change at once."""
    document["validVersions"] = "4-19"
    document["fields"] += [
        {"name": "Colour", "type": "string", "versions": "19+", "taggedVersions": "19+", "tag": 7},
        {
            "name": "Origin",
            "type": "Origin",
            "versions": "19+",
            "nullableVersions": "19+",
            "default": "null",
            "fields": [
                {"name": "Host", "type": "string", "versions": "19+"},
                {"name": "Ports", "type": "[]uint16", "versions": "19+"},
            ],
        },
        {
            "name": "Wishes",
            "type": "[]Wish",
            "versions": "19+",
            "nullableVersions": "19+",
            "ignorable": True,
            "fields": [{"name": "Weight", "type": "float64", "versions": "19+"}],
        },
    ]


@pytest.fixture(scope="module")
def altered(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """FetchRequest with a version 19, generated into a package of its own."""
    folder = tmp_path_factory.mktemp("altered")
    specs = copied_specs(folder)
    alter(specs / FETCH, add_version_19)
    alter(
        specs / NEWEST / "messages/FetchResponse.json",
        lambda document: document.update(validVersions="4-19"),
    )
    write(generate(specs), folder / "altered_codecs")
    sys.path.insert(0, str(folder))
    try:
        importlib.import_module("altered_codecs.fetch")
    finally:
        sys.path.remove(str(folder))
    return next(
        each for each in load(specs, "altered_codecs") if each.message.name == "FetchRequest"
    )


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_a_new_version_needs_no_hand(altered: Generated, data: st.DataObject) -> None:
    assert altered.message_class.max_version == 19
    for version in (0, 18, 19):
        message = data.draw(altered.values(version))
        encoded = message.encode(version)
        assert altered.message_class.decode(encoded, version) == (message, len(encoded))


def test_new_fields_are_where_the_spec_says(altered: Generated) -> None:
    full = altered.full_value(19)
    assert full.encode(19) != altered.full_value(18).encode(18)
    plain = altered.message_class()
    # Behind what version 18 has come a null struct (-1) and an empty array (1), before the tags.
    assert plain.encode(19) == plain.encode(18)[:-1] + b"\xff\x01\x00"


def test_a_new_field_is_refused_or_dropped_in_older_versions(altered: Generated) -> None:
    wish = importlib.import_module("altered_codecs.fetch").Wish
    dropped = altered.message_class(wishes=[wish(weight=2.5)])  # type: ignore[call-arg]
    assert dropped.encode(18) == altered.message_class().encode(18)
    refused = altered.message_class(colour="red")  # type: ignore[call-arg]
    with pytest.raises(EncodeError, match=r"FetchRequest\.colour is set"):
        refused.encode(18)


def test_the_same_specs_give_the_same_bytes(tmp_path: Path) -> None:
    target = SPECS.parent / "datacore" / "_generated"
    for name in ("once", "again"):
        write(generate(SPECS), tmp_path / name)
    assert differing(tmp_path / "once", tmp_path / "again") == []
    assert differing(tmp_path / "once", target) == []


def test_the_check_names_what_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = shutil.copytree(SPECS.parent / "datacore" / "_generated", tmp_path / "_generated")
    arguments = ["generate", "--check", "--target", str(target)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 0
    (target / "fetch.py").write_text("")
    (target / "extra.py").write_text("")
    assert main() == 1
    assert capsys.readouterr().err.splitlines() == [
        "not what the specs generate: datacore/_generated/extra.py",
        "not what the specs generate: datacore/_generated/fetch.py",
    ]


def test_a_wrong_spec_stops_the_program_with_file_path_and_reason(tmp_path: Path) -> None:
    specs = copied_specs(tmp_path)
    alter(specs / FETCH, lambda document: document["fields"][0].update(colour="blue"))
    run = subprocess.run(
        [sys.executable, "-m", "codegen.generate", "--specs", str(specs), "--check"],
        cwd=SPECS.parent,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stderr == f"{specs / FETCH}: fields.ClusterId.colour: unknown key\n"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda spec: spec["fields"][0].update(name="Decode"), "every message has a decode"),
        (
            lambda spec: spec.update(apiKey=13),
            "apiKey: LeaveGroupRequest has|HeartbeatRequest has it too",
        ),
        (lambda spec: spec.update(apiKey=9999), "request and response do not match"),
        (lambda spec: spec.update(validVersions="0-9"), "request and response do not match"),
        (lambda spec: spec.update(flexibleVersions="3+"), "differ from the response's"),
        (lambda spec: spec.update(name="ErrorsRequest"), "module errors.py is taken"),
        (lambda spec: spec["fields"].append(STRUCT), "class name Struct is taken"),
    ],
)
def test_collisions_are_an_error(tmp_path: Path, change: Any, reason: str) -> None:
    specs = copied_specs(tmp_path)
    file = specs / NEWEST / "messages/HeartbeatRequest.json"
    if reason.startswith("module"):
        alter(
            specs / NEWEST / "messages/HeartbeatResponse.json",
            lambda spec: spec.update(name="ErrorsResponse"),
        )
    alter(file, change)
    with pytest.raises(SpecError, match=reason):
        generate(specs)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TransactionalId", "transactional_id"),
        ("TimeoutMs", "timeout_ms"),
        ("isKRaftController", "is_kraft_controller"),
        ("validateOnly", "validate_only"),
        ("V0Host", "v0_host"),
        ("From", "from_"),
    ],
)
def test_names_become_pythons(name: str, expected: str) -> None:
    assert snake_case(name) == expected
