"""Base URLs as they are kept: they find their way back, and hold no secret."""

import pytest

from headgate.channels.bases import find_base, keep_base
from headgate.db.sealing import Sealer

SEALER = Sealer(b"x" * 32, "test")
ROOT = "https://me:s3cret@host.example/t/tok3n/main/noarch/"
BARE = "https://host.example/t/tok3n/main/noarch/"


@pytest.mark.parametrize(
    ("base_url", "kept"),
    [
        (ROOT, "./"),
        (BARE, "./"),
        ("https://me:s3cret@host.example/t/tok3n/main/pool/", "../pool/"),
        ("https://host.example/t/tok3n/main/noarch/a%2Fb/", "a%2Fb/"),
        ("https://host.example/", "../../../../"),
        ("https://cdn.example:8443/x/", "https://cdn.example:8443/x/"),
    ],
)
def test_base_is_relative_where_that_is_possible(base_url: str, kept: str) -> None:
    assert keep_base(base_url, ROOT, SEALER) == kept
    found = find_base(kept, ROOT, SEALER)
    assert found.replace("me:s3cret@", "") == base_url.replace("me:s3cret@", "")


@pytest.mark.parametrize("base_url", ["https://host.example/t/0ther/x/", "https://cdn.example/t/0ther/x/"])
def test_secret_that_the_upstream_named_is_sealed(base_url: str) -> None:
    kept = keep_base(base_url, ROOT, SEALER)
    assert "0ther" not in kept
    assert find_base(kept, BARE, SEALER) == base_url


def test_base_follows_the_mirror_to_its_other_url_and_its_new_token() -> None:
    kept = keep_base("https://host.example/t/tok3n/main/pool/", BARE, SEALER)
    assert find_base(kept, "https://near.example/t/new/main/noarch/", SEALER) == "https://near.example/t/new/main/pool/"


def test_folder_is_kept_relative_too() -> None:
    assert keep_base("file:///srv/main/pool/", "file:///srv/main/noarch/", SEALER) == "../pool/"
    assert find_base("../pool/", "file:///mnt/main/noarch/", SEALER) == "file:///mnt/main/pool/"
