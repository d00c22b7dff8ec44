"""`saev view`: a run's galleries in the browser, with an SAE behind them that takes new pictures."""

import webbrowser
from pathlib import Path

from saev.cli.parsing import typed
from saev.shards.format.layout import TokenKind
from saev.splicing.given_facts import NOTHING_GIVEN, GivenVit


def view(
    *,
    run_dir: Path,
    sae: list[Path] | None = None,
    codes: list[Path] | None = None,
    shards: list[Path] | None = None,
    model: GivenVit = NOTHING_GIVEN,
    tokens: TokenKind | None = None,
    n_images: int = 10_000,
    port: int = 8010,
    weights: str | None = None,
    namer_weights: str | None = None,
    device: str | None = None,
    open: bool = False,
) -> int:
    """Serve the galleries of a run on 127.0.0.1, for this machine alone, until Ctrl-C.

    The pages then take your own pictures: what fires where in them, and which recorded images are near when latents are
    switched off or up. Pictures stay in memory. The last line of standard output is the address.

    Args:
        run_dir: directory of a run that has galleries
        sae: directory of an SAE that does not lie in the run, once for each; its gallery is the one of the same name
        codes: directory of the codes that `saev encode` wrote of an SAE on the shards, once for each; they are read
            where the SAE would encode the recorded images
        shards: recorded images that your pictures are compared with, and which say what an SAE does not say of itself;
            by default those that trained the SAEs; once more for the shards of each further image set that config.yaml
            does not name
        model: what neither an SAE nor the shards say
        tokens: tokens that an SAE takes, where it does not say it itself; by default content, the patches
        n_images: upper bound of the recorded images, those with thumbnails first, then a random choice; 0 compares with
            none
        port: port of 127.0.0.1; 0 takes a free one
        weights: the ViT's weights as `saev predict` took them: a .safetensors or .pt file, or random; by default they
            come from the network, and without them the galleries are served all the same
        namer_weights: weights of the CLIP that named the latents, for the search by text: a file as
            `--visualizer.namer_weights` took it; by default they come from the network when a text is searched
        device: cpu, cuda, ...; by default a GPU if there is one
        open: open the address in the browser
    """
    from saev.serving.open_server import open_server  # here and not above: the help answers without torch

    with open_server(
        run_dir, saes=sae or (), codes=codes or (), shards=shards or (), model=model, tokens=tokens, n_images=n_images,
        port=port, weights=weights, namer_weights=namer_weights, device=device,
    ) as server:  # fmt: skip
        print(server.url, flush=True)
        if open:
            webbrowser.open(server.url)
        server.serve_forever()
    return 0


def main(argv: list[str]) -> int:
    """Run `saev view ARGV`, which ends by a signal."""
    return typed.run(view, argv, "saev view")
