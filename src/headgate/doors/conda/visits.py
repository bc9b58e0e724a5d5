"""What the conda door found out about a request, for whoever wants to remember it."""

from headgate.access.principals import Principal
from headgate.doors.conda.paths import CondaPath


class Visit:
    """Filled while the request is answered; what stays empty was never reached."""

    __slots__ = ("path", "principal", "sent_elsewhere_bytes", "sha256", "verdict")

    def __init__(self) -> None:
        self.path: CondaPath | None = None
        self.principal: Principal | None = None
        self.sha256 = ""
        self.verdict = "allow"
        self.sent_elsewhere_bytes = 0
        """Of a file that the server in front was told to send."""
