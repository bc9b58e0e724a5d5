"""A real directory server: slapd, on a free port of the loopback interface, with certificates of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.live import free_port

SUFFIX = "dc=corp,dc=example"
PEOPLE, GROUPS = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}"
ADMIN, ADMIN_PASSWORD = f"cn=admin,{SUFFIX}", "directory-admin-secret"
READER, READER_PASSWORD = f"cn=reader,{SUFFIX}", "directory-reader-secret"
_SCHEMAS = Path("/etc/ldap/schema")
_MODULES = Path("/usr/lib/ldap")

_CONFIG = """
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
include {folder}/accounts.schema
modulepath {modules}
moduleload back_mdb
moduleload memberof
pidfile {folder}/slapd.pid
sizelimit size.soft=10 size.hard=500 size.prtotal=unlimited
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
database mdb
suffix "{suffix}"
rootdn "{admin}"
rootpw {password}
directory {folder}/db
maxsize 10485760
index objectClass,uid,member eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
overlay memberof
"""

# What Active Directory says of an account, in the form it has there.
_ACCOUNTS = """
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.4203.666.1.1 NAME 'account2' SUP top AUXILIARY MAY ( userAccountControl $ objectGUID ) )
"""

_TREE = f"""
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
o: corp
dc: corp

dn: {READER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {READER_PASSWORD}

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups
"""


def person(uid: str, password: str, *, more: str = "") -> str:
    """LDIF of a person."""
    return f"""
dn: uid={uid},{PEOPLE}
objectClass: inetOrgPerson
objectClass: account2
uid: {uid}
cn: {uid} of Corp
sn: {uid}
userPassword: {password}
{more}"""


def group(name: str, *members: str) -> str:
    """LDIF of a group; members are user ids, or groups as `group:NAME`."""
    lines = [f"dn: cn={name},{GROUPS}", "objectClass: groupOfNames", f"cn: {name}"]
    return "\n" + "\n".join(lines + [f"member: {dn_of(member)}" for member in members]) + "\n"


def dn_of(member: str) -> str:
    """`ada` is a person, `group:engineers` a group."""
    kind, _, name = member.rpartition(":")
    return f"cn={name},{GROUPS}" if kind == "group" else f"uid={name},{PEOPLE}"


class Authority:
    """A certificate authority that lives as long as a test."""

    def __init__(self, name: str = "Corp test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @cached_property
    def pem(self) -> str:
        """Its certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, name: x509.GeneralName) -> tuple[bytes, bytes]:
        """A server's certificate and key, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "directory")])
        names = x509.SubjectAlternativeName([name])
        certificate = self._builder(subject, key).add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        return (
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=30))
        )


class Slapd:
    """A directory with people and groups; it can be stopped and started again with the same content."""

    def __init__(self, folder: Path, ldif: str) -> None:
        self.folder = folder
        self.authority = Authority()
        self.host = "127.0.0.1"
        self.port, self.tls_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        # A copy: where AppArmor confines slapd to the system's folders, it goes by the program's path.
        program = shutil.copy(shutil.which("slapd") or "", folder / "slapd")
        (folder / "slapadd").symlink_to(program)
        self._write_config()
        subprocess.run(
            [str(folder / "slapadd"), "-q", "-f", str(folder / "slapd.conf")],
            input=(_TREE + ldif).encode(),
            check=True,
            capture_output=True,
        )

    @property
    def url(self) -> str:
        """Where it speaks plainly, and StartTLS."""
        return f"ldap://{self.host}:{self.port}"

    @property
    def tls_url(self) -> str:
        """Where it speaks TLS from the first byte."""
        return f"ldaps://{self.host}:{self.tls_port}"

    @property
    def ca(self) -> str:
        """The certificate that its own is signed with."""
        return self.authority.pem

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()

    def start(self, *, tls: bool = True) -> None:
        """Start, and return when it answers."""
        urls = f"{self.url}/ {self.tls_url}/" if tls else f"{self.url}/"
        words = [str(self.folder / "slapd"), "-d", "0", "-f", str(self.folder / "slapd.conf"), "-h", urls]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        give_up_at = time.monotonic() + 30
        while self._run("ldapwhoami").returncode != 0:
            assert self._process.poll() is None, "slapd did not start"
            assert time.monotonic() < give_up_at, "slapd does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop, and return when it is gone."""
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(signal.SIGTERM)
        process.wait(30)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It takes connections, and answers nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def add(self, ldif: str) -> None:
        """Add entries."""
        done = self._run("ldapadd", text=ldif)
        assert done.returncode == 0, done.stderr

    def modify(self, ldif: str) -> None:
        """Change entries."""
        done = self._run("ldapmodify", text=ldif)
        assert done.returncode == 0, done.stderr

    def delete(self, *dns: str) -> None:
        """Delete entries."""
        done = self._run("ldapdelete", *dns)
        assert done.returncode == 0, done.stderr

    def _run(self, command: str, *words: str, text: str = "") -> subprocess.CompletedProcess[bytes]:
        bind = ["-x", "-H", self.url, "-D", ADMIN, "-w", ADMIN_PASSWORD]
        return subprocess.run([command, *bind, *words], input=text.encode(), capture_output=True, check=False)

    def _write_config(self) -> None:
        (self.folder / "db").mkdir()
        (self.folder / "ca.pem").write_text(self.ca)
        certificate, key = self.authority.issue(x509.IPAddress(ip_address("127.0.0.1")))
        (self.folder / "server.pem").write_bytes(certificate)
        (self.folder / "server.key").write_bytes(key)
        (self.folder / "accounts.schema").write_text(_ACCOUNTS)
        (self.folder / "slapd.conf").write_text(
            _CONFIG.format(
                schemas=_SCHEMAS,
                modules=_MODULES,
                folder=self.folder,
                suffix=SUFFIX,
                admin=ADMIN,
                password=ADMIN_PASSWORD,
                reader=READER,
            )
        )


@contextmanager
def directory(ldif: str) -> Iterator[Slapd]:
    """A directory that runs; skips the test where slapd or the client library is missing, though never in CI."""
    missing = [name for name in ("slapd", "ldapadd") if shutil.which(name) is None]
    _require(" and ".join(missing) or None)
    require_library()
    with tempfile.TemporaryDirectory(prefix="headgate-slapd-") as folder, Slapd(Path(folder), ldif) as server:
        yield server


def require_library() -> None:
    """Skip the test where the extra `ldap` is not installed, though never in CI."""
    try:
        import_module("ldap3")
    except ImportError:
        _require("the extra `ldap` of Headgate")


def _require(missing: str | None) -> None:
    if missing is None:
        return
    sentence = f"{missing} is not installed"
    assert not os.environ.get("CI"), sentence
    pytest.skip(sentence)
