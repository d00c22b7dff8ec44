"""`saev view`: a run's galleries in the browser, with an SAE behind them that takes new pictures."""

import webbrowser
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ActionYesNo, ArgumentParser, Namespace

from saev.cli.given_facts import add_facts, with_given
from saev.cli.parsing.errors import parsed
from saev.errors import InputError, one_line, tell

if TYPE_CHECKING:
    from saev.artifacts import RunDirectory
    from saev.serving.live_gallery import Recorded
    from saev.serving.open_run import OpenedSae
    from saev.serving.server import GalleryServer
    from saev.shards.reading.reader import ShardReader

DEFAULT_PORT = 8010


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="saev view",
        description="Serve the galleries of a run on 127.0.0.1, for this machine alone, until Ctrl-C. The pages then "
        "take your own pictures: what fires where in them, and which recorded images are near when latents are "
        "switched off or up. Pictures stay in memory. The last line of standard output is the address.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--run_dir", type=Path, required=True, help="directory of a run that has galleries")
    parser.add_argument(
        "--sae",
        type=Path | None,
        default=None,
        help="directory of an SAE that does not lie in the run; its gallery is the one of the same name",
    )
    add_facts(parser)
    parser.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help="port of 127.0.0.1; 0 takes a free one. Stars and notes in the browser belong to the port",
    )
    parser.add_argument(
        "--weights",
        type=str | None,
        default=None,
        help="the ViT's weights as `saev predict` took them: a .safetensors or .pt file, or random; by default they "
        "come from the network, and without them the galleries are served all the same",
    )
    parser.add_argument(
        "--device", type=str | None, default=None, help="cpu, cuda, ...; by default a GPU if there is one"
    )
    parser.add_argument(
        "--shards",
        type=Path | None,
        default=None,
        help="recorded images that your pictures are compared with, and which say what an SAE does not say of itself; "
        "by default those that trained the SAEs",
    )
    parser.add_argument(
        "--n_images",
        type=int,
        default=10_000,
        help="upper bound of the recorded images, those with thumbnails first, then a random choice; 0 compares "
        "with none",
    )
    parser.add_argument("--open", action=ActionYesNo, default=False, help="open the address in the browser")
    return parser


def main(argv: list[str]) -> int:
    """Run `saev view ARGV`, which ends by a signal.

    Raises:
        InputError: If there is no gallery, the port is taken, or what an option names cannot be had.
        SystemExit: For `--help` (0).
    """
    options = parsed(_parser(), argv)
    if not 0 <= options.port < 2**16:
        raise InputError(f"--port {options.port} must be from 0 to 65535; 0 takes a free one")
    if options.n_images < 0:
        raise InputError(f"--n_images {options.n_images} must be 0 or more; 0 compares with none")
    with _server(options) as server:
        print(server.url, flush=True)
        if options.open:
            webbrowser.open(server.url)
        server.serve_forever()
    return 0


def _server(options: Namespace) -> "GalleryServer":
    # Here and not above: the help answers without torch.
    from saev.artifacts import RunDirectory
    from saev.device import chosen_device
    from saev.serving.open_run import open_galleries, open_saes
    from saev.serving.server import GalleryServer

    device = chosen_device(options.device)
    run = RunDirectory(options.run_dir)
    run.check()
    saes = open_saes(run, {} if options.sae is None else {options.sae.resolve().name: options.sae})
    server = GalleryServer(options.port, run.features, {})  # a taken port is said before the long part
    try:
        reader = _reader(options, run)
        saes = _completed(saes, options, reader)
        recorded = _recorded(saes, options, reader, device)
        server.live = open_galleries(saes, options.weights, device, recorded)
    except BaseException:
        server.server_close()
        raise
    for name, live in server.live.items():
        if isinstance(live, str):
            tell(f"{name}: no live inference: {live}")
    return server


def _reader(options: Namespace, run: "RunDirectory") -> "ShardReader | InputError":
    """The shards. Those that are named must be there, those of the run's config.yaml may be gone."""
    from saev.shards.reading.open import open_shards

    if options.shards is not None:
        return open_shards(options.shards, options.model.layer)
    try:
        return open_shards(*run.shards())
    except InputError as error:
        return error


def _completed(
    saes: "Mapping[str, OpenedSae | str]", options: Namespace, reader: "ShardReader | InputError"
) -> "dict[str, OpenedSae | str]":
    """The SAEs with what the options and the shards say of them."""
    found = dict(saes)
    for name, one in saes.items():
        if isinstance(one, str) or len(one.provenance.layers) > 1:
            continue
        try:
            provenance = with_given(one.provenance, options, None if isinstance(reader, InputError) else reader)
        except InputError:
            if options.shards:
                raise
            provenance = with_given(one.provenance, options, None)  # why there are no neighbours is said later
        found[name] = replace(one, provenance=provenance)
    return found


def _recorded(
    saes: "dict[str, OpenedSae | str]", options: Namespace, reader: "ShardReader | InputError", device: Any
) -> "dict[str, Recorded | str]":
    """The images to compare with, or why there are none."""
    from saev.serving.open_run import recorded_images

    def open_reader() -> "ShardReader":
        if isinstance(reader, InputError):
            raise reader
        return reader

    try:
        return recorded_images(saes, open_reader, options.n_images, device)
    except InputError as error:
        if options.shards:
            raise
        reason = one_line(error)
        tell(f"no neighbours: {reason}")
        return dict.fromkeys(saes, f"{reason}; --shards names others")
