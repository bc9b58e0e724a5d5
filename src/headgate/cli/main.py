"""The command line: `headgate NOUN VERB`. Commands import what they need when they run, so that help is quick."""

from typing import Annotated

import typer

from headgate.cli import (
    access,
    advisory,
    artifact,
    audit,
    backup,
    bundle,
    ca,
    channel_retention,
    doctor,
    exemption,
    grant,
    group,
    incident,
    init,
    job,
    ldap,
    login,
    mirror_trust,
    network,
    oidc,
    package,
    patch,
    pipeline,
    policy,
    promote,
    report,
    request,
    role,
    search,
    serve,
    session,
    signing,
    token,
    upload,
    user,
    view,
    why,
    worker,
)

app = typer.Typer(
    name="headgate",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        print(version("headgate"))
        raise typer.Exit


@app.callback()
def headgate(
    is_version_wanted: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A gate server for conda channels.

    init, serve, worker and doctor work on a data folder. The other commands ask the server at HEADGATE_URL
    (http://127.0.0.1:8765 unless set), with the token in HEADGATE_TOKEN or the one that login got.
    """


app.command("init")(init.init)
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.command("doctor")(doctor.doctor)
app.add_typer(channel_retention.app, name="channel")
app.add_typer(ca.app, name="ca")
app.add_typer(network.app, name="network")
app.add_typer(mirror_trust.app, name="mirror")
app.command("upload")(upload.upload)
app.add_typer(artifact.app, name="artifact")
app.add_typer(package.app, name="package")
app.add_typer(patch.app, name="patch")
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(policy.app, name="policy")
app.command("why")(why.why)
app.command("search")(search.search)
app.add_typer(exemption.app, name="exemption")
app.add_typer(incident.app, name="incident")
app.add_typer(audit.app, name="audit")
app.add_typer(report.app, name="report")
app.add_typer(backup.app, name="backup")
app.add_typer(bundle.app, name="bundle")
app.add_typer(signing.app, name="signing")
app.add_typer(user.app, name="user")
app.add_typer(group.app, name="group")
app.add_typer(role.app, name="role")
app.add_typer(grant.app, name="grant")
app.add_typer(access.app, name="access")
app.add_typer(advisory.app, name="advisory")
app.add_typer(ldap.app, name="ldap")
app.add_typer(token.app, name="token")
app.command("login")(login.login)
app.command("logout")(login.logout)
app.add_typer(session.app, name="session")
app.add_typer(view.app, name="view")
app.add_typer(oidc.app, name="oidc")
app.add_typer(job.app, name="job")
app.command("promote")(promote.promote)
app.add_typer(promote.app, name="promotion")
app.add_typer(request.app, name="request")
