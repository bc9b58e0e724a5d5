"""Two channels, two groups: users, groups, roles, grants and explanations, as an administrator types them."""

import json
import shlex
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.live import LiveServer, environment, headgate
from tests.packages import package
from tests.upstreams import write_channel

PASSWORD = "engineers-know-networks"
TYPED = f"""
channel set unapproved-conda --privacy private
channel set approved-conda --privacy private
group create "Network Engineers"
group create Developers
user create nora --password {PASSWORD} --group "Network Engineers"
user create dan --group Developers
user create farm --service --group Developers
grant add --group "Network Engineers" --role approver --channel unapproved-conda
grant add --group "Network Engineers" --role approver --channel approved-conda
grant add --group Developers --role downloader --channel approved-conda
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("access")
    write_channel(folder / "upstream", [("noarch", *package("alpha"))])
    with LiveServer(folder / "data", upstream=(folder / "upstream").as_uri()) as server:
        for line in TYPED.strip().splitlines():
            done = server.run(*shlex.split(line))
            assert done.returncode == 0, f"{line}\n{done.stderr}"
        yield server


def read_approved(server: LiveServer, credentials: str | None = None) -> int:
    """The status that a client gets; credentials are `name:password`."""
    request = Request(f"{server.url}/conda/approved-conda/noarch/repodata.json")
    if credentials is not None:
        request.add_header("Authorization", f"Basic {b64encode(credentials.encode()).decode()}")
    try:
        with urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def refused(server: LiveServer, *words: str) -> str:
    """The code of the problem that a command ends with."""
    done = server.run(*words, "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    code: str = json.loads(done.stdout)["code"]
    return code


def change_password(server: LiveServer, user: str, old: str, new: str) -> str | None:
    """The code of the problem with it, if there is one; made without a token."""
    done = subprocess.run(
        [sys.executable, "-m", "headgate", "user", "change-password", user, "--from", "-", "--json"],
        input=f"{old}\n{new}\n",
        capture_output=True,
        check=False,
        env=environment(HEADGATE_URL=server.url),
        text=True,
        timeout=60,
    )
    assert old not in done.stdout + done.stderr
    assert new not in done.stdout + done.stderr
    code: str | None = json.loads(done.stdout).get("code")
    return code


def names(rows: Any) -> set[str]:
    return {row["name"] for row in rows}


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("nora promotion:out unapproved-conda", "allowed"),
        ("nora promotion:into approved-conda", "allowed"),
        ("nora artifact:upload approved-conda", "denied"),
        ("dan artifact:download approved-conda", "allowed"),
        ("dan channel:read unapproved-conda", "denied"),
        ("farm artifact:download approved-conda", "allowed"),
        ("admin channel:manage unapproved-conda", "allowed"),
        ("anonymous channel:read approved-conda", "denied"),
    ],
)
def test_each_group_may_what_it_was_granted(server: LiveServer, question: str, answer: str) -> None:
    done = server.run("access", "explain", *question.split())
    assert done.stdout.splitlines()[:1] == [answer], done.stderr
    assert done.returncode == (0 if answer == "allowed" else 1)
    assert len(done.stdout.splitlines()) >= 2


def test_explain_names_the_deciding_grant_and_those_it_beat(server: LiveServer) -> None:
    words = "--user dan --role downloader --channel approved-conda --package secret-* --deny"
    denied = server.json("grant", "add", *words.split())
    question = ["access", "explain", "dan", "artifact:download", "approved-conda", "--package"]
    secret = server.run(*question, "secret-sauce")
    assert secret.returncode == 1
    first, by, beaten = secret.stdout.splitlines()
    assert first == "denied"
    assert f"grant {denied['id']}: downloader denied to user dan on approved-conda, packages secret-*" in by
    assert "downloader granted to group Developers on approved-conda" in beaten
    other = json.loads(server.run(*question, "scipy", "--json").stdout)
    assert (other["is_allowed"], other["decided_by"]["principal"], other["beaten"]) == (True, "Developers", [])
    assert server.run("grant", "remove", str(denied["id"])).returncode == 0
    assert server.run(*question, "secret-sauce").returncode == 0
    assert refused(server, "grant", "remove", str(denied["id"])) == "grant-unknown"


def test_explain_of_nobody_is_refused_in_a_sentence(server: LiveServer) -> None:
    assert refused(server, "access", "explain", "nobody", "channel:read", "approved-conda") == "user-unknown"


def test_users_sign_in_with_the_password_that_was_given_or_shown(server: LiveServer) -> None:
    assert read_approved(server, f"nora:{PASSWORD}") == 200
    made = server.run("user", "create", "ada", "--group", "Developers")
    first = made.stdout.strip()
    assert "shown this once" in made.stderr
    assert read_approved(server, f"ada:{first}") == 403
    own = "ada-ada-1815"
    assert change_password(server, "ada", first, own) == "password-weak"
    own = "of my very own choosing"
    assert change_password(server, "ada", first, own) is None
    assert read_approved(server, f"ada:{own}") == 200
    second = server.json("user", "set-password", "ada", "--no-must-change")["password"]
    assert read_approved(server, f"ada:{first}") == 401
    assert read_approved(server, f"ada:{second}") == 200
    given = server.run("user", "set-password", "ada", "--password", PASSWORD)
    assert PASSWORD not in given.stdout + given.stderr
    assert read_approved(server, f"ada:{PASSWORD}") == 200
    assert refused(server, "user", "set-password", "ada", "--password", "short") == "password-short"


def test_disabled_users_are_kept_out_until_they_are_enabled(server: LiveServer) -> None:
    password = server.json("user", "create", "dora", "--group", "Developers", "--no-must-change")["password"]
    assert server.run("user", "disable", "dora").returncode == 0
    assert "yes" in server.run("user", "list").stdout.partition("dora")[2].splitlines()[0]
    assert read_approved(server, f"dora:{password}") == 401
    assert server.run("user", "enable", "dora").returncode == 0
    assert read_approved(server, f"dora:{password}") == 200
    assert "Developers" in server.run("user", "show", "dora").stdout
    assert server.json("user", "delete", "dora") == {"name": "dora", "deleted": True}
    assert read_approved(server, f"dora:{password}") == 401
    assert refused(server, "user", "show", "dora") == "user-unknown"


def test_service_accounts_have_no_password(server: LiveServer) -> None:
    made = server.run("user", "create", "robot", "--service")
    assert (made.stdout, made.stderr) == ("Made service account robot.\n", "")
    assert server.run("user", "create", "robot2", "--service", "--password", PASSWORD).returncode == 2
    assert {one["name"]: one["kind"] for one in server.json("user", "list")}["robot"] == "service"


def test_the_last_administrator_stays(server: LiveServer) -> None:
    assert refused(server, "user", "delete", "admin") == "last-administrator"
    assert server.json("user", "create", "deputy", "--administrator")["is_administrator"] is True
    assert server.run("user", "delete", "deputy").returncode == 0


def test_groups_are_filled_with_users_and_groups(server: LiveServer) -> None:
    server.json("group", "create", "Interns")
    server.json("user", "create", "ivy", "--password", PASSWORD)
    assert read_approved(server, f"ivy:{PASSWORD}") == 403
    assert "User ivy is in group Interns." in server.run("group", "add", "Interns", "--user", "ivy").stdout
    assert server.run("group", "add", "Developers", "--group", "Interns").returncode == 0
    assert read_approved(server, f"ivy:{PASSWORD}") == 200
    listed = {one["name"]: one for one in server.json("group", "list")}
    assert (listed["Interns"]["users"], listed["Developers"]["groups"]) == (["ivy"], ["Interns"])
    assert server.json("group", "remove", "Developers", "--group", "Interns")["removed"] is True
    assert read_approved(server, f"ivy:{PASSWORD}") == 403
    assert refused(server, "group", "remove", "Developers", "--group", "Interns") == "member-unknown"
    assert server.run("group", "delete", "Interns").returncode == 0
    assert "Interns" not in names(server.json("group", "list"))
    assert "ivy" in names(server.json("user", "list"))


def test_roles_of_ones_own_are_made_granted_and_deleted(server: LiveServer) -> None:
    made = server.json("role", "create", "looker", "--permission", "channel:read", "--permission", "audit:read")
    assert sorted(made["permissions"]) == ["audit:read", "channel:read"]
    assert {"looker", "downloader", "approver"} <= names(server.json("role", "list"))
    grant = server.run("grant", "add", "--service", "farm", "--role", "looker", "--channel", "unapproved-conda").stdout
    assert "looker granted to service farm on unapproved-conda" in grant
    assert refused(server, "role", "delete", "looker") == "role-in-use"
    number = next(one["id"] for one in server.json("grant", "list") if one["role"] == "looker")
    assert server.json("grant", "remove", str(number)) == {"id": number, "removed": True}
    assert server.json("role", "delete", "looker") == {"name": "looker", "deleted": True}


@pytest.mark.parametrize(("whom", "is_open"), [("everyone", True), ("anonymous", True), ("authenticated", False)])
def test_a_grant_to_everyone_opens_a_channel_to_nobody_in_particular(
    server: LiveServer, whom: str, is_open: bool
) -> None:
    assert read_approved(server) == 401
    made = server.json("grant", "add", f"--{whom}", "--role", "downloader", "--channel", "approved-conda")
    assert (made["kind"], made["principal"]) == ("pseudo", whom)
    assert read_approved(server) == (200 if is_open else 401)
    assert whom in server.run("grant", "list").stdout
    server.json("grant", "remove", str(made["id"]))
    assert read_approved(server) == 401


def test_a_token_may_be_limited_to_promotion(server: LiveServer) -> None:
    words = ["--name", "promoter", "--user", "nora", "--permission", "promote", "--expires", "90d"]
    made = server.json("token", "create", *words)
    assert (made["user"], made["permissions"]) == ("nora", ["promote"])
    assert read_approved(server, f"api:{made['token']}") == 403
    assert server.run("token", "revoke", "promoter", "--user", "nora").returncode == 0
    assert read_approved(server, f"api:{made['token']}") == 401


def test_a_token_ends_after_90_days_and_never_lives_longer_than_is_allowed(server: LiveServer) -> None:
    ending = server.json("token", "create", "--name", "ending")
    days = datetime.fromisoformat(ending["expires_at"]) - datetime.fromisoformat(ending["created_at"])
    assert abs(days - timedelta(days=90)) < timedelta(minutes=1)
    for wish in ("never", "2y"):
        assert refused(server, "token", "create", "--name", "endless", "--expires", wish) == "token-life-long"


def test_a_token_is_rotated_and_both_texts_are_good_for_a_while(server: LiveServer) -> None:
    words = ["token", "create", "--name", "old", "--user", "nora", "--expires", "30d", "--quiet"]
    old = server.run(*words).stdout.strip()
    rotated = server.run("token", "rotate", "old", "--user", "nora", "--overlap", "2h")
    new = rotated.stdout.strip()
    assert "The old text is good until" in rotated.stderr
    assert [read_approved(server, f"api:{text}") for text in (old, new)] == [200, 200]
    last = server.run("token", "rotate", "old", "--user", "nora", "--overlap", "0", "--quiet").stdout.strip()
    assert [read_approved(server, f"api:{text}") for text in (old, new, last)] == [401, 401, 200]
    [listed] = [one for one in server.json("token", "list", "--user", "nora") if one["name"] == "old"]
    assert server.json("token", "revoke", "--id", str(listed["id"])) == {"id": listed["id"], "revoked": True}
    assert read_approved(server, f"api:{last}") == 401
    assert refused(server, "token", "rotate", "old", "--user", "nora") == "token-unknown"


def test_a_token_with_a_text_and_addresses_of_ones_own(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("Legacy-Key-7f3a-of-the-build-farm\n")
    words = ["token", "create", "--name", "legacy", "--user", "nora", "--text-file", str(tmp_path / "key")]
    made = server.json(*words, "--address", "127.0.0.0/8", "--address", "::1")
    assert made["addresses"] == ["127.0.0.0/8", "::1/128"]
    assert read_approved(server, "api:Legacy-Key-7f3a-of-the-build-farm") == 200
    elsewhere = server.json("token", "create", "--name", "far", "--user", "nora", "--address", "192.0.2.0/24")
    assert read_approved(server, f"api:{elsewhere['token']}") == 403


def test_tokens_of_a_folder_are_rotated_and_revoked_there(server: LiveServer) -> None:
    place = ("--data", str(server.data))
    made = server.json("token", "create", "--name", "local", *place)
    assert made["user"] == "admin"
    assert server.json("token", "rotate", "local", *place)["token"] != made["token"]
    assert server.run("token", "revoke", "--id", str(made["id"]), *place).returncode == 0
    assert refused(server, "token", "revoke", "local", *place) == "token-unknown"


def test_users_make_and_revoke_their_own_tokens_only(server: LiveServer) -> None:
    key = server.json("token", "create", "--name", "laptop", "--user", "dan")["token"]
    dan = environment(HEADGATE_URL=server.url, HEADGATE_TOKEN=key)
    assert server.run("token", "create", "--name", "desktop", "--expires", "30d", env=dan).returncode == 0
    assert [one["user"] for one in json.loads(server.run("token", "list", "--json", env=dan).stdout)] == ["dan", "dan"]
    assert server.run("token", "create", "--name", "hers", "--user", "nora", env=dan).returncode == 1
    assert server.run("user", "list", env=dan).returncode == 1
    assert server.run("access", "explain", "dan", "channel:read", "approved-conda", env=dan).returncode == 0
    assert server.run("token", "revoke", "desktop", env=dan).returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        "grant add --role downloader",
        "grant add --role downloader --user dan --everyone",
        "grant add --user dan",
        "group add Developers",
        "group remove Developers --user dan --group Interns",
        "role create empty",
        "role create odd --permission channel:juggle",
        "access explain dan channel:juggle approved-conda",
        "access explain dan channel:read",
        "grant remove first",
    ],
)
def test_a_command_called_in_a_wrong_way_ends_with_2(words: str) -> None:
    done = headgate(*words.split(), env=environment(HEADGATE_URL="http://127.0.0.1:9"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
