"""The training of the demo's CLIP: what it is trained on, that its fast forward is open_clip's, and that it resumes."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import train_demo_clip
from demo_clip.batches import UNSURE, Batches, make_batch, may_be_true
from demo_clip.towers import block_outputs, make_clip, model_config, pooled
from demo_clip.views import part, random_box, whole
from demo_clip.vocabulary import CONTEXT, tokenizer, words, write_bpe
from saev.errors import InputError
from saev.scenes.captions import Description, attributes, caption, everything, shortened
from saev.scenes.drawing import object_mask
from saev.scenes.factors import FACTORS, Scene, SceneObject
from saev.scenes.sampling import sample


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bpe") / "bpe.txt.gz"
    write_bpe(path)
    return path


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_each_word_is_one_token_and_the_longest_caption_fits(bpe: Path) -> None:
    tokenize = tokenizer(bpe)
    assert all(len(tokenize.encode(word)) == 1 for word in words())
    texts = [caption(sample(0, i, (3, 3)), Random(i), keep=1) for i in range(50)]
    assert {word for text in texts for word in text.split()} <= {*words()}
    ends = (tokenize(texts) == tokenize.eot_token_id).nonzero()[:, 1]
    assert len(ends) == 50
    assert 32 < ends.max() < CONTEXT


def test_the_fast_forward_is_that_of_open_clip(bpe: Path) -> None:
    clip = make_clip(model_config(tokenizer(bpe).vocab_size, CONTEXT), seed=0)
    pictures = make_batch([whole(sample(0, i)) for i in range(4)]).pictures
    with torch.no_grad():
        ours = pooled(clip.visual, block_outputs(clip.visual, pictures)[-1]) @ clip.visual.proj
        theirs = clip.encode_image((pictures / 255 - 0.5) / 0.5)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_patches_are_told_what_covers_them() -> None:
    scenes = [sample(0, i) for i in range(40)]
    targets = make_batch([*map(whole, scenes)]).targets_npf.reshape(40, 8, 8, 6)
    for scene, target in zip(scenes, targets, strict=True):
        mask = object_mask(scene)
        for row in range(8):
            for column in range(8):
                patch = mask[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
                told = target[row, column].tolist()
                assert FACTORS["background"][told.pop()] == scene.background
                if not patch.any():
                    assert told == [5, 6, 4, 2, 4]
                elif (patch > 0).sum() < 16:
                    assert told == [UNSURE] * 5
                else:
                    thing = attributes(scene.objects[int(patch.max()) - 1])
                    assert [FACTORS[f][i] for f, i in zip(thing, told, strict=True)] == [*thing.values()]


def test_captions_are_true_of_scenes_that_have_all_they_name() -> None:
    scenes = [sample(1, i) for i in range(60)]
    told = [shortened(everything(scene), Random(i), keep=0.3) for i, scene in enumerate(scenes)]

    def holds(scene: Scene, said: int) -> bool:
        things = [attributes(thing).items() for thing in scene.objects]
        named = told[said].objects
        ground = told[said].background in (None, scene.background)
        return ground and all(any(name.items() <= thing for thing in things) for name in named)

    expected = np.array([[holds(scene, said) for said in range(60)] for scene in scenes])
    assert (may_be_true(told, [*map(everything, scenes)]) == expected).all()
    assert expected.diagonal().all()
    assert 0.03 < expected.mean() < 0.5


def test_a_part_shows_the_box_and_tells_no_size_no_position_and_no_shape_that_is_cut_off() -> None:
    scene = Scene(
        "pink",
        (
            SceneObject("ring", "red", "solid", "large", "top left"),
            SceneObject("square", "blue", "dotted", "large", "top right"),
        ),
    )
    right = part(scene, (40, 8, 56, 24))
    assert right.known == Description(({"colour": "blue", "texture": "dotted"},), "pink")
    assert (right.mask == 1).all()
    both = part(scene, (0, 0, 64, 40))
    assert both.known.objects[0] == {"shape": "ring", "colour": "red", "texture": "solid"}
    assert [*both.known.objects[1].values()] == ["square", "blue", "dotted"]
    np.testing.assert_array_equal(part(scene, (0, 0, 64, 64)).picture, whole(scene).picture)
    batch = make_batch([right])
    assert batch.targets_npf[0, 0].tolist() == [UNSURE, 2, 2, UNSURE, UNSURE, 4]
    assert batch.present[0].tolist() == [-1] * 5 + [0, 0, 1, 0, 0, 0] + [0, 0, 1, 0] + [-1] * 6 + [0, 0, 0, 0, 1, 0]
    for seed in range(50):
        left, top, right_, bottom = random_box(scene, Random(seed))
        assert 0 <= left < right_ <= 64
        assert 24 <= right_ - left == bottom - top <= 56
        assert 0 <= top < bottom <= 64


def test_batches_are_functions_of_their_number_in_neighbours_that_differ_in_one_value(bpe: Path) -> None:
    data = Batches(16, captions=True, bpe=bpe)
    first, again = data[3], data[3]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True) if a is not None and b is not None)
    assert not torch.equal(first.pictures, data[4].pictures)
    differing = (first.present[::2] != first.present[1::2]).sum(dim=1)
    assert differing.any()
    assert first.true_nn is not None
    assert first.true_nn.diagonal().all()
    assert Batches(4, captions=False, bpe=bpe)[0].tokens_nt is None


def test_a_run_that_was_stopped_ends_with_the_same_weights(
    tmp_path: Path, threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_demo_clip, "figures", lambda clip, bpe: {})

    def run(name: str, *options: str) -> Path:
        where = ["--out", str(tmp_path / name / "out"), "--run", str(tmp_path / name / "run")]
        small = ["--alone", "4", "--together", "12", "--batch", "4", "--threads", "1", "--workers", "0"]
        small += ["--log_steps", "1", "--save_seconds", "0"]
        train_demo_clip.main([*where, *small, *options])
        return tmp_path / name

    whole = run("whole")
    assert ["clip=" in line for line in _steps(whole)] == [False] + [True] * 3
    assert _steps(whole)[-1].startswith("step=4 pictures=16 ")

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train_demo_clip, "note", _interrupt_at_step_3)
        run("stopped")
    stopped = run("stopped")
    assert [line.split()[0] for line in _steps(stopped)] == ["step=3", "step=4"]
    a, b = (load_file(path / "out/open_clip_model.safetensors") for path in (whole, stopped))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    with pytest.raises(InputError, match="checkpoint is of another run"):
        run("stopped", "--seed", "1")


def _steps(path: Path) -> list[str]:
    return [line for line in (path / "run/log.txt").read_text().splitlines() if line.startswith("step=")]


def _interrupt_at_step_3(log: Path, text: str) -> None:
    if text.startswith("step=3 "):
        raise KeyboardInterrupt
