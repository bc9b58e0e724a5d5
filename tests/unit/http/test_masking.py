import pytest

from headgate.http.client import mask_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://conda.anaconda.org/conda-forge/", "https://conda.anaconda.org/conda-forge/"),
        ("https://me:s3cret@host:8443/c/", "https://•••@host:8443/c/"),
        ("https://me@host/c", "https://•••@host/c"),
        ("https://me:se/cr@et@host/c", "https://•••@host/c"),
        ("https://host/t/ab-12/c/noarch/x.conda", "https://host/t/•••/c/noarch/x.conda"),
        ("https://host/t/ab-12", "https://host/t/•••"),
        ("https://host/x?token=abc&v=1", "https://host/x?token=•••&v=1"),
        ("https://host/x?v=1&api_KEY=abc#top", "https://host/x?v=1&api_KEY=•••#top"),
        (
            "https://s3/x?X-Amz-Signature=ab&X-Amz-Credential=cd",
            "https://s3/x?X-Amz-Signature=•••&X-Amz-Credential=•••",
        ),
        ("https://host:8443/@scope/x@1", "https://host:8443/@scope/x@1"),
        ("https://[2001:db8::1]:80/c", "https://[2001:db8::1]:80/c"),
        ("file:///srv/channel/", "file:///srv/channel/"),
    ],
)
def test_secrets_in_a_url_are_hidden(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_masking_twice_changes_nothing() -> None:
    once = mask_url("https://a:b@h/t/x/c?sig=1")
    assert mask_url(once) == once
