"""Bodies and answers about mirrors."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from headgate.channels.mirrors import Mirror, new
from headgate.conda.names import Subdir
from headgate.doors.api.models import Text, shown, taken
from headgate.doors.api.models_network import RestingAnswer

_NETWORK = {"proxy": "http://•••@proxy.example:3128", "ca": ["corporate"], "retries": 3}
_MIRROR: dict[str, Any] = {
    "name": "main",
    "urls": ["https://conda.anaconda.org/conda-forge"],
    "subdirs": ["noarch", "linux-64"],
    "settings": {"network": _NETWORK},
}


class NetworkBody(BaseModel):
    """How a mirror is reached. What is left out stays; null takes it back to what the server's own settings say."""

    model_config = taken(_NETWORK)

    proxy: Text | None = Field(default=None, description="http or https URL with its credentials; `direct`: none.")
    no_proxy: list[Text] | None = Field(
        default=None, max_length=1000, description="Hosts, `.suffixes`, addresses, CIDR blocks reached without a proxy."
    )
    ca: list[Text] | None = Field(
        default=None, max_length=100, description="CA bundles trusted for this mirror alone, besides the system's."
    )
    verify: StrictBool | None = Field(default=None, description="False: certificates are not checked; a warning shows.")
    client_certificate: str | None = Field(default=None, max_length=65536, description="PEM, for the upstream to see.")
    client_key: str | None = Field(default=None, max_length=65536, description="Its PEM key, without a passphrase.")
    bearer_token: Text | None = Field(default=None, description="Sent as `Authorization: Bearer`.")
    connect_timeout_seconds: float | None = Field(default=None, gt=0, le=3600)
    stall_timeout_seconds: float | None = Field(default=None, gt=0, le=3600)
    retries: int | None = Field(default=None, ge=0, le=10, description="Of a request that met a passing failure.")
    connections: int | None = Field(default=None, ge=1, le=1000, description="Requests open at once, per process.")
    bytes_per_second: int | None = Field(default=None, ge=1024, le=1 << 40, description="Received, per process.")


class MirrorSettingsBody(BaseModel):
    """Settings of a mirror, in sections; a section left out stays, null takes all of it back."""

    model_config = taken({"network": _NETWORK})

    network: NetworkBody | None = None


class MirrorChange(BaseModel):
    """What to change of a mirror; what is left out stays as it is, `•••` as it was shown means the secret that is kept."""

    model_config = taken({"settings": {"network": {"proxy": "http://user:password@proxy.example:3128"}}}, _MIRROR)

    name: Text | None = Field(default=None, description="Its name in the channel; new ones get `main`, `main-2`, …")
    urls: list[Text] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="http, https or file URLs of one channel, tried in order.",
    )
    subdirs: list[Text] | None = Field(
        default=None, max_length=100, description="The subdirs to follow; null: every one that clients ask for."
    )
    settings: MirrorSettingsBody | None = None
    warnings: list[str] | None = Field(default=None, description="Said by the server; in a body it has no effect.")

    def given(self) -> dict[str, Any]:
        """What there is to change, as `mirrors.changed` takes it. Raises Invalid `subdir-invalid`."""
        found = self.model_dump(exclude_unset=True, exclude={"warnings"})
        if "subdirs" in found and found["subdirs"] is not None:
            found["subdirs"] = tuple(Subdir.parse(subdir) for subdir in found["subdirs"])
        return {key: value for key, value in found.items() if value is not None or key == "subdirs"}


class MirrorBody(MirrorChange):
    """A mirror to add, or as it shall be: `subdirs` left out means every one, a setting left out stays as it is."""

    model_config = taken(_MIRROR)

    urls: list[Text] = Field(min_length=1, max_length=20, description="URLs of one channel, tried in order.")

    def mirror(self) -> Mirror:
        """The mirror to add. Raises Invalid."""
        given: Mapping[str, Any] = self.given()
        return new(self.name, self.urls, given.get("subdirs"), {"settings": given.get("settings")})


class MirrorAnswer(BaseModel):
    """A mirror; secrets are shown as `•••`."""

    model_config = shown(_MIRROR | {"warnings": []})

    name: str
    urls: list[str]
    subdirs: list[str] | None
    settings: dict[str, Any]
    warnings: list[str] = Field(description="What is dangerous about its settings.")


class MirrorSubdirAnswer(BaseModel):
    """How one subdir of a mirror stands."""

    name: str
    checked_at: datetime | None
    synced_at: datetime | None
    failure: str | None
    names: int = Field(description="Package names that the upstream offers there.")


class MirrorStatusAnswer(BaseModel):
    """How one mirror stands; `status` has the subdirs that were looked at."""

    model_config = ConfigDict()

    name: str
    urls: list[str]
    subdirs: list[str] | None
    warnings: list[str]
    resting: list[RestingAnswer] = Field(description="Its hosts that the web worker which answers leaves alone.")
    status: list[MirrorSubdirAnswer]


class StandingAnswer(BaseModel):
    """How the mirrors of a channel stand."""

    channel: str
    mirrors: list[MirrorStatusAnswer]


class SyncBody(BaseModel):
    """What to sync."""

    model_config = taken({}, {"subdirs": ["linux-64"]}, {"mirror": "main"})

    subdirs: list[Text] | None = Field(default=None, description="null: those its mirrors name, else every known one.")
    mirror: Text | None = Field(default=None, description="null: every mirror of the channel.")
