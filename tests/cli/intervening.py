"""`saev probe intervene` as tests call it."""

from pathlib import Path

QUICK = ("--curves=[]", "--n_maps=0", "--n_random=3")


def argv(root: Path, out: Path, latents: list[int], *more: str) -> list[str]:
    own = [f"--sae={root / 'sae'}", f"--images={root / 'pictures'}", "--weights=random", f"--latents={latents}"]
    return ["probe", "intervene", *own, "--num_workers=0", "--device=cpu", f"--out={out}", *more]
