"""Generated pages are committed as the code says, and a stale one is found."""

from pathlib import Path

from docs.generate import stale_pages, write_pages


def test_committed_pages_are_what_the_code_says() -> None:
    assert stale_pages() == [], "run `make docs`"


def test_a_changed_and_a_missing_page_are_stale(tmp_path: Path) -> None:
    write_pages(tmp_path)
    assert stale_pages(tmp_path) == []
    with (tmp_path / "cli.md").open("a") as page:
        page.write("by hand\n")
    (tmp_path / "configuration.md").unlink()
    assert stale_pages(tmp_path) == ["cli.md", "configuration.md"]
