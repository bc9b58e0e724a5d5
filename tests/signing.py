"""Real signatures and attestations, where the machine has them: `signing` in the folder that HEADGATE_SHARED names."""

import pytest

from tests.real import SHARED

FILE = "signed-package-2.1.0-hb0f4dca_0.conda"
SHA256 = "54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f"
PUBLISHER = "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main"
TARGET = "https://prefix.dev/sigstore-example"
_SIGNING = SHARED / "data" / "signing"
ATTESTATIONS, CONTENT_TRUST = _SIGNING / "attestations", _SIGNING / "content-trust"

needs_signing = pytest.mark.skipif(
    not _SIGNING.is_dir(), reason="needs real signatures: the folder data/signing below HEADGATE_SHARED"
)
