"""`serve`: the live page of one search, or of several, in a browser."""

from __future__ import annotations

from importlib.util import find_spec

import click

from outlast.cli.help import Argument, Command
from outlast.cli.options import WholeNumber, complete_files
from outlast.cli.targets.locate_several import one_or_several
from outlast.errors import MissingExtra


@click.command(cls=Command)
@click.argument(
    "folder",
    cls=Argument,
    metavar="[DIR]",
    required=False,
    help="A study, a campaign, or a folder that studies lie below.  [default: all that are here]",
    shell_complete=complete_files,
)
@click.option("--host", metavar="NAME", default="127.0.0.1", help="Where to listen.  [default: this machine only]")
@click.option(
    "--port", metavar="N", type=WholeNumber(1, 65535), help="Port.  [default: the first free one from 8787 on]"
)
@click.option(
    "--token-file", metavar="FILE", help="Keep the token here, so that the address stays the same; made if missing."
)
@click.option("--allow-stop", is_flag=True, help="Let the page stop studies and trials.")
def serve(folder: str | None, host: str, port: int | None, token_file: str | None, allow_stop: bool) -> None:
    """Show searches live in a browser, here or through an SSH tunnel; Ctrl-C closes the page and stops nothing else.

    Whoever has the address that it prints may look. It listens on this machine only, unless --host says otherwise.

    Example:
        outlast serve studies/digits
        outlast serve studies --allow-stop
        outlast serve --token-file ~/.outlast-token
    """
    if find_spec("uvicorn") is None or find_spec("starlette") is None:
        raise MissingExtra("the live page needs a small web server", cure="pip install 'outlast[serve]'")
    from outlast.serve import listening, server

    place, several = one_or_several(folder)
    token = listening.token_from(token_file)
    listener = listening.listen(host, port)
    where, port = listener.getsockname()[:2]
    click.echo(f"{place} is shown at {listening.address_of(host, port, token)}  (Ctrl-C closes it)")
    if listening.is_open_to_others(where):
        click.echo("Others on the network reach it, and see what it sends: it is not encrypted. A tunnel is.")
    else:
        click.echo(f"From another machine: {listening.tunnel(where, port)}  and open the same address there")
    server.serve(place, listener, several=several, host=host, token=token, may_stop=allow_stop)
    click.echo("closed; searches that run go on")
