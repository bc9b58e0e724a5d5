"""Uploads: what is taken, what is refused, and what becomes of a file afterwards."""

import hashlib
import io
import tarfile
from collections.abc import AsyncIterator
from typing import Any

import pytest

from headgate.bootstrap import Place, Services, open_place
from headgate.storage.paths import DataFolder
from tests.http.conftest import Callers
from tests.packages import package

NOARCH = "/channels/team/artifacts/noarch"


async def pieces(content: bytes, size: int = 100) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def upload(callers: Callers, filename: str, content: Any, **query: Any) -> Any:
    query = {"filename": filename} | query
    return await callers.admin.post("/channels/team/artifacts", params=query, content=content)


async def index_names(services: Services) -> set[str]:
    channel = services.catalog.get("team")
    return set((await services.maps.get(channel.subdirs["noarch"])).digests)


def left_behind(folder: DataFolder) -> list[str]:
    return [path.name for path in folder.incoming.iterdir()]


@pytest.mark.parametrize("extension", [".conda", ".tar.bz2"])
async def test_package_is_in_the_index_when_the_answer_comes(
    callers: Callers, hosted: str, services: Services, extension: str
) -> None:
    filename, content = package(extension=extension)
    answer = await upload(callers, filename, content)
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert shown["sha256"] == hashlib.sha256(content).hexdigest()
    assert (shown["channel"], shown["subdir"], shown["filename"]) == ("team", "noarch", filename)
    assert (shown["status"], shown["origin"], shown["package"]) == ("active", "upload", "demo")
    assert shown["created_by"] == "ada (token admin)"
    assert await index_names(services) == {"demo"}


async def test_body_may_come_in_chunks_of_unknown_length(callers: Callers, hosted: str) -> None:
    filename, content = package()
    answer = await upload(callers, filename, pieces(content))
    assert "content-length" not in answer.request.headers
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "headers", [{"x-file-name": "demo-1.0-0.conda"}, {"content-disposition": 'attachment; filename="demo-1.0-0.conda"'}]
)
async def test_file_name_may_come_in_a_header(callers: Callers, hosted: str, headers: dict[str, str]) -> None:
    answer = await callers.admin.post("/channels/team/artifacts", content=package()[1], headers=headers)
    assert answer.status_code == 201, answer.text


async def test_file_name_must_come(callers: Callers, hosted: str) -> None:
    answer = await callers.admin.post("/channels/team/artifacts", content=package()[1])
    assert (answer.status_code, answer.json()["code"]) == (422, "filename-missing")


async def test_form_may_hold_several_files(callers: Callers, hosted: str, services: Services) -> None:
    files = [("file", package()), ("file", package("other", extension=".tar.bz2", content=bytes(range(256)) * 999))]
    answer = await callers.admin.post("/channels/team/artifacts", files=files)
    assert answer.status_code == 201, answer.text
    assert [one["package"] for one in answer.json()["items"]] == ["demo", "other"]
    assert await index_names(services) == {"demo", "other"}


async def test_form_says_which_files_were_taken_before_a_bad_one(callers: Callers, hosted: str) -> None:
    files = [("file", package()), ("file", ("bad-1.0-0.conda", b"nonsense"))]
    answer = await callers.admin.post("/channels/team/artifacts", files=files)
    assert answer.status_code == 422
    assert answer.json()["reasons"][-1] == "demo-1.0-0.conda was taken."
    assert (await callers.admin.get("/channels/team/artifacts")).json()["items"][0]["package"] == "demo"


FORM = {"content-type": "multipart/form-data; boundary=cut"}
HEAD = b'--cut\r\nContent-Disposition: form-data; name="%s"; filename="demo-1.0-0.conda"\r\n\r\n'


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "multipart/form-data"}, b"x"),
        ({"content-type": f"multipart/form-data; boundary={'b' * 999}"}, b"x"),
        (FORM, b""),
        (FORM, b"--cut--\r\n"),
        (FORM, b"garbage"),
        (FORM, HEAD % b"file"),
        (FORM, HEAD % b"file" + b"half a file"),
        (FORM, HEAD % b"other" + b"a file\r\n--cut--\r\n"),
        (FORM, b'--cut\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--cut--\r\n'),
    ],
)
async def test_bad_forms_are_refused(
    callers: Callers, hosted: str, services: Services, headers: dict[str, str], body: bytes
) -> None:
    answer = await callers.admin.post("/channels/team/artifacts", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "form-invalid")
    assert left_behind(services.core.place.folder) == []


