"""How long a CLIP's text tower takes for words, on the whole context and on as many positions as the prompts take.

    python scripts/bench/text_positions.py [N_WORDS]

ViT-B/32 with random weights: time does not depend on them. The two take turns.
"""

import sys
import time

import open_clip
import torch

from saev.latents.naming import read_vocabulary
from saev.latents.naming.words import prompts
from saev.vit.causal_text import encode_text


@torch.no_grad()
def main(n_words: int) -> None:
    """Print seconds of each turn, and the ratio of the sums."""
    model = open_clip.create_model("ViT-B-32").eval()
    vocabulary = read_vocabulary()
    words = vocabulary[:: len(vocabulary) // n_words][:n_words]
    tokens_nt = open_clip.get_tokenizer("ViT-B-32")(prompts(words))
    seconds: dict[str, list[float]] = {"whole": [], "cut": []}
    ways = {"whole": model.encode_text, "cut": lambda texts_nt: encode_text(model, texts_nt)}
    for _ in range(4):
        for name, way in ways.items():
            start = time.perf_counter()
            way(tokens_nt)
            seconds[name].append(time.perf_counter() - start)
    whole, cut = (sum(seconds[name][1:]) for name in ("whole", "cut"))  # the first turn warms up
    print({name: [round(one, 2) for one in turns] for name, turns in seconds.items()})
    print(f"{len(tokens_nt)} texts: {whole / 3:.2f} s whole, {cut / 3:.2f} s cut, ratio {whole / cut:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
