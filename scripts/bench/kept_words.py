"""How long the words of saev take in a CLIP's text tower, the first time and the second, when they come from the cache.

    XDG_CACHE_HOME=$(mktemp -d) python scripts/bench/kept_words.py

ViT-B/32 with random weights: time does not depend on them.
"""

import time

from saev.latents.naming import read_vocabulary
from saev.latents.naming.kept_words import kept_words
from saev.vit.text import load_clip


def main() -> None:
    """Print seconds on the clock and of the processor."""
    clip, vocabulary = load_clip("ViT-B-32/openai", "random"), read_vocabulary()
    for turn in ("first", "second"):
        wall, cpu = time.perf_counter(), time.process_time()
        words = kept_words(clip, vocabulary)
        print(
            f"{turn} time: {len(words.words)} words in {time.perf_counter() - wall:.1f} s, "
            f"{time.process_time() - cpu:.1f} s of the processor"
        )


if __name__ == "__main__":
    main()
