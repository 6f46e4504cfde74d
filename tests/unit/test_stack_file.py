"""Stack files as the engine reads them."""

from pathlib import Path

import pytest

from components.render.stack_file import Configuration, StackFileError, load

PROJECT = """
name: acme
stackConfigDir: envs
config:
  id: {type: string}
  things: {type: object, default: {}}
  size: {type: object, default: {a: [1, 0.5]}}
  retries: 3
  other:key: {value: x}
"""


BOMB = "x0: &a0 [x]\n" + "".join(
    f"x{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 8)
)

MERGE_BOMB = "x0: &a0 {a: b}\n" + "".join(
    f"x{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}], k{level}: 1}}\n"
    for level in range(1, 8)
)
LONG_BOMB = f"x: &a {'a' * 10_000}\ny: &b [{', '.join(['*a'] * 100)}]\nz: [{', '.join(['*b'] * 100)}]\n"
MANY = "more than 250000 values or 8 MiB, aliases counted each time"


def stack(tmp_path: Path, text: str, project: str = PROJECT) -> Configuration:
    (tmp_path / "envs").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(project, "utf-8")
    (tmp_path / "envs" / "Pulumi.dev.yaml").write_text(text, "utf-8")
    return load(tmp_path, "dev")


def value(tmp_path: Path, text: str) -> str:
    return stack(tmp_path, f"config: {{id: x, v: {text}}}").values["acme:v"]


def test_keys_get_the_projects_name_and_defaults_and_objects_are_json(tmp_path: Path) -> None:
    found = stack(tmp_path, "config:\n  id: x\n  acme:things: {b: true}\n  kubernetes:context: kind\n")
    assert found.problems == {}
    assert found.values == {
        "acme:id": "x",
        "acme:things": '{"b": true}',
        "acme:size": '{"a": [1, 0.5]}',
        "acme:retries": "3",
        "kubernetes:context": "kind",
        "other:key": "x",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("1e3", "1000.0"),
        ("0x10", "16"),
        ("0o17", "15"),
        ("1_000", "1000"),
        ("true", "true"),
        ("null", ""),
        ("", ""),
        ("'1'", "1"),
        ("{a: yes, b: '1', c: null, d: 1.5, 1: x}", '{"a": "yes", "b": "1", "c": null, "d": 1.5, "1": "x"}'),
        ("2026-01-31", "2026-01-31 +0000 UTC"),
    ],
)
def test_values_are_read_as_the_engines_yaml_library_reads_them(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert value(tmp_path, text) == expected


def test_a_missing_key_and_a_wrong_type_are_what_the_engine_refuses(tmp_path: Path) -> None:
    found = stack(tmp_path, "config: {things: [1], size: x}")
    assert found.problems == {
        "id": "id: missing, expected a string",
        "things": "things: got [1], expected a mapping",
        "size": "size: got 'x', expected a mapping",
    }


def test_json_in_a_string_is_no_mapping_and_should_have_no_quotes(tmp_path: Path) -> None:
    found = stack(tmp_path, """config: {id: x, things: '{"a": 1}'}""")
    assert found.problems == {
        "things": """things: got '{"a": 1}', expected a mapping, without quotes around it"""
    }


def test_an_object_is_no_string(tmp_path: Path) -> None:
    assert stack(tmp_path, "config: {id: {a: b}}").problems == {"id": "id: got {'a': 'b'}, expected a string"}


def test_encrypted_values_are_found_at_any_depth(tmp_path: Path) -> None:
    found = stack(
        tmp_path,
        "config: {id: {secure: A}, things: {a: [{secure: B}], b: {secure: 1}}, "
        "kubernetes:kubeconfig: {secure: C}}",
    )
    assert found.secure == ["id", "things.a[0]"]
    assert found.secrets == {"acme:id", "acme:things"}
    assert found.warnings == ['["kubernetes:kubeconfig"]: left out, only the Pulumi engine can decrypt it']
    assert "kubernetes:kubeconfig" not in found.values


def test_an_environment_is_left_out_with_a_warning(tmp_path: Path) -> None:
    found = stack(tmp_path, "environment: [prod]\nconfig: {id: x}")
    [warning] = found.warnings
    assert warning.startswith("environment: left out, only the Pulumi engine can open it. ")


def test_what_the_engine_writes_to_encrypt_is_no_setting(tmp_path: Path) -> None:
    found = stack(tmp_path, "encryptionsalt: v1:c2FsdA==:v1:MDEy\nconfig: {id: x}")
    assert (found.values["acme:id"], found.problems, found.warnings) == ("x", {}, [])


def test_a_stack_without_config_has_the_defaults(tmp_path: Path) -> None:
    assert stack(tmp_path, "# nothing yet\n").problems == {"id": "id: missing, expected a string"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("config: {id: x, id: y}", ":1: key 'id' twice"),
        ("config:\n  id: [\n", ":3: did not find expected node content"),
        ("config:\n\tid: x", ":2: a tab before the first word, expected spaces"),
        ("config:\n  id: x\n \t y: z", ":3: a tab before the first word, expected spaces"),
        ("config: [\n\tx: {", ":3: did not find expected node content"),
        ("- config", ": got ['config'], expected a mapping"),
        (
            "config: {acme: {id: x}}",
            ": got keys below acme, expected each of them below `config:`, as acme:KEY",
        ),
        ("config: [id]", ": got config ['id'], expected a mapping"),
        ("acme:id: x", ": got acme:id at the top, expected it below `config:`"),
        ("configs: {id: x}", ": unknown key 'configs', did you mean config?"),
        (f"config: {{x: {'[' * 101}{']' * 101}}}", ":1: nested more than 100 levels deep"),
        (f"config: {{x: {'[' * 3000}{']' * 3000}}}", ":1: nested more than 100 levels deep"),
        ("config: {id: x}\n---\nconfig: {id: y}", ":2: expected a single document in the stream but found"),
        (f"config: {{x: {'[' * 100_000}", ":1: nested more than 100 levels deep"),
        (f"config: {'- ' * 200}", ":1: "),
        (f"config:\n  x: {'- ' * 200}", ":2: "),
        ("config: &a {x: *a}", ":1: nested more than 100 levels deep"),
        (BOMB, f":7: {MANY}"),
        (MERGE_BOMB, f":6: {MANY}"),
        (LONG_BOMB, f":3: {MANY}"),
        (f"config: {{x: [{'a, ' * 250_000}]}}", ":1: more than 250000 values"),
        (f"config: {{x: {'a' * 2**21}}}", ": more than 2 MiB"),
        (f"config: {{x: {'9' * 5000}}}", ":1: a number of more than 64 bits"),
        (f"config: {{x: 0x{'f' * 5000}}}", ":1: a number of more than 64 bits"),
        ("config: {x: !!binary aGk=}", ":1: the tag !binary, which is for nothing that JSON has"),
        ("config: {x: !!set {a, b}}", ":1: the tag !set, which is for nothing that JSON has"),
        ("config: {x: !!python/none a}", ":1: the tag !python/none, which is for nothing that JSON has"),
        ("config: {[a]: b}", ":1: a key that is no text: quotes around it, if it begins with { or ["),
        ("config:\n  id: {{ .id }}", ":2: a key that is no text: quotes"),
        ("config: {id: [*]}", ":1: did not find expected alphabetic or numeric character: expected quotes"),
        ("config:\n  id: @x", ":2: found character that cannot start any token: expected quotes"),
        (
            "config:\n  id: x\n   b: c",
            ":3: mapping values are not allowed in this context: expected one",
        ),
        ("config:\n  id:x", ": got config 'id:x', expected a mapping, `KEY: VALUE` with a blank"),
        ("config: []", ": got config [], expected a mapping"),
        ("[]", ": got [], expected a mapping"),
        ("config:\n  id: a\0b", ":2: the character '\\x00', which YAML does not allow"),
        (
            "<<<<<<< HEAD\nconfig: {}\n=======\nconfig: {id: x}\n>>>>>>> other\n",
            ":2: cannot be read: the marks of an unfinished merge by git are in the file",
        ),
    ],
    ids=[
        "a key twice",
        "broken",
        "indented by a tab",
        "indented by blanks and a tab",
        "a tab within brackets",
        "a list",
        "keys below the project's name",
        "config is a list",
        "config forgotten",
        "config misspelled",
        "deep",
        "deeper",
        "two documents",
        "deeper than the composer goes",
        "sequences on a line",
        "sequences below each other",
        "alias in itself",
        "bomb",
        "bomb of merges",
        "bomb of characters",
        "many values",
        "large",
        "long number",
        "long hexadecimal number",
        "bytes",
        "a set",
        "an object",
        "a list as a key",
        "a template as a value",
        "a star without quotes",
        "an at sign without quotes",
        "badly indented",
        "no blank after a colon",
        "config is an empty list",
        "an empty list",
        "a control character",
        "an unfinished merge",
    ],
)
def test_a_malformed_file_is_one_line_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(StackFileError) as refusal:
        stack(tmp_path, text)
    assert str(refusal.value).startswith(f"{tmp_path / 'envs' / 'Pulumi.dev.yaml'}{complaint}")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["prod", "../dev", "acme/dev", "", "de v"])
