"""How much an intervention runs: said before it begins, and a progress bar over all of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, final

from saev.progress import progress_bar

_FORMAT: Final = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"

Done = Callable[[int], object]
"""Is called with the passes of pictures that are done."""


@final
@dataclass(frozen=True)
class Work:
    """Passes of pictures through the ViT, of which those with a change run the later blocks alone."""

    n_images: int  # Pictures that run as they are.
    n_measured: int  # Those of them that run with changes.
    n_random: int  # Draws of random latents.
    n_curves: int  # Changes for curves of classes.
    n_grey: int  # Passes for maps, at most.
    depth: int  # Blocks of the ViT.
    layer: int  # That of the SAE, from 0.

    def plan(self) -> str:
        """A line that says how many passes there will be.

        >>> Work(n_images=9, n_measured=5, n_random=20, n_curves=40, n_grey=64, depth=12, layer=10).plan()[:78]
        'plan: 383 passes of pictures: 9 as they are, 5 measured x (1 as it is + 1 edit'
        """
        n = self.n_images + self.n_measured * (2 + self.n_random + self.n_curves) + self.n_grey
        return (
            f"plan: {n:,} passes of pictures: {self.n_images:,} as they are, {self.n_measured:,} measured x (1 as it "
            f"is + 1 edit + {self.n_random:,} random draws + {self.n_curves:,} of curves), {self.n_grey:,} of maps at "
            "most; a run that is stopped leaves nothing"
        )

    @contextmanager
    def bar(self) -> Iterator[tuple[Done, Done]]:
        """A progress bar over all passes: what to call after whole ones, and after those of the later blocks."""
        later = max(1, self.depth - 1 - self.layer)
        whole = self.n_images + self.n_measured + self.n_grey
        changed = self.n_measured * (1 + self.n_random + self.n_curves)
        total = whole * self.depth + changed * later
        with progress_bar(total=total, desc="intervening", bar_format=_FORMAT) as bar:
            yield (lambda n: bar.update(n * self.depth)), (lambda n: bar.update(n * later))
            bar.update(total - bar.n)  # of maps that there were no pictures for
