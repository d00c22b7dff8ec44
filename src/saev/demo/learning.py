"""The first steps: record, train, look."""

from pathlib import Path
from typing import Any, Final

import saev.probing
from saev.demo.known_scenes import PHRASES
from saev.demo.places import FIRST, SECOND
from saev.demo.steps import CLIP, LAYER, Argv, Demo, Outcome, Step
from saev.files import write_whole
from saev.latents.naming.names_file import NAMES_FILE, read_names
from saev.nn import SparseAutoencoder
from saev.vit.images import DemoScenes

D_SAE: Final = 256
K: Final = 12
BATCH_SIZE: Final = 512
N_STEPS: Final = 800
"""With 2,000 scenes or more; with fewer also fewer, since the same patches come too often."""
_FEWEST_STEPS: Final = 200
TOP_K: Final = 32
N_PICTURE_PAGES: Final = 200


def recording(demo: Demo) -> Step:
    """Activations of the CLIP on scenes."""

    def work() -> Outcome:
        backbone = saev.load_backbone("clip", CLIP)
        shards, fresh = (
            saev.record(scenes, backbone, LAYER, demo.places.shards)[0] for scenes in (demo.scenes, demo.fresh_scenes)
        )
        layout = saev.open_shards(shards).layout
        said = (
            f"{len(demo.scenes):,} scenes are on disk, {layout.tokens.n_content} patches of each and "
            f"{layout.d_model} numbers for each patch; and {len(demo.fresh_scenes):,} fresh ones, which judge later"
        )
        return Outcome([said], {"shards": shards.name, "fresh": fresh.name})

    return Step(
        "record",
        "Record: what a vision transformer makes of pictures",
        "The pictures are generated: one to three shapes of 5 kinds, 6 colours, 4 textures and 2 sizes in 4 places, on "
        "6 backgrounds. So all that is claimed later can be checked. A tiny CLIP, which was trained on such scenes and "
        "captions and comes with saev, looks at them; what one of its layers makes of each patch is kept.",
        lambda: [predict_command(demo, scenes) for scenes in (demo.scenes, demo.fresh_scenes)],
        work,
    )


def predict_command(demo: Demo, scenes: DemoScenes, *more: str) -> Argv:
    """What makes the same recording."""
    return [
        "predict", "--model.family", "clip", "--model.ckpt", CLIP, *more, "--model.layers", f"[{LAYER}]",
        "--data.images", "DemoScenes", f"--data.images.n_scenes={len(scenes)}", f"--data.images.seed={scenes.seed}",
        "--writer.dump_to", str(demo.places.shards),
    ]  # fmt: skip


def training(demo: Demo) -> Step:
    """Two SAEs that differ in their seed."""

    def work() -> Outcome:
        first, second = (trained(demo, demo.shards, demo.fresh, demo.seed + more) for more in (0, 1))
        saev.save(second, demo.places.sae(SECOND), overwrite=True)
        saev.save(first, demo.places.sae(), overwrite=True)
        fvu, dead = quality(first)
        said = (
            f"{K} of {D_SAE} latents explain {1 - fvu:.1%} of the variance of fresh patches; {dead:.1%} of them are "
            "dead, never fire"
        )
        return Outcome([said], {})

    return Step(
        "train",
        "Train: a sparse autoencoder",
        f"It writes each patch as a sum of {K} of {D_SAE} directions that it learns, the latents. A second one, which "
        "differs in its seed alone, says later which latents are no accident.",
        lambda: [fit_command(demo, demo.seed + more, name) for more, name in enumerate((FIRST, SECOND))],
        work,
    )


def n_tokens(n_scenes: int) -> int:
    """How many an SAE is trained on.

    >>> n_tokens(2000), n_tokens(200)
    (409600, 102400)
    """
    return BATCH_SIZE * min(N_STEPS, max(_FEWEST_STEPS, n_scenes * N_STEPS // 2_000))


def trained(demo: Demo, shards: Path, fresh: Path, seed: int) -> SparseAutoencoder:
    """An SAE as the demo trains them, evaluated on fresh scenes."""
    return saev.train(
        shards, "TopK", d_sae=D_SAE, k=K, n_tokens=n_tokens(len(demo.scenes)), batch_size=BATCH_SIZE,
        val_shards=str(fresh), seed=seed,
    )  # fmt: skip


def fit_command(demo: Demo, seed: int, name: str) -> Argv:
    """What trains the same."""
    return [
        "fit", "--data.shards", str(demo.shards), "--data.val_shards", str(demo.fresh),
        f"--data.batch_size={BATCH_SIZE}", f"--data.n_tokens={n_tokens(len(demo.scenes))}", f"--data.seed={seed}",
        "--model.sae", "TopK", f"--model.sae.d_sae={D_SAE}", f"--model.sae.k={K}", f"--model.seed={seed}",
        "--run_dir", str(demo.places.out / f"run-{name}"),
    ]  # fmt: skip


def quality(sae: SparseAutoencoder) -> tuple[float, float]:
    """FVU and share of dead latents on the fresh scenes."""
    found: Any = sae.metrics["val"]
    return found["fvu"], found["dead"]


def looking(demo: Demo) -> Step:
    """The gallery."""
    places = demo.places

    def work() -> Outcome:
        write_whole(places.table, demo.known.table().encode())
        write_whole(places.vocabulary, "".join(f"{phrase}\n" for phrase in PHRASES).encode())
        saev.encode(places.sae(), demo.shards, places.codes)
        _render(demo)
        return Outcome([f"{len(named(demo))} latents got a name", f"open {places.gallery / 'index.html'}"], {})

    return Step(
        "look",
        "Look: what makes a latent fire",
        "The gallery shows for each latent the scenes on which it is strongest. The tiny CLIP reads phrases such as "
        f"'{PHRASES[-1]}' and gives names; cards say in how many other seeds a latent is found again. One half of the "
        "scenes is shown: the other half stays unseen for the test.",
        lambda: [
            ["encode", "--sae", str(places.sae()), "--shards", str(demo.shards), "--out", str(places.codes)],
            _gallery_command(demo),
        ],
        work,
        lambda: [places.features],
    )


def named(demo: Demo) -> dict[int, str]:
    """The names of the gallery, by latent."""
    path = demo.places.gallery / NAMES_FILE
    return {latent: name for latent, (name, _) in read_names(path).names.items()} if path.exists() else {}


def _render(demo: Demo) -> None:
    """Make the gallery, of the proposal half alone."""
    places = demo.places
    saev.render(
        {FIRST: places.sae()}, demo.shards, places.features, codes=[places.codes], metadata=places.table,
        seeds=[places.sae(SECOND)], images=saev.probing.proposal_images(demo.shards, demo.seed), namer=CLIP,
        vocabulary=places.vocabulary, top_k=TOP_K, n_picture_pages=N_PICTURE_PAGES,
    )  # fmt: skip


def _gallery_command(demo: Demo) -> Argv:
    """What makes the same gallery."""
    places = demo.places
    return [
        "render", "--sae", str(places.sae()), "--data.shards", str(demo.shards), "--out", str(places.out),
        "--codes", str(places.codes), "--seeds", str(places.sae(SECOND)), "--metadata", str(places.table),
        f"--proposal_half={demo.seed}", "--visualizer.namer", CLIP,
        "--visualizer.vocabulary", str(places.vocabulary), f"--visualizer.top_k={TOP_K}",
        f"--visualizer.n_picture_pages={N_PICTURE_PAGES}",
    ]  # fmt: skip
