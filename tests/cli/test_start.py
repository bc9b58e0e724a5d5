"""Commands that need no server: init, doctor, tokens in a data folder, usage."""

import json
import re
import shutil
import sqlite3
import stat
import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from tests.live import PASSWORD, environment, headgate


def make_upstream(folder: Path) -> Path:
    """An upstream channel without packages."""
    (folder / "noarch").mkdir(parents=True)
    (folder / "noarch" / "repodata.json").write_text('{"info":{"subdir":"noarch"},"packages":{},"packages.conda":{}}')
    return folder


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    return make_upstream(tmp_path / "upstream")


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("initialised")
    upstream = make_upstream(root / "upstream")
    done = headgate("init", "--data", root / "data", "--upstream", upstream.as_uri())
    assert done.returncode == 0, done.stderr
    return root / "data"


@pytest.fixture
def data(tmp_path: Path, initialised: Path) -> Path:
    """An initialised data folder of the test's own."""
    shutil.copytree(initialised, tmp_path / "data")
    return tmp_path / "data"


def test_init_prints_lines_to_paste_and_the_password_once(tmp_path: Path) -> None:
    first = headgate("init", "--data", tmp_path / "data")
    assert first.returncode == 0
    assert "conda config --add channels http://127.0.0.1:8765/conda/approved-conda\n" in first.stdout
    assert "conda config --add channels http://127.0.0.1:8765/conda/unapproved-conda\n" in first.stdout
    assert 'channels = ["http://127.0.0.1:8765/conda/approved-conda"]' in first.stdout
    assert "http://127.0.0.1:8765/\n" in first.stdout
    assert re.search(r"Password \(shown this once\): \S{20,}", first.stdout)
    second = headgate("init", "--data", tmp_path / "data")
    assert second.returncode == 0
    assert "Nothing was changed" in second.stdout
    assert "Password" not in second.stdout


def test_init_as_json_is_one_document_and_says_whether_the_folder_is_new(tmp_path: Path) -> None:
    first = json.loads(headgate("init", "--data", tmp_path / "data", "--json").stdout)
    assert first["created"] is True
    assert first["administrator"]["name"] == "admin"
    assert len(first["administrator"]["password"]) >= 20
    assert first["channels"]["approved-conda"] == "http://127.0.0.1:8765/conda/approved-conda"
    second = json.loads(headgate("init", "--data", tmp_path / "data", "--json").stdout)
    assert second == first | {"created": False, "administrator": {"name": "admin", "password": None}}


def test_init_takes_the_password_from_the_environment_and_does_not_print_it(tmp_path: Path) -> None:
    password = environment(HEADGATE_ADMIN_PASSWORD=PASSWORD)
    done = headgate("init", "--data", tmp_path / "data", env=password, is_apart=True)
    assert done.returncode == 0
    assert PASSWORD not in done.stdout + done.stderr
    with closing(sqlite3.connect(tmp_path / "data" / "headgate.db")) as database:
        [(kept,)] = database.execute("SELECT password_hash FROM user_account WHERE name = 'admin'")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$"), "RFC 9106, section 4, the second recommended option"


def test_init_with_a_short_password_says_so_and_can_be_repeated(tmp_path: Path) -> None:
    done = headgate("init", "--data", tmp_path / "data", env=environment(HEADGATE_ADMIN_PASSWORD="short"))
    assert done.returncode == 1
    assert "12 characters" in done.stderr
    again = headgate("init", "--data", tmp_path / "data", "--json")
    assert json.loads(again.stdout)["created"] is True


def test_init_on_a_file_upstream_allows_its_folder(initialised: Path) -> None:
    settings = tomllib.loads((initialised / "headgate.toml").read_text())
    assert settings["upstream"] == {"file_roots": [str(initialised.with_name("upstream"))]}


def test_init_keeps_a_settings_file_that_is_there(tmp_path: Path, upstream: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "headgate.toml").write_text("[server]\nport = 9999\n")
    refused = headgate("init", "--data", tmp_path / "data", "--upstream", upstream.as_uri())
    assert refused.returncode == 1
    assert "file_roots" in refused.stderr
    done = headgate("init", "--data", tmp_path / "data")
    assert "http://127.0.0.1:9999/conda/approved-conda" in done.stdout
    assert (tmp_path / "data" / "headgate.toml").read_text() == "[server]\nport = 9999\n"


def test_init_refuses_what_is_no_url_before_anything_is_made(tmp_path: Path) -> None:
    done = headgate("init", "--data", tmp_path / "data", "--upstream", "conda-forge", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "url-invalid"
    assert not (tmp_path / "data").exists()


def test_data_folder_is_closed_to_others(data: Path) -> None:
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "secret.key").stat().st_mode) == 0o600