async def test_same_bytes_again_are_fine_and_other_bytes_are_not(callers: Callers, hosted: str) -> None:
    filename, content = package()
    assert (await upload(callers, filename, content)).status_code == 201
    again = await upload(callers, filename, content)
    assert (again.status_code, again.json()["status"]) == (200, "active")
    other = await upload(callers, *package(content=b"other\n"))
    assert (other.status_code, other.json()["code"]) == (409, "artifact-exists")


async def test_upload_goes_to_the_subdir_the_package_names(callers: Callers, hosted: str) -> None:
    filename, content = package(subdir="linux-64")
    wrong = await upload(callers, filename, content, subdir="noarch")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "artifact-subdir-differs")
    malformed = await upload(callers, filename, content, subdir="../noarch")
    assert (malformed.status_code, malformed.json()["code"]) == (422, "subdir-invalid")
    assert (await upload(callers, filename, content, subdir="linux-64")).json()["subdir"] == "linux-64"


async def test_package_of_no_known_form_of_subdir_is_refused(callers: Callers, hosted: str) -> None:
    for subdir in ("../../etc", "", "Linux_64"):
        answer = await upload(callers, *package(subdir=subdir))
        assert (answer.status_code, answer.json()["code"]) == (422, "subdir-invalid")


def climbing() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2") as tar:
        member = tarfile.TarInfo("../../etc/passwd")
        tar.addfile(member, io.BytesIO())
    return buffer.getvalue()


GOOD = package()[1]


@pytest.mark.parametrize(
    ("filename", "content", "code"),
    [
        ("demo-2.0-0.tar.bz2", package(extension=".tar.bz2")[1], "artifact-name-mismatch"),
        ("demo.conda", GOOD, "artifact-name-invalid"),
        ("demo-1.0-0.zip", GOOD, "artifact-name-invalid"),
        ("../demo-1.0-0.conda", GOOD, "artifact-name-invalid"),
        ("Demo-1.0-0.conda", GOOD, "artifact-name-invalid"),
        ("demo-1.0-0.conda", b"", "artifact-empty"),
        ("demo-1.0-0.conda", b"not an archive at all", "artifact-not-an-archive"),
        ("demo-1.0-0.conda", b"<!DOCTYPE html><html></html>", "artifact-html"),
        ("demo-1.0-0.tar.bz2", package(extension=".tar.bz2")[1][:-20], "artifact-truncated"),
        ("demo-1.0-0.tar.bz2", climbing(), "artifact-path-escapes"),
    ],
)
async def test_what_is_no_sound_package_leaves_nothing_behind(
    callers: Callers, hosted: str, services: Services, filename: str, content: bytes, code: str
) -> None:
    answer = await upload(callers, filename, content)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert left_behind(services.core.place.folder) == []
    assert list(services.core.store.iter_digests()) == []
    assert (await callers.admin.get("/channels/team/artifacts")).json() == {"items": [], "next": None}


async def test_truncated_conda_is_refused(callers: Callers, hosted: str) -> None:
    answer = await upload(callers, "demo-1.0-0.conda", GOOD[:-40])
    assert answer.status_code == 422
    assert answer.json()["code"].startswith("artifact-")


class Endless:
    """A body that counts what was read of it."""

    def __init__(self) -> None:
        self.read_bytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.read_bytes < 10_000_000:
            self.read_bytes += 1000
            yield bytes(1000)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
class TestLimit:
    """Packages of more than 5000 bytes are too large here."""

    @pytest.fixture
    def place(self, place: Place) -> Place:
        place.folder.settings.write_text("[upload]\nmax_bytes = 5000\n")
        return open_place(place.folder.root)

    async def test_oversize_stops_early(self, callers: Callers, hosted: str, services: Services) -> None:
        body = Endless()
        answer = await upload(callers, "demo-1.0-0.conda", body)
        assert (answer.status_code, answer.json()["code"]) == (413, "artifact-too-large")
        assert body.read_bytes <= 7000
        assert left_behind(services.core.place.folder) == []

    async def test_announced_oversize_is_refused_unread(self, callers: Callers, hosted: str) -> None:
        body = Endless()
        answer = await callers.admin.post(
            "/channels/team/artifacts?filename=demo-1.0-0.conda", content=body, headers={"content-length": "9999999"}
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "artifact-too-large")
        assert body.read_bytes == 0

    async def test_oversize_in_a_form_stops_early(self, callers: Callers, hosted: str) -> None:
        answer = await callers.admin.post("/channels/team/artifacts", files={"file": ("demo-1.0-0.conda", bytes(9000))})
        assert (answer.status_code, answer.json()["code"]) == (413, "artifact-too-large")


