"""`headgate request`: asked for, talked about, decided."""

from typing import Annotated, Any

import typer

from headgate.cli.client import Server, channel_path, connected, path_of
from headgate.cli.output import Columns, Document, Output
from headgate.cli.promote import EnvironmentFile, Specs, machine_of, show_plan, wait_for, wants_of
from headgate.cli.words import AsJson, moment_of

app = typer.Typer(no_args_is_help=True, help="Requests: wishes that packages may pass into a channel.")
rules_app = typer.Typer(no_args_is_help=True, help="How requests into a channel are decided.")
app.add_typer(rules_app, name="rules")

COLUMNS: Columns = {
    "ID": "id",
    "FROM": lambda row: row["source"],
    "INTO": lambda row: row["target"],
    "WANTS": lambda row: row["wants"][:5] + ([f"… {len(row['wants'])} in all"] if len(row["wants"]) > 5 else []),
    "STATE": "state",
    "BY": lambda row: [one["name"] for one in row["requesters"]],
    "NEW": lambda row: row["summary"].get("new"),
    "APPROVALS": lambda row: len(row["approvals"]),
    "EXPIRES": "expires_at",
}
WANT_COLUMNS: Columns = {
    "WANT": "want",
    "STATE": "state",
    "WHY": lambda row: row["reasons"][:2],
    "WOULD PASS": "alternative",
}
WAITING_COLUMNS: Columns = {"KIND": "kind", "WHAT": "title", "WHY": "sentence", "AT": "at"}
REMARK_COLUMNS: Columns = {"AT": "at", "WHO": "author", "WHAT": "kind", "WORDS": "text"}

_RequestId = Annotated[int, typer.Argument(metavar="ID", help="The request's number.")]
_Comment = Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why.")]
_Source = Annotated[
    str | None, typer.Option("--from", metavar="A", help="From this channel; needless where rules of --to tell.")
]
_Target = Annotated[str | None, typer.Option("--to", metavar="B", help="Into this hosted channel.")]
_Platforms = Annotated[
    list[str] | None, typer.Option("--platform", metavar="P", help="For this platform; without it, all of A's.")
]
_Link = Annotated[str | None, typer.Option("--link", metavar="URL", help="What a refused download said: its link.")]


_LeftOut = Annotated[
    list[str] | None,
    typer.Option("--leave-out", metavar="SPEC", help="Do not let this pass, nor what only it needs; may be repeated."),
]


