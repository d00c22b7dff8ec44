"""`saev.render` and `saev.survey`: galleries and surveys from Python, with and without saved codes."""

import base64
import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tests.conftest import MakeShards
from tests.latents.survey.brute_force import arrays_of

import saev
from saev.errors import InputError
from saev.gallery.scripts import read_script
from saev.nn import TopK

N, D_SAE = 23, 24


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    labels = torch.randint(0, 3, (N, 6), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    return make_shards(N, labels=labels, n_registers=2)[0]


@pytest.fixture(scope="module")
def sae() -> TopK:
    torch.manual_seed(1)
    return TopK(8, D_SAE, k=2)


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("tokens", "n_images"), [("content", N), ("content", 9), ("cls", N), ("all", N)])
def test_a_gallery_from_saved_codes_is_the_same(
    shards: Path, sae: TopK, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: str, n_images: int
) -> None:
    n_tokens = {"content": 6, "cls": 1, "all": 9}[tokens]
    monkeypatch.setattr("saev.nn.functional.CODES_BYTES", 4 * D_SAE * n_tokens * 8)  # eight images at a time
    torch.manual_seed(2)
    saes = {"a": sae, "b": TopK(8, D_SAE, k=3)}
    codes = saev.encode(sae, shards, tmp_path / "codes", tokens=tokens, file_bytes=1)  # type: ignore[arg-type]
    assert len(codes.parts) > 2
    options = {"n_images": n_images, "n_latents": 7, "tokens": tokens}
    found = saev.render(saes, shards, tmp_path / "encoded", **options)  # type: ignore[arg-type]
    assert found == {name: tmp_path / "encoded" / name / "index.html" for name in saes}
    saev.render(saes, shards, tmp_path / "saved", codes=[tmp_path / "codes"], **options)  # type: ignore[arg-type]
    assert tree(tmp_path / "saved") == tree(tmp_path / "encoded")


def test_a_gallery_has_all_pictures_and_what_fires_in_them(shards: Path, sae: TopK, tmp_path: Path) -> None:
    index = saev.render({"a": sae}, shards, tmp_path, n_latents=1, top_k=2, n_picture_pages=9)["a"]
    said = read_script((index.parent / "data" / "overview.js").read_text(encoding="ascii"))
    assert [picture[0] for picture in said["pictures"]] == list(range(N))
    assert said["levels"] == {"most": None}
    assert [picture[1] for picture in said["pictures"]] == [one.path for one in saev.open_shards(shards).examples()]
    widths = [
        picture[3] for picture in said["pictures"]
    ]  # the pictures of made-up shards are missing, or not looked for
    assert widths.count(0) >= 9
    assert widths.count(0) + widths.count(-1) == N
    assert -1 in widths
    raw = read_script((index.parent / "data" / "levels" / "000000.js").read_text(encoding="ascii"))
    known, counts, latents, levels = (
        np.frombuffer(base64.b64decode(raw[name]), kind)
        for name, kind in (("known", "u1"), ("counts", "<u2"), ("latents", "<u2"), ("levels", "u1"))
    )
    assert known.tolist() == [1] * N
    found = np.zeros((N, D_SAE))
    found[np.repeat(np.arange(N), counts), latents] = levels
    f_is = saev.encode(sae, shards, tmp_path / "codes").of_images(range(N)).dense().max(1)
    share_is = 255 * f_is / np.maximum(f_is.max(0), 1e-9)
    assert ((found > 0) == (f_is > 0)).all()
    assert np.abs(found - np.where(f_is > 0, np.maximum(share_is, 1), 0)).max() <= 0.51


