"""Where each token of each example lies on disk: pure arithmetic."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Self, final, get_args

from saev.errors import InputError
from saev.shards.format.strict_json import MAX_INTEGER, JsonObject, located

TokenKind = Literal["content", "cls", "registers", "all"]

ITEM_BYTES: Final = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
SCALE_BYTES: Final = {"int8": 4}  # of the float32 behind the values of each token
DTYPES: Final = tuple(ITEM_BYTES)
DEFAULT_MAX_TOKENS_PER_SHARD: Final = 2_400_000
MAX_SHARDS: Final = 1_000_000  # acts000000.bin to acts999999.bin
ACTS_FILE: Final = re.compile(r"acts[0-9]{6}\.bin")


@final
@dataclass(frozen=True)
class TokenLayout:
    """The tokens of one example: CLS if any, registers, then patches in row-major order.

    Raises:
        InputError: For a negative number of registers or an empty grid.
    """

    cls: bool
    n_registers: int
    grid: tuple[int, int]
    """Patches as (rows, columns)."""

    def __post_init__(self) -> None:
        if self.n_registers < 0 or min(self.grid) < 1:
            raise InputError(f"no token layout has {self.n_registers} registers and the grid {self.grid}")

    @property
    def n_content(self) -> int:
        """Patches of one example."""
        return self.grid[0] * self.grid[1]

    @property
    def n_prefix(self) -> int:
        """CLS and registers of one example."""
        return int(self.cls) + self.n_registers

    @property
    def n_tokens(self) -> int:
        """All tokens of one example."""
        return self.n_prefix + self.n_content

    def positions(self, kind: TokenKind) -> range:
        """The positions within an example of one kind of token.

        >>> TokenLayout(cls=True, n_registers=4, grid=(2, 3)).positions("content")
        range(5, 11)

        Raises:
            InputError: For an unknown kind, and for one that these examples don't have.
        """
        found = self._positions()
        if kind not in found:
            raise InputError(f"tokens {kind!r} is unknown: choose from {', '.join(get_args(TokenKind))}")
        if not found[kind]:
            present = ", ".join(name for name, positions in found.items() if positions)
            raise InputError(f"these shards have no {kind} tokens: choose from {present}")
        return found[kind]

    def kind_of(self, positions: range) -> TokenKind:
        """Inverse of `positions`; "content" comes first where all tokens are content."""
        return next(kind for kind, own in self._positions().items() if own == positions)

    def _positions(self) -> dict[TokenKind, range]:
        return {
            "content": range(self.n_prefix, self.n_tokens),
            "cls": range(int(self.cls)),
            "registers": range(int(self.cls), self.n_prefix),
            "all": range(self.n_tokens),
        }


@final
@dataclass(frozen=True)
class ShardLayout:
    """All shards of one recording: files of one size, each of `examples_per_shard` whole examples.

    Each example is a C-order (n_tokens, d_model) array of little-endian `dtype`; for int8 each token is followed by
    its scale, a float32.

    Raises:
        InputError: For sizes that are not positive, an unknown dtype, over a million shards, or 2^53 bytes.
    """

    n_examples: int
    tokens: TokenLayout
    d_model: int
    dtype: str
    examples_per_shard: int

    def __post_init__(self) -> None:
        if min(self.n_examples, self.d_model, self.examples_per_shard) < 1:
            raise InputError(
                f"shards need at least one example, dimension and example a shard, found {self.n_examples}, "
                f"{self.d_model} and {self.examples_per_shard}"
            )
        if self.dtype not in ITEM_BYTES:
            raise InputError(f"dtype {self.dtype!r} cannot be stored: choose from {', '.join(DTYPES)}")
        if self.n_shards > MAX_SHARDS:
            raise InputError(f"{self.n_shards} shards are more than {MAX_SHARDS}: allow more tokens a shard")
        if self.total_bytes >= MAX_INTEGER:
            raise InputError(
                f"{self.total_bytes} bytes of activations are more than {MAX_INTEGER - 1}: no disk has them"
            )

    @classmethod
    def balanced(
        cls,
        n_examples: int,
        tokens: TokenLayout,
        d_model: int,
        dtype: str,
        max_tokens_per_shard: int = DEFAULT_MAX_TOKENS_PER_SHARD,
    ) -> Self:
        """As few shards as the budget of tokens allows, of the smallest equal size.

        >>> tokens = TokenLayout(cls=True, n_registers=0, grid=(3, 3))
        >>> ShardLayout.balanced(7, tokens, 64, "float32", max_tokens_per_shard=59).examples_per_shard
        4

        Raises:
            InputError: If there is nothing to store, or if one example alone is over the budget.
        """
        if n_examples < 1:
            raise InputError(f"there are {n_examples} examples to record: give at least one")
        most = max_tokens_per_shard // tokens.n_tokens
        if most < 1:
            raise InputError(
                f"n_patches_per_shard: {max_tokens_per_shard} tokens a shard do not hold the {tokens.n_tokens} "
                f"tokens of one example: allow at least {tokens.n_tokens}"
            )
        n_shards = -(-n_examples // most)
        return cls(n_examples, tokens, d_model, dtype, -(-n_examples // n_shards))

    @property
    def n_shards(self) -> int:
        """Files of activations."""
        return -(-self.n_examples // self.examples_per_shard)

    @property
    def bytes_per_token(self) -> int:
        """Bytes of one token, with its scale if it has one.

        >>> tokens = TokenLayout(cls=True, n_registers=0, grid=(3, 3))
        >>> ShardLayout(1, tokens, 768, "int8", 1).bytes_per_token
        772
        """
        return self.d_model * ITEM_BYTES[self.dtype] + SCALE_BYTES.get(self.dtype, 0)

    @property
    def bytes_per_example(self) -> int:
        """Bytes of all tokens of one example."""
        return self.tokens.n_tokens * self.bytes_per_token

    @property
    def bytes_per_shard(self) -> int:
        """Bytes of each file, the padding of the last one included."""
        return self.examples_per_shard * self.bytes_per_example

    @property
    def total_bytes(self) -> int:
        """Bytes of all files of activations."""
        return self.n_shards * self.bytes_per_shard

    def locate(self, example: int) -> tuple[int, int]:
        """The shard of an example and the byte offset of its first token there."""
        assert 0 <= example < self.n_examples, (example, self.n_examples)
        shard, place = divmod(example, self.examples_per_shard)
        return shard, place * self.bytes_per_example

    def n_examples_in(self, shard: int) -> int:
        """Examples of a shard, without padding."""
        assert 0 <= shard < self.n_shards, (shard, self.n_shards)
        return min(self.examples_per_shard, self.n_examples - shard * self.examples_per_shard)

    def examples_in(self, shard: int) -> range:
        """The examples of a shard."""
        first = shard * self.examples_per_shard
        return range(first, first + self.n_examples_in(shard))

    def examples_in_span(self, shard: int, start: int, stop: int) -> range:
        """The examples that have a byte in [start, stop) of a shard; empty where only padding lies."""
        assert 0 <= start < stop <= self.bytes_per_shard, (start, stop)
        n = self.n_examples_in(shard)
        first = shard * self.examples_per_shard
        low = min(start // self.bytes_per_example, n)
        high = min(-(-stop // self.bytes_per_example), n)
        return range(first + low, first + high)

    def file_name(self, shard: int) -> str:
        """The file of a shard.

        >>> tokens = TokenLayout(cls=False, n_registers=0, grid=(1, 1))
        >>> ShardLayout(2, tokens, 8, "float32", 1).file_name(1)
        'acts000001.bin'
        """
        assert 0 <= shard < self.n_shards, (shard, self.n_shards)
        return f"acts{shard:06d}.bin"

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return {
            "n_examples": self.n_examples,
            "cls": self.tokens.cls,
            "n_registers": self.tokens.n_registers,
            "grid": list(self.tokens.grid),
            "d_model": self.d_model,
            "dtype": self.dtype,
            "examples_per_shard": self.examples_per_shard,
        }

    @classmethod
    def from_dict(cls, value: object, where: str) -> Self:
        """From JSON, strictly.

        Raises:
            InputError: For anything that `to_dict` does not give.
        """
        keys = ("n_examples", "cls", "n_registers", "grid", "d_model", "dtype", "examples_per_shard")
        fields = JsonObject(value, where, keys)
        rows, columns = fields.integers("grid", 2, minimum=1)
        tokens = TokenLayout(fields.boolean("cls"), fields.integer("n_registers"), (rows, columns))
        n_examples, d_model = fields.integer("n_examples", 1), fields.integer("d_model", 1)
        dtype, examples_per_shard = fields.choice("dtype", DTYPES), fields.integer("examples_per_shard", 1)
        with located(where):
            return cls(n_examples, tokens, d_model, dtype, examples_per_shard)


@final
@dataclass(frozen=True)
class StoredLayer:
    """Which layer of a file this is: some tools store several, in C order (example, layer, token, width)."""

    n_layers: int = 1  # How many layers a file holds of each example.
    place: int = 0  # Which of them it is, from 0.

    def __post_init__(self) -> None:
        assert 0 <= self.place < self.n_layers, (self.place, self.n_layers)

    def spans(self, offset: int, n_bytes: int, bytes_per_example: int) -> Iterator[tuple[int, int]]:
        """Where in the file the bytes lie that would start at `offset` if it held this layer alone.

        Args:
            offset: A multiple of bytes_per_example.
            n_bytes: A multiple of bytes_per_example.
            bytes_per_example: Bytes of this layer of one example.

        Yields:
            First byte and number of bytes of each stretch, in order.

        >>> list(StoredLayer(n_layers=3, place=1).spans(20, 20, 10))
        [(70, 10), (100, 10)]
        >>> list(StoredLayer().spans(20, 20, 10))
        [(20, 20)]
        """
        assert offset % bytes_per_example == n_bytes % bytes_per_example == 0, (offset, n_bytes, bytes_per_example)
        if self.n_layers == 1:
            yield offset, n_bytes
            return
        for start in range(offset, offset + n_bytes, bytes_per_example):
            yield start * self.n_layers + self.place * bytes_per_example, bytes_per_example
