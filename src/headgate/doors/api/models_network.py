"""Bodies and answers about the outgoing network."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from headgate.doors.api.models import Name, Text, taken

_PEM = "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n"


class CaBody(BaseModel):
    """Certificates to trust."""

    model_config = taken({"name": "corporate", "certificates": _PEM, "is_everywhere": False})

    name: Name = Field(description="Lower-case letters, digits, `_`, `.`, `-`.")
    certificates: str = Field(max_length=900_000, description="PEM, one or several, or base64 of DER.")
    is_everywhere: StrictBool = Field(
        default=False, description="True: every mirror trusts them; false: those that name the bundle in `ca`."
    )


class CertificateAnswer(BaseModel):
    """A certificate of a bundle."""

    model_config = ConfigDict(from_attributes=True)

    subject: str
    issuer: str
    expires_at: datetime
    is_authority: bool = Field(description="False: it is trusted for itself alone.")


class CaAnswer(BaseModel):
    """A CA bundle."""

    name: str
    is_everywhere: bool
    created_at: datetime
    created_by: str
    certificates: list[CertificateAnswer]


class RestingAnswer(BaseModel):
    """A host that gave no answer several times in a row, and is left alone."""

    model_config = ConfigDict(from_attributes=True)

    host: str
    seconds: float = Field(description="For how long from now.")
    failures: int
    reason: str


class NetworkAnswer(BaseModel):
    """How requests leave unless a mirror says otherwise."""

    proxy: dict[str, str | None] = Field(description="Per scheme; secrets as `•••`.")
    no_proxy: list[str]
    retries: int
    connections: int
    ca: list[str] = Field(description="CA bundles that are trusted everywhere.")
    resting: list[RestingAnswer] = Field(description="Hosts that are left alone just now.")


class TrialStepAnswer(BaseModel):
    """One step on the way to a mirror."""

    model_config = ConfigDict(from_attributes=True)

    step: str = Field(description="dns, proxy, connection, tls, credentials, repodata or package.")
    state: str = Field(description="ok, failed, or skipped.")
    sentence: Text


class TrialAnswer(BaseModel):
    """What came of trying one URL of a mirror; later steps are skipped when one failed."""

    model_config = ConfigDict(from_attributes=True)

    url: str
    is_good: bool
    sentence: str = Field(description="What failed and what to do, or that nothing did.")
    steps: list[TrialStepAnswer]


class TrialsAnswer(BaseModel):
    """What came of trying a mirror."""

    channel: str
    mirror: str
    is_good: bool = Field(description="Whether some URL of it works.")
    warnings: list[str]
    trials: list[TrialAnswer]
