"""Which requests are answered, and which files addresses name."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saev.serving.guard import refusal
from saev.serving.site import file_of, gallery_names, list_page, live_page, parts_of

HERE = "127.0.0.1:8010"


@pytest.mark.parametrize("host", [HERE, "localhost:8010", "LOCALHOST:9", "[::1]:80", "127.0.0.1"])
def test_own_names_are_answered(host: str) -> None:
    assert refusal("GET", {"Host": host}) is None
    assert refusal("POST", {"Host": host, "Origin": f"http://{host}"}) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8010", "127.0.0.1.evil.example", "localhost.evil.example:80",
     "127.0.0.1:80@evil", "127.0.0.1:8010\n", "127.0.0.2", "localhost:", "xlocalhost"],
)  # fmt: skip
def test_names_that_others_can_have_are_refused(host: str) -> None:
    assert refusal("GET", {"Host": host}) is not None
    assert refusal("POST", {"Host": host, "Origin": f"http://{host}"}) is not None
    assert refusal("GET", {}) is not None


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "https://127.0.0.1:8010", "http://127.0.0.1", "http://127.0.0.1:8011",
     "http://localhost:8010"],
)  # fmt: skip
def test_only_the_own_page_sends(origin: str | None) -> None:
    headers = {"Host": HERE} | ({} if origin is None else {"Origin": origin})
    assert refusal("POST", headers) is not None


def test_pages_of_other_sites_may_link_and_not_load() -> None:
    def get(site: str, mode: str) -> str | None:
        return refusal("GET", {"Host": HERE, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode})

    for site in ("cross-site", "same-site"):
        assert get(site, "navigate") is None
        assert get(site, "no-cors") is not None
        assert get(site, "cors") is not None
        own = {"Host": HERE, "Origin": f"http://{HERE}", "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
        assert refusal("POST", own) is not None
    assert get("same-origin", "no-cors") is None
    assert get("none", "navigate") is None


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two galleries, something that is none, and ways out."""
    root = tmp_path_factory.mktemp("run")
    for name in ("a b", "c"):
        (root / "features" / name / "data").mkdir(parents=True)
        (root / "features" / name / "index.html").write_text("page")
        (root / "features" / name / "data" / "overview.js").write_text("numbers")
    (root / "features" / ".c.partial").mkdir()
    (root / "features" / "none").mkdir()
    (root / "features" / "none" / "index.html").write_text("page")
    (root / "secret.js").write_text("secret")
    (root / "features" / "c" / "notes.json").write_text("{}")
    (root / "features" / "c" / "out.js").symlink_to(root / "secret.js")
    (root / "features" / "c" / "away").symlink_to(root)
    (root / "features" / "c" / "in.js").symlink_to(root / "features" / "a b" / "data" / "overview.js")
    (root / "features" / "c" / "loop.js").symlink_to("loop.js")
    (root / "features" / "c" / "key.js").symlink_to("notes.json")
    return root / "features"


def found(features: Path, path: str) -> Path | None:
    parts = parts_of(path)
    return None if parts is None else file_of(features, parts)


def test_galleries_are_what_holds_one(features: Path) -> None:
    assert gallery_names(features) == ["a b", "c"]


def test_files_of_galleries_are_found(features: Path) -> None:
    assert found(features, "/a%20b/data/overview.js") == (features / "a b" / "data" / "overview.js").resolve()
    assert found(features, "/c/in.js") == (features / "a b" / "data" / "overview.js").resolve()


@pytest.mark.parametrize(
    "path",
    ["/../secret.js", "/c/../../secret.js", "/c/%2e%2e/%2e%2e/secret.js", "/c/..%2f..%2fsecret.js", "//c/index.html",
     "/c/..%5c..%5csecret.js", "/c/out.js", "/c/away/secret.js", "/c/loop.js", "/c/notes.json", "/c", "/c/", "/c/data",
     "/c/key.js", "/.c.partial/index.html", "/c/index.html%00.js", "/c/index.html/", "/c//index.html", "c/index.html",
     "/c/%ff.js", "/" + "x" * 5000 + ".js", "/c/data/overview.js/x"],
)  # fmt: skip
def test_nothing_else_is_found(features: Path, path: str) -> None:
    assert found(features, path) is None


@given(
    st.lists(
        st.sampled_from(["..", ".", "c", "away", "out.js", "secret.js", "%2e%2e", "%2f", "", "data", "\\"]), max_size=7
    )
)
def test_no_path_leads_out(features: Path, parts: list[str]) -> None:
    path = found(features, "/" + "/".join(parts))
    assert path is None or path.is_relative_to(features.resolve())


@given(st.text(max_size=20))
def test_names_come_back_from_addresses(name: str) -> None:
    try:
        path = f"/{quote(name, safe='')}/index.html"
    except UnicodeEncodeError:  # lone surrogates have no address
        return
    plain = name.isprintable() and name and name[0] != "." and not set(name) & set("/\\")
    assert parts_of(path) == ([name, "index.html"] if plain else None)


def test_the_page_is_told_that_a_server_is_there() -> None:
    import saev.gallery

    index = (Path(saev.gallery.__file__).parent / "assets" / "index.html").read_text(encoding="utf-8")
    page = live_page(index)
    assert "Content-Security-Policy" in index
    assert "Content-Security-Policy" not in page
    assert '<meta name="saev-live" content="">' in index
    assert '<meta name="saev-live" content="yes">' in page


def test_a_page_of_another_version_says_so() -> None:
    policy, rest = '<meta http-equiv="Content-Security-Policy" content="x"><body class="a">', "<main></main></body>"
    page = live_page(policy + rest)
    assert page.startswith(policy)
    assert page.endswith(rest)
    assert "of another version of saev" in page
    assert "of another version of saev" in live_page("")


def test_names_of_galleries_are_text() -> None:
    page = list_page(['"><script>alert(1)</script>', "a b"])
    assert "<script" not in page
    assert 'href="a%20b/"' in page
