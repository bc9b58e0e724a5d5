"""`headgate policy`: rules on what may pass, where they hold, and what a draft would do."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.client import channel_path, connected, path_of
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson
from headgate.kernel.errors import Invalid

if TYPE_CHECKING:
    from headgate.cli.client import Server

app = typer.Typer(no_args_is_help=True, help="Policies: apply, attach, try, list.")

File = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A policy in TOML or JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a policy.")]
Everywhere = Annotated[bool, typer.Option("--everywhere", help="All channels.")]
Prefix = Annotated[str | None, typer.Option("--prefix", metavar="P", help="All channels below: team/*.")]
InChannel = Annotated[str | None, typer.Option("--channel", metavar="C", help="One channel.")]
Mirror = Annotated[str | None, typer.Option("--mirror", metavar="CHANNEL/NAME", help="One mirror of a channel.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until everything is judged again.")]

COLUMNS: Columns = {"NAME": "name", "MODE": "mode", "VERSION": "version", "ATTACHED TO": "attached_to"}
_LOOK_S = 0.2
_PATIENCE_S = 600.0


@app.command("apply")
def apply_policy(file: File, is_hasty: NoWait = False, as_json: AsJson = False) -> None:
    """Make a policy, or its next version, from a file; it holds wherever it is attached."""
    with Output(as_json=as_json) as out, connected() as server:
        policy = _settled(server, server.post("policies", {"text": _text(file)}), is_hasty=is_hasty)
        out.show(policy, [f"Policy {policy['name']} is at version {policy['version']}, mode {policy['mode']}."])


@app.command("attach")
def attach_policy(
    name: Name,
    channel: InChannel = None,
    is_everywhere: Everywhere = False,
    prefix: Prefix = None,
    mirror: Mirror = None,
    is_hasty: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Let a policy hold somewhere."""
    body = {"is_everywhere": is_everywhere, "prefix": prefix, "channel": channel, "mirror": mirror}
    with Output(as_json=as_json) as out, connected() as server:
        made = server.post(path_of("policies", name, "attachments"), body)
        policy = _settled(server, made, is_hasty=is_hasty)
        out.show(policy, [f"Policy {name} holds in {', '.join(policy['attached_to'])}."])


@app.command("detach")
def detach_policy(
    name: Name,
    channel: InChannel = None,
    is_everywhere: Everywhere = False,
    prefix: Prefix = None,
    mirror: Mirror = None,
    is_hasty: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Let a policy hold somewhere no more."""
    scopes = ["*" if is_everywhere else None, prefix, channel, f"mirror {mirror}" if mirror else None]
    given = [scope for scope in scopes if scope]
    if len(given) != 1:
        raise typer.BadParameter("Say where: one of --channel, --prefix, --mirror and --everywhere.")
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("policies", name, "attachments"), scope=given[0])
        policy = _settled(server, server.get(path_of("policies", name)), is_hasty=is_hasty)
        out.show(policy, [f"Policy {name} holds no more in {given[0]}."])


@app.command("list")
def list_policies(as_json: AsJson = False) -> None:
    """List policies and where they hold."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("policies")), COLUMNS)


@app.command("show")
def show_policy(
    name: Name,
    version: Annotated[int | None, typer.Option("--version", metavar="N", help="An old version.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show one policy with its rules."""
    with Output(as_json=as_json) as out, connected() as server:
        out.details(server.get(path_of("policies", name), version=version))


@app.command("delete")
def delete_policy(name: Name, as_json: AsJson = False) -> None:
    """Delete a policy that is attached nowhere."""
    with Output(as_json=as_json) as out, connected() as server:
        server.delete(path_of("policies", name))
        out.show({"name": name, "deleted": True}, [f"Deleted policy {name}."])


@app.command("simulate")
def simulate_policy(
    file: File,
    channel: Annotated[str, typer.Option("--channel", metavar="C", help="The channel to try it on.")],
    specs: Annotated[
        list[str] | None, typer.Option("--spec", metavar="SPEC", help="Does this still solve? Repeatable.")
    ] = None,
    platform: Annotated[str, typer.Option("--platform", metavar="P", help="To solve for.")] = "linux-64",
    as_json: AsJson = False,
) -> None:
    """Say what a draft would change in a channel, if it were attached there and enforced. Nothing changes."""
    body: dict[str, Any] = {"channel": channel, "text": _text(file), "specs": specs or [], "platform": platform}
    with Output(as_json=as_json) as out, connected() as server:
        found = server.post("policies/simulate", body)
        out.show(found, _lines(found))


@app.command("broken")
def list_broken(
    channel: Annotated[str, typer.Option("--channel", metavar="C", help="The channel to look through.")],
    platform: Annotated[str, typer.Option("--platform", metavar="P", help="Together with noarch.")] = "linux-64",
    is_hiding: Annotated[
        bool | None, typer.Option("--hide/--show", help="From now on, list them in the channel no more, or again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List records that depend on what policies hold back; or say whether the channel lists them."""
    with Output(as_json=as_json) as out, connected() as server:
        if is_hiding is not None:
            server.patch(channel_path(channel), {"settings": {"is_hiding_broken": is_hiding}})
        found = server.get(channel_path(channel, "unsatisfiable"), platform=platform)["items"]
        out.table(found, {"SUBDIR": "subdir", "FILE": "filename", "MISSES": "dependency", "LAST": "is_last"})


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Invalid("policy-invalid", f"{file} is not a text.") from error


def _settled(server: "Server", policy: Document, *, is_hasty: bool) -> Document:
    """The policy once everything that it concerns was judged again."""
    give_up_at = time.monotonic() + _PATIENCE_S
    while policy["pending"] and not is_hasty and time.monotonic() < give_up_at:
        time.sleep(_LOOK_S)
        policy = server.get(path_of("policies", policy["name"]))
    return policy


def _lines(found: Document) -> list[str]:
    lines = [f"{found['names']} names: {found['disappearing']} records would disappear, {found['appearing']} appear."]
    lines += [f"  {found['disappearing_downloads']} downloads lately were of what would disappear"]
    lines += [f"    {name}: {count}" for name, count in list(found["disappearing_downloads_by_name"].items())[:10]]
    for what in ("disappearing", "appearing"):
        lines += [f"  {what} by {rule}: {count}" for rule, count in found[f"{what}_by_rule"].items()]
    lines += [f"  would lose its last version: {name}" for name in found["lost_names"]]
    lines += [
        f"  promotion {one['promotion']} ({', '.join(one['wants'][:3])}) would miss {one['missing']} of its files"
        for one in found["environments"][:10]
    ]
    lines += [
        f"  {name}: the next version that passes is {version or 'none'}"
        for name, version in found["next_versions"].items()
    ]
    for when in ("before", "after"):
        solve = found[f"solves_{when}"]
        if solve is not None:
            lines.append(f"Solves {when}: {'yes' if solve['is_solved'] else 'no: ' + (solve['failure'] or '')}")
    return lines
