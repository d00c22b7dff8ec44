"""Names of latents, from the gallery over sets that a CLIP labels to verdicts, by the commands alone."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.cli.fitting import one_line, only
from tests.probing.studies import STRIPED, Study, make_study
from tests.scene_folder import write_scenes
from tests.tiny_models import tiny_open_clip  # noqa: F401 - open_clip knows the tiny CLIP

import saev
from saev.cli.main import main
from saev.latents.encoding import sae_digest
from saev.latents.naming.names_file import NAMES_FILE, ClipId, Names, read_names
from saev.latents.naming.words import prompts
from saev.probing.hypotheses.reading import read_frozen
from saev.probing.sets.files import read_set
from saev.probing.sets.labelling import Labelling, labelling_of
from saev.probing.verdicts.files import TABLE_FILE, read_verdicts
from saev.vit.text import load_clip

pytestmark = pytest.mark.slow

CKPT, OTHER = "tiny-CLIP/openai", "tiny-CLIP/laion"
WORDS = ("red", "grey", "dog", "cat")
Capture = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Planted:
    """A study of red pictures on which latent 0 fires, and two CLIPs that know "red"."""

    study: Study
    clips: Sequence[Path]
    words: Path

    def command(self, step: str, out: Path, *more: str) -> list[str]:
        own = [f"--sae={self.study.sae}", f"--shards={self.study.shards}", f"--out={out}", "--device=cpu"]
        return ["probe", step, *own, *more]

    def labeller(self, number: int) -> list[str]:
        ckpt = (CKPT, OTHER)[number]
        return [f"--labeller={ckpt}", f"--labeller_weights={self.clips[number]}", f"--vocabulary={self.words}"]

    def names(self, path: Path, **latents: str) -> Path:
        """What a gallery might have called latents, by the first CLIP."""
        clip = ClipId(CKPT, load_clip(CKPT, str(self.clips[0])).digest)
        sae, shards = sae_digest(saev.load(self.study.sae)), self.study.reader.recording.content_id
        named = {int(key[1:]): (name, 4.0) for key, name in latents.items()}
        path.write_text(json.dumps(Names(sae, shards, clip, "0" * 64, None, named).to_dict()))
        return path


def pictures(study: Study) -> tuple[list[Image.Image], np.ndarray]:
    """Of each kind some, as the ViT saw them, and whether they are red."""
    chosen = np.concatenate([np.flatnonzero(study.is_striped_i == is_red)[:40] for is_red in (True, False)])
    records = study.reader.examples()
    shown = []
    for number in chosen.tolist():
        with Image.open(study.root / "pictures" / records[number].path) as picture:
            shown.append(picture.convert("RGB").resize((32, 32)))
    return shown, study.is_striped_i[chosen]


def plant_clip(study: Study, path: Path, seed: int) -> Path:
    """A CLIP with random weights, but for texts: "red" is where red pictures are, "grey" opposite, others anywhere."""
    torch.manual_seed(seed)
    model = open_clip.create_model("tiny-CLIP", force_quick_gelu=True)
    save_file(model.state_dict(), path)
    shown, is_red = pictures(study)
    embedded_ne = load_clip(CKPT, str(path)).embed_images(shown)
    red = torch.from_numpy(is_red)
    targets_ve = torch.nn.functional.normalize(torch.randn(len(WORDS), embedded_ne.shape[1]), dim=-1)
    targets_ve[0] = torch.nn.functional.normalize(embedded_ne[red].mean(0) - embedded_ne[~red].mean(0), dim=-1)
    targets_ve[1] = -targets_ve[0]
    texts = open_clip.get_tokenizer("tiny-CLIP")(prompts(WORDS))
    width = model.text_projection.shape[0]
    model.text_projection = torch.nn.Parameter(torch.eye(width))
    with torch.no_grad():
        features_nd = model.encode_text(texts)
        wanted_ne = targets_ve.repeat(len(texts) // len(WORDS), 1)
        projection_de = torch.linalg.pinv(features_nd.double()) @ wanted_ne.double()
        torch.testing.assert_close(features_nd.double() @ projection_de, wanted_ne.double(), atol=1e-3, rtol=0)
    model.text_projection = torch.nn.Parameter(projection_de.float())
    save_file(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    root = tmp_path_factory.mktemp("planted")
    study = make_study(root, is_red=True)
    (root / "words.txt").write_text("\n".join(WORDS))
    clips = [plant_clip(study, root / f"clip{seed}.safetensors", seed) for seed in (1, 2)]
    return Planted(study, clips, root / "words.txt")


def until_the_test(planted: Planted, root: Path, number: int) -> list[str]:
    """Freeze a true name and a false one, and test them by labels of one of the CLIPs."""
    names = planted.names(root / NAMES_FILE, _0="red", _5="red", _7="grey")  # as most pictures are
    assert main(planted.command("freeze", root / "frozen.json", f"--names={names}")) == 0
    frozen = f"--hypotheses={root / 'frozen.json'}"
    assert main(planted.command("build", root / "sets", frozen, *planted.labeller(number))) == 0
    ledger = planted.study.shards.parent / "tested.jsonl"
    ledger.unlink(missing_ok=True)  # of the test with the other CLIP
    more = [f"--sets={root / 'sets'}", "--n_permutations=999"]
    return planted.command("test", root / "report", frozen, *more)


def test_a_true_name_is_confirmed_and_a_false_one_is_not(planted: Planted, tmp_path: Path, capsys: Capture) -> None:
    command = until_the_test(planted, tmp_path, 1)
    assert f"no set by {OTHER} for latent-7, 'grey': the proposal half has 0 units with it" in capsys.readouterr().err
    assert main(command) == 0, capsys.readouterr().err
    made = read_set(tmp_path / "sets" / "latent-0")
    right = [one.label == planted.study.is_striped_i[one.image or 0] for one in made.pictures]
    assert np.mean(right) > 0.95
    labelling = labelling_of(made)
    assert labelling is not None
    assert labelling.clip == ClipId(OTHER, load_clip(OTHER, str(planted.clips[1])).digest)
    assert labelling.prompts == tuple(prompts(["red"]))
    sample = [one.label for one in made.pictures if one.stratum is not None]
    assert labelling.n_test == len(sample)
    assert labelling.test_rate == pytest.approx(np.mean(np.array(sample, dtype=float)))
    true, false = read_verdicts(tmp_path / "report").results
    assert (true.verdict, true.circular) == ("confirmed", None)
    assert false.verdict != "confirmed"
    assert false.reason.endswith(f" Labels are those of {OTHER}, which may not know the claim.")
    assert true.labeller == labelling
    assert {one.role for one in true.roles} >= {"hard-near"}
    page = (tmp_path / "report" / "index.html").read_text()
    assert OTHER in page
    assert "badge circular" not in page


def test_where_the_namer_labels_all_says_circular(planted: Planted, tmp_path: Path, capsys: Capture) -> None:
    assert main(until_the_test(planted, tmp_path, 0)) == 0, capsys.readouterr().err
    true, false = read_verdicts(tmp_path / "report").results
    said = "the pictures were labelled by what is, by its weights or its name, the CLIP that gave the name"
    assert (true.verdict, true.circular, false.circular) == ("confirmed", said, said)
    assert true.reason.endswith(f"Circular: {said}, so that both may be wrong together.")
    with (tmp_path / "report" / TABLE_FILE).open(newline="") as file:
        assert [row["circular"] for row in csv.DictReader(file)] == ["yes", "yes"]
    page = (tmp_path / "report" / "index.html").read_text()
    _, *articles = page.split("<article ")
    assert all('class="badge circular"' in one for one in articles)
    rows = page.split("</table>")[0].split("<tr data-standing")[1:]
    assert len(rows) == 2
    assert all('class="badge circular"' in row for row in rows)
    saes = {"mine": planted.study.sae}
    index = saev.render(
        saes, planted.study.shards, tmp_path / "g", verdicts=[tmp_path / "report"], n_latents=3, device="cpu"
    )["mine"]
    assert (index.parent / "data" / "overview.js").read_text().count('"circular":true') == 2
    assert not (index.parent / NAMES_FILE).exists()
    answered = planted.command("test", tmp_path / "again", f"--hypotheses={tmp_path / 'frozen.json'}")
    assert main([*answered, f"--sets={tmp_path / 'sets'}", "--n_permutations=999"]) == 0
    again = read_verdicts(tmp_path / "again").results[0]
    assert (again.verdict, again.exploratory, again.circular) == ("undecided", True, said)


def test_an_image_tower_that_the_sae_looks_into_is_circular(planted: Planted, tmp_path: Path) -> None:
    clip = load_clip(CKPT, str(planted.clips[0]))
    labelling = Labelling(
        ClipId(CKPT, clip.digest), clip.tower_digest, ("red",), "c" * 64, 2.0, 0.1, 0.1, 9, 0.1, 9, 0.1
    )

    def recorded(image_size: int) -> dict[str, object]:
        backbone = saev.load_backbone("clip", CKPT, weights=str(planted.clips[0]), image_size=image_size)
        [shards] = saev.record(planted.study.root / "pictures" / "a", backbone, [0], tmp_path / f"{image_size}")
        return dict(saev.open_shards(shards).recording.model)

    own = recorded(32)
    said = (
        "the pictures were labelled by what is, by its weights or its name, the CLIP whose image tower is the ViT "
        "whose activations the SAE takes"
    )
    assert labelling.circular(STRIPED, {**own, "ckpt": "my-own"}) == said
    assert labelling.circular(STRIPED, {**own, "ckpt": OTHER, "weights_digest": "d" * 64}) is None
    larger = recorded(64)  # with other position embeddings, hence another digest
    assert larger["weights_digest"] != own["weights_digest"]
    assert labelling.circular(STRIPED, larger) == said


def test_a_namer_in_another_precision_is_circular(planted: Planted, tmp_path: Path) -> None:
    weights = {key: value.half() for key, value in load_file(planted.clips[0]).items()}
    save_file(weights, tmp_path / "half.safetensors")
    whole, half = (load_clip(CKPT, str(path)) for path in (planted.clips[0], tmp_path / "half.safetensors"))
    assert half.digest != whole.digest
    labelling = Labelling(
        ClipId(CKPT, half.digest), half.tower_digest, ("red",), "c" * 64, 2.0, 0.1, 0.1, 9, 0.1, 9, 0.1
    )
    vit = {"ckpt": "vit_small_patch14_dinov2", "weights_digest": "d" * 64}
    named = replace(STRIPED, named_by=ClipId(CKPT, whole.digest))
    assert str(labelling.circular(named, vit)).endswith("that gave the name")
    assert labelling.circular(replace(STRIPED, named_by=ClipId(OTHER, whole.digest)), vit) is None


def test_names_of_a_gallery_are_frozen(tmp_path: Path, capsys: Capture) -> None:
    write_scenes(tmp_path / "pictures", 160)  # names have to hold on pictures that are not among the strongest 16
    model = ["--model.family=clip", f"--model.ckpt={CKPT}", "--model.weights=random", "--model.layers=[-1]"]
    data = ["--data.images=ImageFolder", f"--data.images.root={tmp_path / 'pictures'}", "--data.num_workers=0"]
    assert main(["predict", *model, *data, f"--writer.dump_to={tmp_path / 'shards'}"]) == 0
    shards = only(tmp_path, "shards/*")
    torch.manual_seed(0)
    saev.save(saev.TopK(64, 400, k=8), tmp_path / "sae")
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    render = [
        "render", f"--sae={tmp_path / 'sae'}", f"--data.shards={shards}", f"--out={tmp_path / 'out'}",
        f"--visualizer.namer={CKPT}", "--visualizer.namer_weights=random", "--visualizer.n_latents=-1",
        f"--visualizer.vocabulary={tmp_path / 'words.txt'}", "--proposal_half=3", "--device=cpu",
    ]  # fmt: skip
    assert main(render) == 0, capsys.readouterr().err
    gallery = only(tmp_path, "out/features/*")
    found = read_names(gallery)
    script = (gallery / "data" / "overview.js").read_text().removeprefix("saevTake(").removesuffix(");\n")
    assert {latent: name for latent, name, _, _ in json.loads(script)["names"]} == {
        latent: name for latent, (name, _) in found.names.items()
    }
    assert found.named_by == ClipId(CKPT, load_clip(CKPT, "random").digest)
    latent, (name, _) = next(iter(found.names.items()))
    freeze = [
        "probe", "freeze", f"--sae={tmp_path / 'sae'}", f"--shards={shards}", f"--names={gallery}",
        f"--only=[latent-{latent}]", "--device=cpu",
    ]  # fmt: skip
    assert main([*freeze, f"--out={tmp_path / 'none.json'}", "--seed=1"]) == 1
    assert "they are from a gallery of the proposal half of seed 3" in one_line(capsys.readouterr().err)
    assert main([*freeze, f"--out={tmp_path / 'frozen.json'}"]) == 0
    assert "without --proposal_half" not in capsys.readouterr().err
    frozen = read_frozen(tmp_path / "frozen.json")
    assert (frozen.halves.seed, frozen.halves.columns) == (3, ())
    (one,) = frozen.hypotheses
    assert (one.attribute.source, one.attribute.name, one.named_by) == ("words", name, found.named_by)
    assert one.latents.thresholds is not None


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (None, "nowhere"),
        ({"sae": "f" * 64}, "the hypotheses are on the SAE " + "f" * 64),
        ({"names": []}, "no latent got a name"),
        ({"names": [{"latent": 0, "name": "red", "score": 1}] * 2}, r"names[1] is a second one of latent 0"),
        ({"names": [{"latent": 99, "name": "red", "score": 1}]}, "latent 99: the SAE has latents 0 to 11"),
        ({"named_by": "CLIP"}, "named_by: expected an object"),
        ({"version": 2}, "holds no names of version 1"),
    ],
)
def test_bad_names_are_refused(
    planted: Planted, names: dict[str, object] | None, said: str, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "nowhere"
    if names is not None:
        value = json.loads(planted.names(tmp_path / "good.json", _0="red").read_text())
        path.write_text(json.dumps(value | names))
    assert main(planted.command("freeze", tmp_path / "frozen.json", f"--names={path}")) == 1
    assert said in one_line(capsys.readouterr().err)
    assert not (tmp_path / "frozen.json").exists()


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("red", [f"--labeller={CKPT}", "--labeller_weights=VISION"], "holds no text tower"),
        ("red", ["--labeller=vit_small_patch14_dinov2"], "--labeller vit_small_patch14_dinov2 is a model of timm"),
        ("red " * 90, [f"--labeller={CKPT}", "--labeller_weights=CLIP"], "does not read so long a claim whole"),
        ("red", [f"--labeller={CKPT}", "--labeller_weights=CLIP", "--blind"], "labeller with blind"),
        ("red", ["--labeller_weights=CLIP"], "labeller_weights has no use without a labeller"),
        ("", [f"--labeller={CKPT}", "--labeller_weights=CLIP"], "no claim is in words"),
    ],
)
def test_what_cannot_label_is_refused(
    planted: Planted, text: str, options: list[str], said: str, tmp_path: Path, capsys: Capture
) -> None:
    visual = load_clip(CKPT, str(planted.clips[0])).model.visual.state_dict()
    save_file({f"visual.{key}": value for key, value in visual.items()}, tmp_path / "vision.safetensors")
    claim = f"--claim={text}" if text else "--attribute=label:a"
    frozen = tmp_path / "frozen.json"
    assert main(planted.command("freeze", frozen, "--latents=[0]", "--thresholds=[0.5]", claim)) == 0
    files = {"=VISION": tmp_path / "vision.safetensors", "=CLIP": planted.clips[0]}
    given = [re.sub("=(VISION|CLIP)$", lambda found: f"={files[found.group()]}", one) for one in options]
    capsys.readouterr()
    assert main(planted.command("build", tmp_path / "sets", f"--hypotheses={frozen}", *given)) == 1
    assert said in one_line(capsys.readouterr().err)
    assert not (tmp_path / "sets").exists()
