"""`clinicedge serve`: the clinic's server and its page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._trust import PIN, REQUIRE_SIGNED, asked_trust

if TYPE_CHECKING:
    from ..edge_server.settings import Settings


def run(
    bundle: Annotated[list[Path], typer.Argument(help="Folder of the bundle; more may follow.")],
    default: Annotated[
        str | None,
        typer.Option(help="Model that answers when a request names none. [default: the first]"),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to serve on; another than this one demands a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 8080,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the cases. [default: in your data folder]")
    ] = None,
    film: Annotated[Path | None, typer.Option(help="A film that the page offers first.")] = None,
    engine: Annotated[str, typer.Option(help="auto, onnxruntime, litert or openvino.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, fp32, fp16, int8, or an artifact such as onnx/fp32.")
    ] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="0: as tuned, else all usable.")] = 0,
    token: Annotated[
        str | None, typer.Option(help="Others on this machine can read it; better --token-file.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token. Or set CLINICEDGE_TOKEN.")
    ] = None,
    max_upload_mb: Annotated[int, typer.Option(min=1, max=128, help="Largest film taken.")] = 64,
    name: Annotated[
        list[str] | None, typer.Option(help="A host name that tablets call this box by.")
    ] = None,
    require_signed: REQUIRE_SIGNED = False,
    pin: PIN = None,
) -> None:
    """Serve bundles to the clinic's tablets.

    A second opinion, not a diagnosis; not a medical device. Nothing is sent anywhere: the page
    and all its parts come from this machine.

    \b
    Examples:
        clinicedge serve demo/mobilenet-0.5-160-on-lungs
        clinicedge serve BUNDLE --film film.dcm --data /srv/cases
        clinicedge serve CHEST BONE CASCADE --default NAME
        clinicedge serve BUNDLE --host 0.0.0.0 --token-file /etc/clinicedge/token
        clinicedge serve BUNDLE --require-signed
    """
    import os

    from ..edge_server.serving import serve
    from ..edge_server.settings import EngineWish, Settings, default_data, find_token

    settings = Settings(
        bundles=tuple(bundle),
        data=data or default_data(),
        host=host,
        port=port,
        token=find_token(token, token_file, os.environ),
        film=film,
        wish=EngineWish(engine, precision, threads),
        max_upload_bytes=max_upload_mb * 1024 * 1024,
        names=tuple(name or ()),
        default=default,
        trust=asked_trust(require_signed, pin),
    )
    serve(settings, _print_ready)


def _print_ready(settings: "Settings") -> None:
    from ..edge_server.serving import addresses
    from ..runtime import CAUTION

    for address in addresses(settings):
        hint = "?token=TOKEN" if settings.token is not None else ""
        print(f"open {address}{hint}")
    if settings.token is not None:
        print("on each tablet once with your token in place of TOKEN; the browser remembers it")
    print(f"cases are kept in {settings.data}")
    print(f"{CAUTION}; stop with Ctrl+C", flush=True)