def test_the_numbers_of_all_latents_are_a_table(shards: Path, sae: TopK, tmp_path: Path) -> None:
    torch.manual_seed(2)
    metadata = tmp_path / "table.csv"
    rows = [
        f"{one.path},{'=1+1' if i % 2 else 'b'},{i % 3}x" for i, one in enumerate(saev.open_shards(shards).examples())
    ]
    metadata.write_text("\n".join(["path,=site,patches", *rows]))
    saes = {"a": sae, "b": TopK(8, D_SAE, k=3)}
    out = saev.render(saes, shards, tmp_path / "features", metadata=metadata, n_latents=3)["a"].parent
    with (out / "latents.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    table = pq.read_table(out / "latents.parquet").to_pydict()
    assert [name.removeprefix("'") for name in read[0]] == list(table)
    assert not any(value.startswith(("=", "+", "@")) for row in read for value in (*row, *row.values()))
    survey = saev.survey(sae, shards)
    assert table["latent"] == list(range(D_SAE))
    assert torch.tensor(table["frequency"]) == pytest.approx(survey.moments.frequency)
    top = survey.top["patch"].values
    assert table["first_to_second"] == pytest.approx((top[:, 0] / top[:, 1]).nan_to_num(0, posinf=0).tolist())
    assert table["pictures"] == pytest.approx((top.sum(1) ** 2 / (top**2).sum(1)).nan_to_num(0).tolist(), rel=1e-5)
    cosines = torch.nn.functional.cosine_similarity(sae.W_dec[:, None], sae.W_dec[None], dim=2).fill_diagonal_(-1)
    assert table["nearest"] == cosines.argmax(1).tolist()
    assert [float(row["nearest_cosine"]) for row in read] == pytest.approx(cosines.amax(1).tolist(), abs=1e-5)
    assert set(table) >= {
        "p50",
        "patches_label",
        "patches_ap",
        "patches (metadata)_label",
        "=site_label",
        "name",
        "match in b",
        "match in b, cosine",
    }


def test_a_survey_of_saved_codes_is_the_same(shards: Path, sae: TopK) -> None:
    codes = saev.encode(sae, shards)
    surveys = [saev.survey(sae, shards, codes=one, top_k=4) for one in (codes, None)]
    found, expected = map(arrays_of, surveys)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[key], expected[key]) for key in found)
    assert surveys[1].patch_labels is not None
    assert surveys[1].patch_labels.base_counts.sum() == 6 * N


def test_what_does_not_belong_together_is_refused(
    shards: Path, sae: TopK, make_shards: MakeShards, tmp_path: Path
) -> None:
    codes, other = saev.encode(sae, shards), TopK(8, D_SAE, k=2)
    with pytest.raises(InputError, match=r"the codes: of an SAE with the digest .*, b have .*: encode again"):
        saev.render({"b": other}, shards, tmp_path, codes=[codes])
    with pytest.raises(InputError, match=r"the codes are of the tokens content, not of cls"):
        saev.render({"a": sae}, shards, tmp_path, codes=[codes], tokens="cls")
    with pytest.raises(InputError, match=r"the codes are of the shards with the content id .*, not of"):
        saev.survey(sae, make_shards(N, images="5" * 64)[0], codes=codes)
    with pytest.raises(InputError, match=r"'\.\./x' cannot be the name"):
        saev.render({"../x": sae}, shards, tmp_path)
    with pytest.raises(InputError, match=r"include_latents \[24\]: the SAE has latents 0 to 23"):
        saev.render({"a": sae}, shards, tmp_path, include_latents=[24])
    assert list(tmp_path.iterdir()) == []


def test_what_makes_no_sense_is_refused(shards: Path, sae: TopK, tmp_path: Path) -> None:
    def refused(message: str, call: Any, *args: object, **options: object) -> None:
        with pytest.raises(InputError, match=message):
            call(*args, **options)

    for option in ("top_k", "n_images"):
        refused(rf"{option}=0.* must be 1 or more", saev.survey, sae, shards, **{option: 0})
    refused("seed=-1 0 or more", saev.survey, sae, shards, seed=-1)
    refused("saev.render has no option 'foo': it has top_k, ", saev.render, {"a": sae}, shards, tmp_path, foo=1)
    refused("saes is list: give SAEs by name", saev.render, [sae], shards, tmp_path)
    for name in ("a b\n", "", "..", 3):
        refused("cannot be the name of a gallery's directory", saev.render, {name: sae}, shards, tmp_path)
    refused("shards are list: give the path of one directory", saev.encode, sae, [shards])
    refused("the SAE is list: give an SAE or the path", saev.encode, [sae], shards)
    refused("'x.y' is no class: give the class itself", saev.register, "x.y")
    assert list(tmp_path.iterdir()) == []
