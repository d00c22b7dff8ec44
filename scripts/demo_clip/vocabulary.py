"""The words of the captions as a BPE file that open_clip's `SimpleTokenizer` reads, every word one token."""

import gzip
from collections import Counter
from itertools import pairwise
from pathlib import Path

from open_clip.tokenizer import SimpleTokenizer

from saev.scenes.captions import OTHER_WORDS
from saev.scenes.factors import FACTORS

BPE_FILE = "bpe.txt.gz"
CONTEXT = 40
"""Tokens; the longest caption of three objects has 37."""


def words() -> list[str]:
    """All that captions are made of, sorted."""
    values = (value for values in FACTORS.values() for value in values)
    return sorted({word for text in (*values, *OTHER_WORDS) for word in text.split()})


def merges(vocabulary: list[str]) -> list[tuple[str, str]]:
    """Pairs to join, the most frequent ones first, until each word is one symbol (Sennrich et al. 2016)."""
    spelled = [[*word[:-1], f"{word[-1]}</w>"] for word in vocabulary]
    found = []
    while any(len(symbols) > 1 for symbols in spelled):
        counts = Counter(pair for symbols in spelled for pair in pairwise(symbols))
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        found.append(best)
        spelled = [_joined(symbols, best) for symbols in spelled]
    return found


def write_bpe(path: Path) -> None:
    """Write the file, the same bytes each time."""
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges(words()))]
    path.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))


def tokenizer(path: Path) -> SimpleTokenizer:
    """Texts to tokens (n, `CONTEXT`)."""
    return SimpleTokenizer(bpe_path=str(path), context_length=CONTEXT)


def _joined(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    for symbol in symbols:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return joined
