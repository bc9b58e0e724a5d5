"""Package URLs, in every form that names a conda package or its upstream."""

import pytest

from headgate.advisories.purls import Package, package_of, read_purl, render_conda_purl
from headgate.advisories.statements import Builds


@pytest.mark.parametrize(
    ("purl", "package"),
    [
        ("pkg:pypi/Foo_Bar@1.0", Package("PyPI", "foo-bar")),
        ("pkg:cran/ggplot2", Package("CRAN", "ggplot2")),
        ("pkg:npm/%40angular/core@1.0", Package("npm", "@angular/core")),
        ("pkg:maven/org.apache.commons/io@1.3.4", Package("Maven", "org.apache.commons:io")),
        ("pkg:golang/github.com/gorilla/mux", Package("Go", "github.com/gorilla/mux")),
        ("pkg:github/Madler/zlib@v1", Package("GIT", "github.com/madler/zlib")),
        ("pkg:cargo/ring", Package("crates.io", "ring")),
        ("cpe:2.3:a:openssl:openssl:1.1.1:*:*:*:*:*:*:*", Package("CPE", "openssl:openssl")),
    ],
)
def test_purl_names_a_package_of_its_ecosystem(purl: str, package: Package) -> None:
    read = read_purl(purl)
    assert read is not None
    assert read[0] == package


@pytest.mark.parametrize(
    ("purl", "version", "builds"),
    [
        (
            "pkg:conda/absl-py@0.4.1?build=py36h06a4308_0&channel=main&subdir=linux-64&type=tar.bz2",
            "0.4.1",
            Builds(version="0.4.1", build="py36h06a4308_0", subdir="linux-64"),
        ),
        (
            "pkg:conda/conda-forge/zlib@1.3.2?build=h25fd6f3_2&build_number=2",
            "1.3.2",
            Builds(version="1.3.2", build="h25fd6f3_2", build_number=2),
        ),
        ("pkg:conda/demo?checksum=sha256:AB", None, Builds(sha256="ab")),
        ("pkg:conda/demo@1%211.0%2Bcu", "1!1.0+cu", Builds(version="1!1.0+cu")),
        ("pkg:conda/demo", None, None),
    ],
)
def test_conda_purl_in_both_forms(purl: str, version: str | None, builds: Builds | None) -> None:
    read = read_purl(purl)
    assert read is not None
    assert (read[0].ecosystem, read[1], read[2]) == ("conda", version, builds)


@pytest.mark.parametrize(
    "text", ["", "zlib", "pkg:", "pkg:nosuchtype/x", "pkg:pypi", "cpe:2.3:o:linux", "cpe:2.3:h:a:b:c"]
)
def test_what_is_no_purl_of_a_known_ecosystem_is_none(text: str) -> None:
    assert read_purl(text) is None


@pytest.mark.parametrize("purl", ["pkg:pypi/foo-bar", "pkg:cran/ggplot2", "pkg:github/madler/zlib", "pkg:conda/demo"])
def test_package_is_written_as_the_purl_it_was_read_from(purl: str) -> None:
    read = read_purl(purl)
    assert read is not None
    assert str(read[0]) == purl


def test_written_conda_purl_names_the_build_again() -> None:
    purl = render_conda_purl("demo", "1!2.0+x", "h1_0", "noarch", "ab" * 32)
    read = read_purl(purl)
    assert read is not None
    assert read[2] == Builds("1!2.0+x", "h1_0", None, "noarch", "ab" * 32)


def test_pypi_names_are_compared_as_pypi_does() -> None:
    assert package_of("PyPI", "Zope.Interface") == package_of("PyPI", "zope_interface")
    assert package_of("CRAN", "Rcpp") != package_of("CRAN", "rcpp")