def test_a_stack_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, name: str) -> None:
    stack(tmp_path, "config: {id: x}")
    with pytest.raises(StackFileError) as refusal:
        load(tmp_path, name)
    assert str(refusal.value) == f"no stack {name!r} in {tmp_path / 'envs'}, expected one of dev"


@pytest.mark.parametrize(
    ("name", "file"), [("dev", "dev"), ("prod", "prod"), ("../dev", "dev"), ("acme/dev", "dev"), ("", "dev")]
)
def test_where_there_are_no_stack_files_the_one_to_make_is_told(tmp_path: Path, name: str, file: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: acme\n", "utf-8")
    with pytest.raises(StackFileError) as refusal:
        load(tmp_path, name)
    told = f"no stack {name!r} in {tmp_path}, no stack files there: make Pulumi.{file}.yaml"
    assert str(refusal.value) == told


@pytest.mark.parametrize(
    ("project", "complaint"),
    [
        ("stackConfigDir: envs", "no name, expected `name: PROJECT`"),
        ("name: a\nstackConfigDir: envs\nconfig: [b]", "got config ['b'], expected a mapping"),
    ],
)
def test_a_malformed_project_is_told_by_its_own_file(tmp_path: Path, project: str, complaint: str) -> None:
    with pytest.raises(StackFileError) as refusal:
        stack(tmp_path, "config: {}", project)
    assert str(refusal.value).startswith(f"{tmp_path / 'Pulumi.yaml'}: {complaint}")


def test_a_folder_without_a_project_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        StackFileError, match=r"Pulumi\.yaml: not there, expected the folder of a Pulumi project$"
    ):
        load(tmp_path, "dev")