async def test_upload_to_a_mirror_is_refused_unread(callers: Callers, mirror: str) -> None:
    body = Endless()
    answer = await callers.admin.post(f"/channels/{mirror}/artifacts?filename=demo-1.0-0.conda", content=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "kind-unfit")
    assert body.read_bytes == 0


async def test_refusal_comes_before_the_body_is_read(callers: Callers, hosted: str) -> None:
    for caller in (callers.anonymous, callers.viewer):
        body = Endless()
        answer = await caller.post("/channels/team/artifacts?filename=a-1-0.conda", content=body)
        assert answer.status_code in {401, 403}
        assert body.read_bytes == 0


async def test_delete_is_for_good(callers: Callers, hosted: str, services: Services) -> None:
    filename, content = package()
    await upload(callers, filename, content)
    assert (await callers.admin.delete(f"{NOARCH}/{filename}")).status_code == 204
    assert await index_names(services) == set()
    again = await callers.admin.delete(f"{NOARCH}/{filename}")
    assert (again.status_code, again.json()["code"]) == (404, "artifact-unknown")
    other = package(content=b"other\n")[1]
    refused = await upload(callers, filename, other)
    assert (refused.status_code, refused.json()["code"]) == (409, "artifact-deleted")
    adder = await callers.adder.post(
        "/channels/team/artifacts", params={"filename": filename, "replace_deleted": True}, content=other
    )
    assert adder.status_code == 403
    replaced = await upload(callers, filename, other, replace_deleted=True)
    assert (replaced.status_code, replaced.json()["status"]) == (201, "active")


async def test_same_bytes_may_come_back_after_deletion(callers: Callers, hosted: str) -> None:
    filename, content = package()
    await upload(callers, filename, content)
    await callers.admin.delete(f"{NOARCH}/{filename}")
    assert (await upload(callers, filename, content)).status_code == 201


async def test_yank_and_unyank(callers: Callers, hosted: str, services: Services) -> None:
    filename, content = package()
    await upload(callers, filename, content)
    yanked = await callers.admin.post(f"{NOARCH}/{filename}/yank")
    assert (yanked.status_code, yanked.json()["status"]) == (200, "yanked")
    assert await index_names(services) == set()
    assert (await callers.admin.post(f"{NOARCH}/{filename}/yank")).json()["status"] == "yanked"
    back = await callers.admin.post(f"{NOARCH}/{filename}/unyank")
    assert (back.status_code, back.json()["status"]) == (200, "active")
    assert await index_names(services) == {"demo"}


async def test_change_of_an_unknown_file_leaves_no_subdir_behind(callers: Callers, hosted: str) -> None:
    answer = await callers.admin.delete("/channels/team/artifacts/linux-64/demo-1.0-0.conda")
    assert (answer.status_code, answer.json()["code"]) == (404, "artifact-unknown")
    shown = (await callers.admin.get("/channels/team")).json()
    assert [subdir["name"] for subdir in shown["subdirs"]] == ["noarch"]


async def test_names_in_paths_are_parsed(callers: Callers, hosted: str) -> None:
    for path in ("no..arch/demo-1.0-0.conda", "noarch/demo.txt"):
        assert (await callers.admin.delete(f"/channels/team/artifacts/{path}")).status_code == 422


async def test_files_are_listed_by_subdir_package_and_status(callers: Callers, hosted: str) -> None:
    for name, subdir in [("alpha", "noarch"), ("beta", "noarch"), ("beta", "linux-64")]:
        assert (await upload(callers, *package(name, subdir=subdir))).status_code == 201
    await callers.admin.delete(f"{NOARCH}/alpha-1.0-0.conda")
    await callers.admin.post(f"{NOARCH}/beta-1.0-0.conda/yank")

    async def found(**query: str) -> list[tuple[str, str]]:
        answer = await callers.admin.get("/channels/team/artifacts", params=query)
        return [(one["subdir"], one["package"]) for one in answer.json()["items"]]

    assert await found() == [("noarch", "beta"), ("linux-64", "beta")]
    assert await found(subdir="linux-64") == [("linux-64", "beta")]
    assert await found(package="alpha") == []
    assert await found(status="deleted") == [("noarch", "alpha")]
    assert await found(status="yanked", package="beta") == [("noarch", "beta")]
    for query in ({"status": "lost"}, {"subdir": "x/y"}, {"package": "A B"}):
        assert (await callers.admin.get("/channels/team/artifacts", params=query)).status_code == 422
