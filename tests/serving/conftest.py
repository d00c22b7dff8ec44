"""A real run on a real recording of a tiny ViT, and its SAE behind that ViT."""

import io
import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread

import pytest
import torch
from PIL import Image
from tests.browsing import FILES, Tabs
from tests.cli.fitting import fit_options, only
from tests.scene_folder import write_scenes
from tests.serving.served import Served

from saev.artifacts import RunDirectory
from saev.cli.main import main
from saev.serving.effects import Words
from saev.serving.live_gallery import Behind, LiveGalleries, LiveGallery, Recorded
from saev.serving.live_sae import LiveSae
from saev.serving.open_run import OpenedSae, open_saes, recorded_images
from saev.serving.recorded_probe import RecordedProbe
from saev.serving.server import GalleryServer
from saev.serving.turn import Turn
from saev.shards.reading.open import open_shards
from saev.splicing.recorded_backbone import load_recorded_backbone
from saev.vit.backbone import Backbone

N_IMAGES = 12
CPU = torch.device("cpu")


def record(root: Path) -> Path:
    """Shards of generated pictures, the second-last layer of timm's test model with random weights."""
    write_scenes(root / "pictures", N_IMAGES)
    options = ["--model.family=timm", "--model.ckpt=test_vit", "--model.weights=random", "--model.layers=[-2]"]
    data = ["--data.images=ImageFolder", f"--data.images.root={root / 'pictures'}", "--data.num_workers=0"]
    assert main(["predict", *options, *data, f"--writer.dump_to={root / 'shards'}"]) == 0
    return only(root, "shards/*")


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def run_dir(shards: Path) -> Path:
    """A run with one SAE, all of whose latents have pages."""
    run = shards.parent.parent / "run"
    assert main(fit_options(shards, run, "--visualizer.n_latents=-1")) == 0
    return run


@pytest.fixture(scope="session")
def opened(run_dir: Path) -> OpenedSae:
    (found,) = open_saes(RunDirectory(run_dir)).values()
    assert not isinstance(found, str), found
    return found


@pytest.fixture(scope="session")
def backbone(opened: OpenedSae) -> Backbone:
    return load_recorded_backbone(opened.provenance.one_layer, "random")


@pytest.fixture(scope="session")
def make_live(opened: OpenedSae, shards: Path) -> Callable[[], LiveGallery]:
    """Makes one: a server that is closed ends its own. Their ViT is none of the tests', to keep off its hooks."""
    (recorded,) = recorded_images({"one": opened}, open_shards(shards), 100, CPU).values()
    backbone = load_recorded_backbone(opened.provenance.one_layer, "random")
    return lambda: gallery_of(opened, backbone, recorded, shards)


@pytest.fixture(scope="session")
def live(make_live: Callable[[], LiveGallery]) -> LiveGallery:
    return make_live()


def gallery_of(opened: OpenedSae, backbone: Backbone, recorded: Recorded | str, shards: Path) -> LiveGallery:
    sae, lock = LiveSae(opened.sae, opened.provenance, backbone, CPU), Turn()
    overview, words = opened.overview, Words(opened.provenance.one_layer, "random")
    probe = RecordedProbe(open_shards(shards), sae.prepared, sae.embed, lock)
    return LiveGallery(Behind(sae, overview.max_value, overview.image_frequency, recorded, words, probe), lock)


def own_picture(width: int = 90, height: int = 70) -> Image.Image:
    """A picture that was not recorded, of another shape than the ViT's input."""
    gradient = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (gradient, gradient.transpose(Image.Transpose.FLIP_LEFT_RIGHT), gradient.rotate(180)))


def file_of(picture: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def edit_of(picture: object, factors: list[object], k: object = 5) -> bytes:
    return json.dumps({"picture": picture, "factors": factors, "k": k}).encode()


@pytest.fixture(scope="module")
def name(run_dir: Path) -> str:
    (gallery,) = (run_dir / "features").iterdir()
    return gallery.name


def serve(features: Path, live: LiveGalleries) -> Iterator[GalleryServer]:
    with GalleryServer(0, features, live) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(run_dir: Path, name: str, make_live: Callable[[], LiveGallery]) -> Iterator[GalleryServer]:
    yield from serve(run_dir / "features", {name: make_live()})


def ask(
    server: GalleryServer, method: str, path: str, body: bytes | None = None, **headers: str | None
) -> tuple[HTTPResponse, bytes]:
    """Header names are given with underscores; None leaves one out."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    host = f"127.0.0.1:{server.server_port}"
    own: dict[str, str | None] = {"Host": host}
    if method == "POST":
        own |= {"Origin": f"http://{host}", "Content-Length": str(len(body or b""))}
    own |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for header, value in own.items():
        if value is not None:
            connection.putheader(header, value)
    connection.endheaders(body)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def error(content: bytes) -> str:
    text = json.loads(content)["error"]
    assert isinstance(text, str)
    return text


@pytest.fixture
def served(tabs: Tabs, run_dir: Path, make_live: Callable[[], LiveGallery]) -> Iterator[Served]:
    """The page of the run's gallery, in a tab of its own."""
    (gallery,) = (run_dir / "features").iterdir()
    with GalleryServer(0, run_dir / "features", {gallery.name: make_live()}) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        found = Served(tabs.take(), server, gallery.name)  # a port of its own, and with it storage of its own
        tabs.complaints, tabs.allowed = found.complaints, (server.url, "blob:")
        found.page.set_viewport_size({"width": 1280, "height": 800})
        found.page.goto(server.url)
        found.page.wait_for_selector("main:not([hidden])")
        yield found
        tabs.allowed = (server.url, *FILES)  # the page's icon may be asked for late
        tabs.empty()
        tabs.allowed = FILES
        server.shutdown()
        thread.join()
    assert found.complaints == []
