"""Reports that galleries link to, as the server serves them."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browsing import FILES, Tabs
from tests.gallery.galleries import make_gallery, write
from tests.gallery.test_badges_page import ONE
from tests.probing.report.reports import four_standings, write_report
from tests.serving.conftest import ask, error, serve

from saev.serving.server import GalleryServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAME = "an sae"
LINKS = {
    "a report": "../../../reports/a%20report/index.html",  # a report, and what only looks like one
    "without json": "../../../reports/bare/index.html",
    "another page": "../../../reports/foreign/index.html",
    "another name": "../../../reports/a%20report/verdicts.json",
    "nowhere": "../../../reports/%00/index.html",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served reports")
    links = [f"{one}#hypothesis-latent-2" for one in LINKS.values()]
    verdicts = [replace(ONE, any=(6,), link=one) for one in links]
    gallery = root / "run" / "features" / NAME
    write(gallery, make_gallery(verdicts=verdicts))
    shutil.copytree(gallery / "data", gallery / "sets" / "held_out" / "data")
    for name in ("a report", "bare", "foreign"):
        (root / "reports" / name).mkdir(parents=True)
    sae = root / "run" / "saes" / NAME
    page = write_report(root / "reports" / "a report" / "index.html", *four_standings(), sae=sae)
    shutil.copy(page, root / "reports" / "bare")
    (root / "reports" / "foreign" / "index.html").write_text("<!doctype html><title>Mine</title>", encoding="utf-8")
    for name in ("a report", "foreign"):
        (root / "reports" / name / "verdicts.json").write_text("{}", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[GalleryServer]:
    yield from serve(root / "run" / "features", {})


def links(server: GalleryServer, folder: str = "") -> list[str]:
    _, overview = ask(server, "GET", f"/an%20sae/{folder}data/overview.js")
    return re.findall(r'"link":"([^"]*)"', overview.decode("ascii"))


def test_only_reports_get_an_address(server: GalleryServer, root: Path) -> None:
    served, *others = links(server)
    assert links(server, "sets/held_out/") == [served, *others]
    assert re.fullmatch(r"/an%20sae/live/reports/[0-9a-f]{16}\.html#hypothesis-latent-2", served)
    assert others == [f"{one}#hypothesis-latent-2" for one in list(LINKS.values())[1:]]
    response, page = ask(server, "GET", served.partition("#")[0])
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert policy.endswith("; frame-ancestors 'none'")
    assert "unsafe" not in policy
    expected = (root / "reports" / "a report" / "index.html").read_bytes()
    away = b'href="../../run/features/an%20sae/index.html#latent='
    assert expected.count(away) == 4
    assert page == expected.replace(away, b'href="../../#latent=')


@pytest.mark.parametrize(
    "path",
    ["reports/0123456789abcdef.html", "reports/", "reports/..%2f..%2fx.html", "reports/x/y.html", "reports/index.html"],
)
def test_nothing_else_is_there(server: GalleryServer, path: str) -> None:
    response, content = ask(server, "GET", f"/an%20sae/live/{path}")
    assert response.status == 404
    assert "nothing is there" in error(content)


def test_a_report_that_is_gone_or_another_file_by_now_is_not_there(tmp_path: Path, root: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    for server in serve(copy / "run" / "features", {}):
        address = links(server)[0].partition("#")[0]
        assert ask(server, "GET", address)[0].status == 200
        page = copy / "reports" / "a report" / "index.html"
        page.write_bytes(page.read_bytes().replace(b"base-uri 'none'", b"base-uri *"))
        assert ask(server, "GET", address)[0].status == 404
        page.unlink()
        assert ask(server, "GET", address)[0].status == 404
        assert links(server)[0].startswith("../../../reports/")


@pytest.mark.browser
def test_from_a_badge_to_the_report_and_back(server: GalleryServer, tabs: Tabs) -> None:
    tabs.allowed, tabs.complaints = (*FILES, server.url), []
    page: Page = tabs.take()
    try:
        page.goto(server.url)
        page.click("li[data-latent='6'] .card-verdict a")
        page.wait_for_selector("article#hypothesis-latent-2 h2 bdi:text-is('dots')")
        page.select_option("#filter-verdict", "rejected")  # its script runs
        assert page.locator("article:visible").count() == 1
        page.click("article#hypothesis-latent-2 .over a")
        page.wait_for_selector("h1:text-is('Latent 7')")
        assert page.url == f"{server.url}an%20sae/#latent=7"
        assert tabs.complaints == []
    finally:
        tabs.empty()
        tabs.allowed = FILES
