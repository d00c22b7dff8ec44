"""What is stored of activations, above all as int8 with a scale for each token."""

import struct
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from tests.shards.small_recordings import TORCH_DTYPES, make_acts, make_recording, record
from torch import Tensor

from saev.shards.format.dtypes import decode, encode
from saev.shards.format.layout import ITEM_BYTES, ShardLayout, TokenLayout
from saev.shards.reading.open import open_shards
from saev.shards.reading.verify import faults

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
sizes = st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 9))


@st.composite
def activations(draw: st.DrawFn, values: st.SearchStrategy[float] = floats) -> Tensor:
    b, t, d = draw(sizes)
    flat = draw(st.lists(values, min_size=b * t * d, max_size=b * t * d))
    return torch.tensor(flat, dtype=torch.float32).reshape(b, t, d)


def test_the_bytes_of_int8_never_change(tmp_path: Path) -> None:
    acts = torch.tensor([[[-127.0, 1.0, 0.75], [0.0, 0.0, -0.0]], [[0.25, -31.75, 10.125], [1e-3, 2e-3, -3e-3]]])
    recording = make_recording(2, TokenLayout(True, 0, (1, 1)), d_model=3, dtype="int8", budget=4)
    directory = record(tmp_path, recording, acts)
    expected = (
        b"\x81\x01\x01" + struct.pack("<f", 1.0)
        + b"\x00\x00\x00" + struct.pack("<f", 0.0)
        + b"\x01\x81\x28" + struct.pack("<f", 0.25)  # 40.5 goes to the even 40
        + b"\x2a\x55\x81" + struct.pack("<f", 3e-3 / 127)
    )  # fmt: skip
    assert (directory / "acts000000.bin").read_bytes() == expected
    found = open_shards(directory).read(0, 2)
    assert found.dtype == torch.float32
    assert found[:, 0].tolist() == [[-127.0, 1.0, 1.0], [0.25, -31.75, 10.0]]
    assert open_shards(directory).metadata.dtype == "int8"
    assert open_shards(directory).metadata.protocol == "3.0"
    assert faults(directory) == []


@given(activations())
@example(torch.full((1, 1, 1), torch.finfo(torch.float32).max))  # 127 rounded scales would be infinite
@example(torch.full((1, 1, 1), 190 * 2.0**-149))  # 190 levels of the rounded scale
def test_int8_errs_by_half_a_scale_at_most(acts: Tensor) -> None:
    found = decode(encode(acts, "int8"), "int8")
    assert found.isfinite().all()
    scale = acts.double().abs().amax(-1, keepdim=True) / 127
    # The scale and each product are rounded to float32, below its normal numbers to multiples of 2^-149.
    bound = scale / 2 * (1 + 2**-14) + 128 * 2**-149
    assert ((acts.double() - found.double()).abs() <= bound).all()


@given(activations(), st.integers(-60, 60), st.floats(1, 2, width=16, exclude_max=True))
def test_whole_multiples_of_a_scale_are_kept_exactly(acts: Tensor, exponent: int, mantissa: float) -> None:
    multiples = acts.nan_to_num().remainder(127).round() - 63
    multiples[..., :1] = -127
    scaled = multiples * (mantissa * 2.0**exponent)
    assert torch.equal(decode(encode(scaled, "int8"), "int8"), scaled)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_zeros_are_bytes_of_zero(zero: float) -> None:
    assert not encode(torch.full((20, 3, 5), zero), "int8").any()


@given(activations(), st.floats(0, 1, width=32))
def test_a_token_does_not_depend_on_the_others(acts: Tensor, value: float) -> None:
    alone = [encode(example[None, token : token + 1], "int8") for example in acts for token in range(acts.shape[1])]
    together = encode(torch.cat([acts, torch.full_like(acts, value)]), "int8")[: len(acts)]
    assert [row.tolist() for row in together.flatten(0, 1)] == [row[0, 0].tolist() for row in alone]


@given(activations(st.floats(-60000, 60000, width=16)), st.sampled_from(sorted(ITEM_BYTES)))
def test_the_layout_states_the_bytes_of_a_token(acts: Tensor, dtype: str) -> None:
    b, t, d = acts.shape
    layout = ShardLayout.balanced(max(1, b), TokenLayout(False, 0, (1, t)), d, dtype)
    # The order of the memory of what is given leaves no trace.
    stored = encode(acts.permute(2, 1, 0).contiguous().permute(2, 1, 0), dtype)
    assert stored.dtype == torch.uint8
    assert stored.shape == (b, t, layout.bytes_per_token)
    assert stored.is_contiguous()
    assert layout.bytes_per_example == t * layout.bytes_per_token
    found = decode(stored, dtype)
    if dtype == "int8":
        assert found.dtype == torch.float32
    else:
        assert torch.equal(found, acts.to(TORCH_DTYPES[dtype]))


@given(activations(), st.sampled_from([torch.float64, torch.bfloat16, torch.float16]))
def test_other_precisions_are_quantized_as_float32(acts: Tensor, dtype: torch.dtype) -> None:
    acts = acts.clamp(-60000, 60000).to(dtype)
    assert torch.equal(encode(acts, "int8"), encode(acts.float(), "int8"))


def test_any_run_of_int8_examples_can_be_read(tmp_path: Path) -> None:
    recording = make_recording(dtype="int8")
    reader = open_shards(record(tmp_path, recording, make_acts(recording)))
    assert recording.layout.n_shards == 3
    assert recording.layout.bytes_per_shard == 4 * 7 * 9
    whole = decode(encode(make_acts(recording), "int8"), "int8")
    for start in range(12):
        for stop in range(start, 12):
            assert torch.equal(reader.read(start, stop), whole[start:stop])
