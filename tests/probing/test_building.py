"""`saev probe build`: sets of the pictures that nobody has looked at."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.probing.set_building import built, refused
from tests.probing.sets.small_sets import make_pictures, weights_of
from tests.probing.studies import IN_WORDS, STRIPED, N, Study, make_study

import saev
from saev.artifacts import Provenance, save_sae
from saev.cli.main import main
from saev.latents.metadata import read_metadata
from saev.probing.hypotheses.hypothesis import AttributeName
from saev.probing.pictures.units import Units, in_test_half
from saev.probing.sets.files import read_picture, read_set
from saev.probing.sets.image_set import ImageSet, SetPicture
from saev.probing.verdicts.files import read_verdicts

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("study"))


def images(made: ImageSet) -> np.ndarray:
    return np.array([one.image for one in made.pictures])


def with_role(made: ImageSet, role: str) -> list[SetPicture]:
    return [one for one in made.pictures if role in one.roles]


def is_test_half(study: Study, seed: int = 0, column: str | None = None) -> np.ndarray:
    records = study.reader.examples()
    columns = [read_metadata(study.table, records).column(column)] if column else []
    return Units.of(records, columns).halves(seed)


def test_a_claim_in_words_gets_a_sample_and_a_page(study: Study, tmp_path: Path, capsys: Capture) -> None:
    frozen = study.freeze(tmp_path / "frozen.json", [IN_WORDS])
    (made,) = built(study, frozen, tmp_path / "sets", capsys)
    assert (made.hypothesis, made.text, len(made.pictures), made.asks_people) == ("in-words", "stripes", 60, True)
    assert made.recipe["kind"] == "range"
    is_test_i = is_test_half(study)
    assert is_test_i[images(made)].all()
    left_out = made.recipe["left_out"]
    of_proposal = [one for one, other in study.copies.items() if is_test_i[one] and not is_test_i[other]]
    of_proposal += [other for one, other in study.copies.items() if is_test_i[other] and not is_test_i[one]]
    each_other = [one for one, other in study.copies.items() if is_test_i[[one, other]].all()]
    assert left_out == {"near_proposal": len(of_proposal), "near_each_other": len(each_other)}
    assert of_proposal
    assert each_other
    assert not set(images(made)) & {*of_proposal, *each_other}
    assert weights_of(made).sum() == pytest.approx(is_test_i.sum() - len(of_proposal) - len(each_other))
    directory = tmp_path / "sets" / "in-words"
    assert (directory / "label.html").is_file()
    for one in made.pictures:
        assert (directory / "pictures" / one.file).is_symlink()
        assert read_picture(directory, one)
        with Image.open(directory / "shown" / f"{one.id}.png") as shown:
            assert shown.size == (32, 32)  # as the ViT saw it, of 64 x 64
    (again,) = built(study, frozen, tmp_path / "again", capsys)
    (other,) = built(study, frozen, tmp_path / "other", capsys, "--seed=1", "--n_pictures=20")
    assert again == made
    assert len(other.pictures) == 20
    assert other.seed == 1


def test_labelled_pictures_are_all_taken_and_hard_ones_have_roles(
    study: Study, tmp_path: Path, capsys: Capture
) -> None:
    saev.encode(study.sae, study.shards, tmp_path / "codes", device="cpu")
    frozen = study.freeze(tmp_path / "frozen.json", [STRIPED, replace(STRIPED, id="not", claim="does not fire on")])
    made, opposite = built(
        study, frozen, tmp_path / "sets", capsys, f"--metadata={study.table}", f"--codes={tmp_path / 'codes'}"
    )
    assert (made.labels_k == study.is_striped_i[images(made)]).all()
    (stratum,) = made.strata
    assert (stratum.size, stratum.n, stratum.label) == (len(made.pictures), len(made.pictures), None)
    assert len(with_role(made, "sample")) == len(made.pictures)
    assert images(made).tolist() != sorted(images(made))
    near, neighbours, same_class = (with_role(made, role) for role in ("hard-near", "hard-neighbour", "same-class"))
    assert not any(one.label for one in (*near, *neighbours, *same_class))
    chosen = {role: {one.image for one in some} for role, some in (("near", near), ("neighbours", neighbours))}
    test = set(images(made))
    assert chosen["near"] >= test & set(np.flatnonzero(study.is_lookalike_i))
    assert made.recipe["neighbours"][0] == 1
    assert chosen["neighbours"] >= test & set(np.flatnonzero(study.is_dotted_i))
    assert same_class
    assert {one.path[0] for one in same_class} == {"a", "b"}
    assert all(one.label for some in ("hard-near", "hard-neighbour", "same-class") for one in with_role(opposite, some))


def test_more_labelled_pictures_than_are_wanted_are_sampled_by_label(
    study: Study, tmp_path: Path, capsys: Capture
) -> None:
    frozen = study.freeze(tmp_path / "frozen.json", [STRIPED])
    (made,) = built(study, frozen, tmp_path / "sets", capsys, f"--metadata={study.table}", "--n_pictures=40")
    sample = with_role(made, "sample")
    assert [stratum.label for stratum in made.strata] == [False, True]
    assert [stratum.n for stratum in made.strata] == [20, 20]
    assert len(sample) == 40 < len(made.pictures)
    assert {one.stratum for one in made.pictures if "sample" not in one.roles} == {None}
    kept_i = is_test_half(study) & ~np.isin(np.arange(N), list(study.copies))
    assert made.strata[1].size <= np.count_nonzero(kept_i & study.is_striped_i) <= made.strata[1].size + 6
    assert weights_of(made).sum() == pytest.approx(sum(stratum.size for stratum in made.strata))


def test_labels_of_pictures_folders_and_blind_ones(study: Study, tmp_path: Path, capsys: Capture) -> None:
    records = study.reader.examples()
    for i in range(0, N, 2):
        side = tmp_path / "tasks" / f"striped-{'positive' if study.is_striped_i[i] else 'negative'}"
        side.mkdir(parents=True, exist_ok=True)
        (side / f"{i}.png").symlink_to(study.root / "pictures" / records[i].path)
    by_class = replace(STRIPED, id="class", attribute=AttributeName("label", "a"))
    by_task = replace(STRIPED, id="task", attribute=AttributeName("folders", "striped"))
    frozen = study.freeze(tmp_path / "frozen.json", [by_class, by_task, IN_WORDS], ["site"])
    options = [f"--labels={tmp_path / 'tasks'}", "--labels=image", f"--metadata={study.table}"]
    of_class, of_task, in_words = built(study, frozen, tmp_path / "sets", capsys, *options)
    assert all(one.label == (one.path[0] == "a") for one in of_class.pictures)
    assert not with_role(of_class, "same-class")
    assert (images(of_task) % 2 == 0).all()
    assert (of_task.labels_k == study.is_striped_i[images(of_task)]).all()
    assert in_words.asks_people
    is_test_i = is_test_half(study, column="site")
    for made in (of_class, of_task, in_words):
        assert is_test_i[images(made)].all()
        assert {one.group.split("=")[0] for one in made.pictures} == {"site"}
    blind = built(study, frozen, tmp_path / "blind", capsys, "--blind", f"--metadata={study.table}", "--n_pictures=30")
    assert [(len(made.pictures), made.asks_people) for made in blind] == [(30, True)] * 3


def test_the_class_may_be_a_column(study: Study, tmp_path: Path, capsys: Capture) -> None:
    """Of eight species two have striped pictures: only theirs are of the same class."""
    frozen = study.freeze(tmp_path / "frozen.json", [STRIPED])
    species = [f"sp{i % 8}" for i in range(N)]
    rows = [
        f"{one.path},{study.is_striped_i[i] and i % 8 < 2},{species[i]}"
        for i, one in enumerate(study.reader.examples())
    ]
    (tmp_path / "species.csv").write_text("\n".join(["path,striped,species", *rows]))
    options = [f"--metadata={tmp_path / 'species.csv'}", "--class_column=species"]
    (made,) = built(study, frozen, tmp_path / "sets", capsys, *options)
    assert made.recipe["class_column"] == "species"
    same_class = {one.image for one in with_role(made, "same-class")}
    assert {species[image] for image in same_class if image is not None} == {"sp0", "sp1"}
    message = refused(study, frozen, tmp_path / "none", capsys, f"--metadata={study.table}", "--class_column=species")
    assert "no column 'species'" in message


def task_folders(study: Study, root: Path, n_new: int) -> dict[str, Path]:
    """A task on recorded pictures with even numbers, pictures that are new, and one that is hardly changed."""
    records, rng = study.reader.examples(), np.random.default_rng(7)
    for side in ("positive", "negative"):
        (root / f"striped-{side}").mkdir(parents=True)
    folder = {True: root / "striped-positive", False: root / "striped-negative"}
    for i in range(0, N, 2):
        own = folder[bool(study.is_striped_i[i])] / f"{i}.png"
        own.symlink_to(study.root / "pictures" / records[i].path)
    new = {}
    for number in range(n_new):
        path = folder[number % 2 == 0] / f"new {number}.png"
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(path)
        new[hashlib.sha256(path.read_bytes()).hexdigest()] = path
    for number in range(4):  # nearly those of one recorded picture, and some of them of the test half
        with Image.open(study.root / "pictures" / records[0].path) as picture:
            picture.point(lambda value: value * 0.9).save(folder[False] / f"almost {number}.png", compress_level=number)
    return new


def test_pictures_of_a_task_that_were_never_recorded_come_into_its_set(
    study: Study, tmp_path: Path, capsys: Capture
) -> None:
    new = task_folders(study, tmp_path / "tasks", 40)
    frozen = study.freeze(tmp_path / "frozen.json", [replace(STRIPED, attribute=AttributeName("folders", "striped"))])
    (made,) = built(study, frozen, tmp_path / "sets", capsys, f"--labels={tmp_path / 'tasks'}")
    found = {one.sha256: one for one in made.pictures if one.image is None}
    assert set(found) == {digest for digest in new if in_test_half(digest, 0)}
    for digest, one in found.items():
        assert (one.label, one.roles, one.group) == (one.path.startswith("striped-positive/new"), ("sample",), digest)
        assert read_picture(tmp_path / "sets/striped", one) == new[digest].read_bytes()
    assert made.recipe["unrecorded"]["test_half"] == len(found)
    n_almost = made.recipe["unrecorded"]["near_duplicates"]
    assert n_almost >= 1
    assert n_almost + made.recipe["unrecorded"]["proposal_half"] == 44 - len(found)
    assert made.strata[0].size == len(made.pictures)
    assert main(study.command(frozen, tmp_path / "again", f"--labels={tmp_path / 'tasks'}", "--n_pictures=30")) == 0
    assert "of them never recorded; their labels are known" in capsys.readouterr().err
    sampled = read_set(tmp_path / "again/striped")
    assert weights_of(sampled).sum() == pytest.approx(len(made.pictures))
    (tmp_path / "tasks/striped-positive/new 0.png").write_text("no picture")
    message = refused(study, frozen, tmp_path / "none", capsys, f"--labels={tmp_path / 'tasks'}")
    assert "new 0.png" in message


def test_what_was_never_recorded_is_built_and_tested(tmp_path: Path, capsys: Capture) -> None:
    make_pictures(tmp_path / "all", [f"{number:03d}.png" for number in range(120)])
    (tmp_path / "recorded").mkdir()
    for side in ("positive", "negative"):
        (tmp_path / f"tasks/odd-{side}").mkdir(parents=True)
    for number, path in enumerate(sorted((tmp_path / "all").iterdir())):
        (tmp_path / f"tasks/odd-{'positive' if number % 2 else 'negative'}/{number}.png").symlink_to(path)
        if number < 60:
            (tmp_path / "recorded" / path.name).symlink_to(path)
    backbone = saev.load_backbone("timm", "test_vit", weights="random")
    (shards,) = saev.record(tmp_path / "recorded", backbone, [-2], tmp_path / "shards")
    sae = saev.TopK(backbone.d_model, d_sae=128, k=8).eval()
    save_sae(sae, tmp_path / "sae", Provenance.of([saev.open_shards(shards)], "content"))
    given = [f"--sae={tmp_path / 'sae'}", f"--shards={shards}", f"--labels={tmp_path / 'tasks'}", "--device=cpu"]
    frozen, sets, out = tmp_path / "frozen.json", tmp_path / "sets", tmp_path / "report"
    latent = int(np.bincount(saev.encode(sae, shards, device="cpu").of_images(range(60)).latents_n).argmax())
    claim = [f"--latents=[{latent}]", "--thresholds=[0.01]", "--attribute=folders:odd"]
    assert main(["probe", "freeze", *given, f"--out={frozen}", *claim]) == 0
    hypotheses = [f"--hypotheses={frozen}", *given]
    assert main(["probe", "build", *hypotheses, f"--out={sets}"]) == 0
    tested = ["probe", "test", *hypotheses, f"--sets={sets}", f"--out={out}", "--weights=random", "--no_controls"]
    assert main(tested) == 0, capsys.readouterr().err
    (made,) = [read_set(directory) for directory in sets.iterdir() if directory.is_dir()]
    (result,) = read_verdicts(out).results
    assert 15 < result.n_unrecorded == sum(one.image is None for one in made.pictures) < result.n