@app.command("create")
def create_request(
    specs: Specs = None,
    file: EnvironmentFile = None,
    link: _Link = None,
    source: _Source = None,
    target: _Target = None,
    platforms: _Platforms = None,
    is_alone: Annotated[bool, typer.Option("--no-closure", help="Leave out what is needed to install it.")] = False,
    machine: Annotated[
        list[str] | None,
        typer.Option("--virtual-package", metavar="NAME=VERSION", help="What the machines have: __cuda=12.4."),
    ] = None,
    comment: _Comment = "",
    is_draft: Annotated[bool, typer.Option("--draft", help="Keep it to yourself for now.")] = False,
    is_preview: Annotated[bool, typer.Option("--preview", help="Only show what would be said of it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask that packages may pass into a channel; says at once what passes, and what is in the way."""
    asked: dict[str, Any] = {"wants": []} if link and not specs and file is None else wants_of(specs, file)
    asked |= {"platforms": platforms or [], "has_closure": not is_alone, "machine": machine_of(machine or [])}
    asked |= {key: value for key, value in (("link", link), ("source", source), ("target", target)) if value}
    with Output(as_json=as_json) as out, connected() as server:
        if is_preview or not as_json:
            look = server.post("requests/preview", asked)
            _show_look(look, out, is_whole=is_preview)
        if is_preview:
            return
        made = server.post("requests", {**asked, "comment": comment, "is_draft": is_draft})
        others = [one["name"] for one in made["requesters"]]
        out.show(made, [f"Request {made['id']} is {made['state']}; asked for by {', '.join(others)}."])


@app.command("list")
def list_requests(
    states: Annotated[list[str] | None, typer.Option("--state", metavar="STATE", help="In this state.")] = None,
    target: _Target = None,
    is_mine: Annotated[bool, typer.Option("--mine", help="Only your own.")] = False,
    as_json: AsJson = False,
) -> None:
    """List requests, the newest first."""
    with Output(as_json=as_json) as out, connected() as server:
        out.table(list(server.items("requests", state=states, target=target, mine=is_mine)), COLUMNS)


@app.command("waiting")
def list_waiting(
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", help="request, cooldown, exemption, approval, malware or broken."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List everything that waits for you: requests, what ends soon, what is held."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get("waiting", kind=kind)
        if as_json:
            out.show(found)
            return
        out.table(found["items"], WAITING_COLUMNS)
        counts = [f"{one['number']}{'+' if one['is_more'] else ''} {one['kind']}" for one in found["counts"]]
        out.note(", ".join(counts))


@app.command("show")
def show_request(
    number: _RequestId,
    is_preview: Annotated[
        bool, typer.Option("--preview", help="With every file that would pass as things are.")
    ] = False,
    left_out: _LeftOut = None,
    as_json: AsJson = False,
) -> None:
    """Show a request with what was said and done."""
    with Output(as_json=as_json) as out, connected() as server:
        found = server.get(path_of("requests", str(number)))
        is_looking = is_preview or left_out
        look = server.get(path_of("requests", str(number), "preview"), left_out=left_out) if is_looking else None
        if as_json:
            out.show({**found, "preview": look} if look else found)
            return
        hidden = {"remarks", "requesters", "approvals", "job", "summary"}
        out.details({key: value for key, value in found.items() if key not in hidden})
        out.table([*found["remarks"]], REMARK_COLUMNS)
        if look:
            _show_look(look, out, is_whole=True)


@app.command("submit")
def submit_request(
    number: _RequestId,
    specs: Annotated[list[str] | None, typer.Argument(metavar="SPEC…", help="In place of what was asked for.")] = None,
    file: EnvironmentFile = None,
    platforms: _Platforms = None,
    as_json: AsJson = False,
) -> None:
    """Ask with a draft, or again after changes were wanted."""
    body = {**wants_of(specs, file), "platforms": platforms or []} if specs or file else {}
    _decide(number, "submit", body, as_json=as_json)


@app.command("approve")
def approve_request(
    number: _RequestId,
    comment: _Comment = "",
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="SHA256", help="Of the preview you looked at.")
    ] = None,
    left_out: _LeftOut = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why something is left out.")] = "",
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="WHEN", help="The files leave again then: 2027-01-31, or 30d from now."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Approve a request on what is so now; with the last approval needed, returns when the channel has it."""
    with Output(as_json=as_json) as out, connected() as server:
        if digest is None:
            look = server.get(path_of("requests", str(number), "preview"), left_out=left_out)
            digest = look["plan"]["digest"]
            if not as_json:
                _show_look(look, out, is_whole=True)
        body = {"digest": digest, "comment": comment, "left_out": left_out or [], "left_out_why": reason}
        body["ends_at"] = None if until is None else moment_of(until)
        answer = server.post(path_of("requests", str(number), "approve"), body)
        if answer["state"] == "approved":
            _wait(server, answer, out)
            answer = server.get(path_of("requests", str(number)))
        said = [f"Request {number} is {answer['state']}."]
        if answer["rest"]:
            said.append(f"What was left out is request {answer['rest']}.")
        out.show(answer, said)


@app.command("reject")
def reject_request(
    number: _RequestId,
    comment: Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why; needed.")],
    as_json: AsJson = False,
) -> None:
    """Reject a request."""
    _decide(number, "reject", {"comment": comment}, as_json=as_json)


@app.command("ask-changes")
def ask_changes(
    number: _RequestId,
    comment: Annotated[str, typer.Option("--comment", metavar="TEXT", help="What should be otherwise; needed.")],
    as_json: AsJson = False,
) -> None:
    """Send a request back to those who asked."""
    _decide(number, "ask-changes", {"comment": comment}, as_json=as_json)


@app.command("withdraw")
def withdraw_request(number: _RequestId, comment: _Comment = "", as_json: AsJson = False) -> None:
    """Ask no longer; the request ends when nobody else asks."""
    _decide(number, "withdraw", {"comment": comment}, as_json=as_json)


@app.command("comment")
def comment_request(
    number: _RequestId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What you have to say.")],
    as_json: AsJson = False,
) -> None:
    """Say something on a request."""
    _decide(number, "comments", {"comment": text}, as_json=as_json)


@rules_app.command("show")
def show_rules(channel: Annotated[str, typer.Argument(metavar="CHANNEL")], as_json: AsJson = False) -> None:
    """Show how requests into a channel are decided."""
    with Output(as_json=as_json) as out, connected() as server:
        out.details(server.get(channel_path(channel, "request-rules")))


@rules_app.command("set")
def set_rules(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL")],
    sources: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="A", help="People may ask from this channel though they cannot read it."),
    ] = None,
    approvals: Annotated[int | None, typer.Option("--approvals", metavar="N", help="How many approvals.")] = None,
    groups: Annotated[
        list[str] | None, typer.Option("--group", metavar="GROUP", help="Approvals of its members count.")
    ] = None,
    is_comment_required: Annotated[
        bool | None, typer.Option("--comment-required/--no-comment-required", help="Approvals need a comment.")
    ] = None,
    expires_days: Annotated[int | None, typer.Option("--expires-days", metavar="DAYS", help="Open that long.")] = None,
    auto_licenses: Annotated[
        list[str] | None,
        typer.Option("--auto-license", metavar="LICENSE", help="Nobody decides on patch releases under it."),
    ] = None,
    is_never_automatic: Annotated[bool, typer.Option("--no-auto", help="Somebody always decides.")] = False,
    as_json: AsJson = False,
) -> None:
    """Change how requests into a channel are decided; what is not given stays."""
    given: dict[str, Any] = {
        "sources": sources, "approvals": approvals, "groups": groups, "is_comment_required": is_comment_required,
        "expires_days": expires_days,
    }  # fmt: skip
    with Output(as_json=as_json) as out, connected() as server:
        rules = server.get(channel_path(channel, "request-rules"))
        rules |= {key: value for key, value in given.items() if value is not None}
        if auto_licenses:
            rules["auto"] = {**(rules["auto"] or {}), "licenses": auto_licenses}
        elif is_never_automatic:
            rules["auto"] = None
        out.details(server.replace(channel_path(channel, "request-rules"), rules))


def _decide(number: int, word: str, body: Document, *, as_json: bool) -> None:
    with Output(as_json=as_json) as out, connected() as server:
        answer = server.post(path_of("requests", str(number), word), body)
        out.show(answer, [f"Request {answer['id']} is {answer['state']}."])


def _wait(server: Server, answer: Document, out: Output) -> None:
    done = wait_for(server, answer["promotion"], out)
    if done["state"] != "applied":
        out.note(done["failure"] or f"Promotion {done['id']} is {done['state']}.")
        raise typer.Exit(1)


def _show_look(look: Document, out: Output, *, is_whole: bool) -> None:
    if out.is_json:
        out.show(look)
        return
    out.table(look["wants"], WANT_COLUMNS)
    if is_whole:
        show_plan(look["plan"], out, "the channel")
    else:
        for sentence in look["plan"]["notes"]:
            out.note(sentence)
    out.note("Nobody has to decide." if look["why_people"] is None else look["why_people"])