def test_token_in_a_data_folder_is_printed_alone_when_quiet(data: Path) -> None:
    done = headgate("token", "create", "--name", "ci", "--data", data, "--quiet", "--permission", "view")
    assert done.returncode == 0
    assert re.fullmatch(r"hg-[A-Za-z0-9]+-[A-Za-z0-9]+\n", done.stdout)
    assert done.stderr == ""
    listed = json.loads(headgate("token", "list", "--data", data, "--json").stdout)
    assert [(one["name"], one["user"], one["permissions"]) for one in listed] == [("ci", "admin", ["view"])]
    assert done.stdout.strip() not in json.dumps(listed)


def test_token_in_a_data_folder_ends_and_is_revoked(data: Path) -> None:
    made = headgate("token", "create", "--name", "ci", "--data", data, "--expires", "90d", "--json")
    assert json.loads(made.stdout)["expires_at"] > json.loads(made.stdout)["created_at"]
    assert headgate("token", "create", "--name", "ci", "--data", data).returncode == 1
    assert headgate("token", "revoke", "ci", "--data", data).returncode == 0
    gone = headgate("token", "revoke", "ci", "--data", data, "--json")
    assert gone.returncode == 1
    assert json.loads(gone.stdout)["code"] == "token-unknown"


def test_token_for_a_folder_that_is_none_says_so(tmp_path: Path) -> None:
    done = headgate("token", "list", "--data", tmp_path / "nowhere")
    assert done.returncode == 1
    assert "headgate init" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_doctor_finds_a_fresh_folder_healthy(data: Path) -> None:
    done = headgate("doctor", "--data", data, "--json")
    report = json.loads(done.stdout)
    assert {one["check"]: one["state"] for one in report["checks"] if one["check"] != "disk space"} == {
        "settings": "ok",
        "permissions": "ok",
        "storage": "ok",
        "database": "ok",
        "jobs database": "ok",
        "clock": "ok",
        "mirror main of unapproved-conda": "ok",
    }
    assert report["healthy"] is (done.returncode == 0)


def test_doctor_names_what_is_wrong_and_what_to_do(tmp_path: Path, upstream: Path) -> None:
    data = tmp_path / "data"
    headgate("init", "--data", data, "--upstream", upstream.as_uri())
    (data / "secret.key").chmod(0o644)
    (upstream / "noarch" / "repodata.json").unlink()
    done = headgate("doctor", "--data", data)
    assert done.returncode == 1
    assert f"chmod 600 {data / 'secret.key'}" in done.stdout
    assert "answers 404 for its index" in done.stdout


def test_doctor_of_an_upstream_that_cannot_be_read_fails(data: Path) -> None:
    (data / "headgate.toml").write_text("")
    done = headgate("doctor", "--data", data)
    assert done.returncode == 1
    assert re.search(r"fail  upstream of unapproved-conda: .*file_roots|root", done.stdout)


def test_doctor_of_a_database_that_is_none(data: Path) -> None:
    (data / "headgate.db").write_bytes(b"not a database at all, and longer than a header" * 100)
    done = headgate("doctor", "--data", data, "--json")
    assert done.returncode == 1
    states = {one["check"]: one["state"] for one in json.loads(done.stdout)["checks"]}
    assert states["database"] == "fail"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["init", "serve", "doctor"])
def test_unknown_setting_is_named_with_its_line(data: Path, command: str) -> None:
    (data / "headgate.toml").write_text("[server]\nport = 8765\nprot = 1\n")
    done = headgate(command, "--data", data)
    assert done.returncode == 1
    assert "headgate.toml, line 3: server.prot: is not a setting." in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_unknown_variable_is_named(data: Path) -> None:
    done = headgate("doctor", "--data", data, env=environment(HEADGATE_SERVER__PROT="1"))
    assert done.returncode == 1
    assert "HEADGATE_SERVER__PROT" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["init"],
        ["init", "--data", "x", "--what"],
        ["serve", "--data", "x", "--port", "70000"],
        ["channel", "create", "x"],
        ["channel", "create", "x", "--kind", "odd"],
        ["channel", "set", "x"],
        ["upload", "x", "nowhere-1.0-0.conda"],
        ["token", "create", "--name", "x", "--expires", "soon"],
        ["artifact", "yank", "x"],
    ],
)
def test_wrong_use_ends_with_2(words: list[str]) -> None:
    done = headgate(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_no_server_is_a_sentence() -> None:
    done = headgate("channel", "list", "--json", env=environment(HEADGATE_URL="http://127.0.0.1:9"))
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "server-unreachable"
    assert done.stderr.startswith("No answer from http://127.0.0.1:9")
    wrong = headgate("channel", "list", env=environment(HEADGATE_URL="localhost:8765"))
    assert wrong.returncode == 1
    assert "HEADGATE_URL" in wrong.stderr


def test_help_and_version_need_nothing() -> None:
    assert "Commands:" in headgate("--help").stdout
    assert "--kind" in headgate("channel", "create", "--help").stdout
