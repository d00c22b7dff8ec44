"""`saev encode`: the codes of an SAE on all images of a recording, as files."""

from pathlib import Path

from saev.cli.ending import Stopped
from saev.cli.parsing import typed
from saev.shards.format.layout import TokenKind


def encode(
    *,
    sae: Path,
    shards: Path,
    out: Path,
    layer: int | None = None,
    tokens: TokenKind | None = None,
    device: str | None = None,
    processes: int = 1,
    file_bytes: int = 2**27,
) -> int:
    """Write the active codes of an SAE on all images of a recording, as docs/files.md describes them.

    They can be read by image and by latent, and `saev render --codes` takes them instead of encoding again. After an
    interruption the same command goes on from the files that are whole. The last line of standard output is the
    directory.

    Args:
        sae: directory of an SAE: RUN/saes/NAME
        shards: directory of a recording of the same ViT
        out: directory of the codes
        layer: which layer, where a directory of the original saev holds several
        tokens: which tokens of each image; by default those that the SAE was trained on
        device: cpu, cuda, ...; by default a GPU if there is one
        processes: how many divide the files
        file_bytes: about the size of a file, unless a batch takes more; a smaller one loses less by an interruption
    """
    from saev.latents.encode import encode as encode_to  # here and not above: the help answers without torch

    try:
        encode_to(
            sae, shards, out,
            layer=layer, tokens=tokens, device=device, processes=processes, file_bytes=file_bytes,
        )  # fmt: skip
    except Stopped as stopped:
        stopped.advice = "the same command goes on from the files that are whole"
        raise
    print(out)
    return 0


def main(argv: list[str]) -> int:
    """Run `saev encode ARGV` and return the exit status."""
    return typed.run(encode, argv, "saev encode")
