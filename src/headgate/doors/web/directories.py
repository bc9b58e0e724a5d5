"""LDAP directories: added from a template, changed, put in order, removed. A bind password is never shown."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.ldap.service import UNCHANGED, LdapChange
from headgate.access.ldap.settings import TEMPLATES, LdapSettings
from headgate.access.ldap.store import KeptDirectory
from headgate.access.permissions import Permission
from headgate.doors.web.admin import admin_page
from headgate.doors.web.fields import lines_in, number_in, pairs_in, render_pairs
from headgate.doors.web.viewing import Viewer, change, large_change, require_typed, signed_in
from headgate.kernel.errors import HeadgateError, Invalid, Refused

_PART, _HERE = "/admin/providers", "/admin/directories"
_USUAL = "active-directory"
_SYSTEMS = {"active-directory": "Active Directory", "openldap": "OpenLDAP", "freeipa": "FreeIPA"}
_NEEDED = {
    "user_filter": "The filter of people",
    "name_attribute": "The attribute of names",
    "id_attribute": "The attribute of ids",
    "group_filter": "The filter of groups",
    "group_name_attribute": "The attribute of groups' names",
}
_SWITCHES = ("starttls", "insecure", "nested", "member_of")
_NUMBERS = {
    "connect_timeout_seconds": ("Seconds to connect", 1, 60),
    "answer_timeout_seconds": ("Seconds to answer", 1, 300),
    "page_size": ("Entries at once", 1, 10_000),
}
_MOST_POSITION = 1000


@signed_in
async def show_new(viewer: Viewer) -> Response:
    """An empty one, but for what `?template=` says of such directories."""
    viewer.require(Permission.ACCESS_MANAGE)
    return _page(viewer, None, _template_fields(viewer))


@large_change
async def add_directory(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Asked behind those there are; what is wrong is said above the form."""
    viewer.require(Permission.ACCESS_MANAGE)
    name = form.get("name", "").strip()
    try:
        await viewer.services.core.ldap.add(viewer.actor, name, _change(form))
    except Refused:
        raise
    except HeadgateError as error:
        return _page(viewer, None, form, error.message)
    await viewer.services.snapshots.reload()
    return viewer.go(_PART, f"{name} is known. Try somebody's sign-in, before others rely on it.")


@signed_in
async def show_directory(viewer: Viewer) -> Response:
    """Its settings, for whoever may read them; changed by who may manage access."""
    viewer.require(Permission.ACCESS_READ)
    kept = await viewer.services.core.ldap.get(viewer.request.path_params["name"])
    return _page(viewer, kept, _fields_of(kept))


@large_change
async def change_directory(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Every setting as the form has it; the bind password stays where its dots were left."""
    viewer.require(Permission.ACCESS_MANAGE)
    ldap, name = viewer.services.core.ldap, viewer.request.path_params["name"]
    kept = await ldap.get(name)
    try:
        position = number_in(form, "position", "Its place", 1, _MOST_POSITION)
        await ldap.change(viewer.actor, name, _change(form, position))
    except Refused:
        raise
    except HeadgateError as error:
        return _page(viewer, kept, form, error.message)
    await viewer.services.snapshots.reload()
    return viewer.go(_PART, f"{name} is changed. Try somebody's sign-in, before others rely on it.")


@change
async def remove_directory(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Its people are disabled, so the name is asked for."""
    viewer.require(Permission.ACCESS_MANAGE)
    name = viewer.request.path_params["name"]
    require_typed(form, name)
    left = await viewer.services.core.ldap.remove(viewer.actor, name)
    await viewer.services.snapshots.reload()
    whom = f", and {', '.join(left[:3])}{' and others' if len(left) > 3 else ''} can no longer sign in" if left else ""
    return viewer.go(_PART, f"{name} is removed{whom}.")


def _page(viewer: Viewer, kept: KeptDirectory | None, form: Mapping[str, str], wrong: str | None = None) -> Response:
    typed = form.get("bind_password", "")
    if wrong and typed not in {"", UNCHANGED}:
        wrong += " Type the bind password again: it is not sent back."
    return admin_page(
        viewer,
        "directory.html",
        _PART,
        status=422 if wrong else 200,
        kept=kept,
        own=None if kept is None else f"{_HERE}/{quote(kept.directory.name, safe='')}",
        form={**form, "bind_password": typed if typed == UNCHANGED else ""},
        wrong=wrong,
        systems=[(said, f"{_HERE}?template={name}") for name, said in _SYSTEMS.items()],
        system=f"{_HERE}?template={_template(viewer)}",
        numbers=_NUMBERS,
        may_change=viewer.may(Permission.ACCESS_MANAGE),
    )


def _template(viewer: Viewer) -> str:
    wanted = viewer.request.query_params.get("template", "")
    return wanted if wanted in TEMPLATES else _USUAL


def _template_fields(viewer: Viewer) -> dict[str, str]:
    return _settings_fields(TEMPLATES[_template(viewer)])


def _fields_of(kept: KeptDirectory) -> dict[str, str]:
    directory = kept.directory
    return _settings_fields(directory.settings) | {
        "name": directory.name,
        "position": str(directory.position),
        "bind_password": "" if directory.bind_password is None else UNCHANGED,
    }


def _settings_fields(settings: LdapSettings) -> dict[str, str]:
    plain = ("ca", "bind_dn", "user_base", "group_base", *_NEEDED, *_NUMBERS)
    fields = {name: str(getattr(settings, name) or "") for name in plain}
    fields |= {name: "on" if getattr(settings, name) else "" for name in _SWITCHES}
    given = {
        kind: render_pairs([(one.external, name) for one in settings.mappings for name in getattr(one, kind)])
        for kind in ("groups", "roles")
    }
    return fields | given | {"urls": "\n".join(settings.urls)}


def _change(form: Mapping[str, str], position: int | None = None) -> LdapChange:
    """What a form says, whole. Raises Invalid `form-invalid`."""
    texts = {name: form.get(name, "").strip() for name in ("ca", "bind_dn", "user_base", "group_base", *_NEEDED)}
    missing = [said for name, said in _NEEDED.items() if not texts[name]]
    if missing:
        raise Invalid("form-invalid", f"{missing[0]} is missing.")
    values: dict[str, Any] = {name: text or None for name, text in texts.items()}
    values |= {name: form.get(name) == "on" for name in _SWITCHES}
    values |= {name: number_in(form, name, *limits) for name, limits in _NUMBERS.items()}
    values |= {
        "urls": lines_in(form.get("urls", "")),
        "user_base": texts["user_base"],
        "mappings": _mappings(form),
    }
    return LdapChange(values, form.get("bind_password", "") or None, position)


def _mappings(form: Mapping[str, str]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for kind in ("groups", "roles"):
        for external, name in pairs_in(form.get(kind, "")):
            one = found.setdefault(external, {"external": external, "groups": [], "roles": []})
            one[kind].append(name)
    return list(found.values())


ROUTES = [
    Route(_HERE, show_new),
    Route(_HERE, add_directory, methods=["POST"]),
    Route(f"{_HERE}/{{name}}/settings", show_directory),
    Route(f"{_HERE}/{{name}}/settings", change_directory, methods=["POST"]),
    Route(f"{_HERE}/{{name}}/remove", remove_directory, methods=["POST"]),
]
