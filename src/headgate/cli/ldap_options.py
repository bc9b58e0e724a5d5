"""The options of `headgate ldap add` and `set`, and the body of a request that they make."""

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class TemplateName(StrEnum):
    """What a directory starts from."""

    ACTIVE_DIRECTORY = "active-directory"
    OPENLDAP = "openldap"
    FREEIPA = "freeipa"


Directory = Annotated[str, typer.Argument(metavar="NAME", help="The directory's name here.")]
Template = Annotated[TemplateName | None, typer.Option("--template", help="What to start from.")]
Urls = Annotated[list[str] | None, typer.Option("--url", metavar="URL", help="ldaps:// or ldap://; repeatable.")]
Position = Annotated[int | None, typer.Option("--position", min=1, metavar="N", help="1 is asked first.")]
StartTls = Annotated[bool | None, typer.Option("--starttls/--no-starttls", help="For ldap:// URLs; on unless said.")]
Insecure = Annotated[
    bool | None,
    typer.Option("--insecure/--no-insecure", help="Allow ldap:// without StartTLS: passwords in the clear."),
]
CaFile = Annotated[Path | None, typer.Option("--ca-file", metavar="FILE", help="CA certificates to trust, as PEM.")]
BindDn = Annotated[str | None, typer.Option("--bind-dn", metavar="DN", help="Who searches; nobody unless given.")]
BindPasswordFile = Annotated[
    Path | None, typer.Option("--bind-password-file", metavar="FILE", help="Holds the bind DN's password; -: stdin.")
]
BaseOption = Annotated[str | None, typer.Option("--user-base", metavar="DN", help="Where people are.")]
UserFilter = Annotated[str | None, typer.Option("--user-filter", metavar="F", help="Finds one; holds {login}.")]
NameAttribute = Annotated[str | None, typer.Option("--name-attribute", metavar="A", help="What people are called.")]
IdAttribute = Annotated[str | None, typer.Option("--id-attribute", metavar="A", help="What names them for good.")]
GroupBase = Annotated[str | None, typer.Option("--group-base", metavar="DN", help="Where groups are.")]
GroupFilter = Annotated[str | None, typer.Option("--group-filter", metavar="F", help="Holds {dn} or {login}.")]
Nested = Annotated[bool | None, typer.Option("--nested/--not-nested", help="Follow groups in groups.")]
MemberOf = Annotated[bool | None, typer.Option("--member-of/--no-member-of", help="Read memberOf as well.")]
Map = Annotated[
    list[str] | None,
    typer.Option("--group", metavar="EXTERNAL->G", help="Whoever is in EXTERNAL there is in G here; repeatable."),
]
MapRole = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="EXTERNAL->R", help="Whoever is in EXTERNAL there has role R here; repeatable."),
]
AskPassword = Annotated[bool, typer.Option("--ask-password", help="Ask for the person's password, and check it.")]

_PLAIN = (
    "urls user_base position starttls insecure bind_dn user_filter name_attribute id_attribute group_base group_filter "
    "nested member_of"
).split()


def settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a body that options were given for."""
    body = {name: given[name] for name in _PLAIN if given[name] is not None}
    if given["ca_file"] is not None:
        body["ca"] = _text_of(given["ca_file"])
    if given["bind_password_file"] is not None:
        body["bind_password"] = _text_of(given["bind_password_file"]).partition("\n")[0]
    return body


def mappings_of(groups: list[str] | None, roles: list[str] | None) -> dict[str, Any]:
    """`mappings`, when there are any: what each group of the directory gives."""
    found: dict[str, dict[str, Any]] = {}
    for kind, given in (("groups", groups), ("roles", roles)):
        for text in given or ():
            external, arrow, name = text.rpartition("->")
            if not arrow or not external.strip() or not name.strip():
                raise typer.BadParameter(f"{text!r} should read EXTERNAL->NAME.")
            mapping = found.setdefault(external.strip(), {"external": external.strip(), "groups": [], "roles": []})
            mapping[kind].append(name.strip())
    return {"mappings": list(found.values())} if found else {}


def _text_of(path: Path) -> str:
    if str(path) == "-":
        return sys.stdin.read()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"Cannot read {path}: {error}.") from error
