import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.agents.folder import Folder, FolderError

SECRET = "outside"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text(SECRET)
    return tmp_path / "secret"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "file").write_text("inside")
    return root


@pytest.fixture
def folder(root: Path) -> Iterator[Folder]:
    with Folder(root) as opened:
        yield opened


def test_a_file_inside_is_read(folder: Folder) -> None:
    """
    A regular file below the folder is read, however its path is written.
    """
    for path in ("inner/file", "./inner//file", "inner/./file/"):
        assert "inside" == folder.read(path).text
        assert "inner/file" == folder.read(path).path


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("../secret/file", "must not hold '..'"),
        ("inner/../../secret/file", "must not hold '..'"),
        ("/etc/passwd", "must be relative"),
        ("", "must name a file"),
        (".", "must name a file"),
        ("inner\0file", "NUL"),
        ("a/" * 100, "levels deep"),
        ("missing", "No such file"),
        ("inner", "not a regular file"),
        ("inner/file/deeper", "Not a directory"),
        ("x" * 300, "too long"),
    ],
)
def test_other_paths_are_refused(folder: Folder, path: str, rule: str) -> None:
    """
    A path that leads outside, or to no file, is an error that says why.
    """
    with pytest.raises(FolderError, match=rule):
        folder.read(path)


def _link_to_file(root: Path, outside: Path) -> str:
    (root / "link").symlink_to(outside / "file")
    return "link"


def _link_to_folder(root: Path, outside: Path) -> str:
    (root / "link").symlink_to(outside)
    return "link/file"


def _relative_link(root: Path, outside: Path) -> str:
    (root / "inner" / "link").symlink_to(f"../../{outside.name}/file")
    return "inner/link"


def _chain_of_links(root: Path, outside: Path) -> str:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to(outside)
    return "a/file"


def _link_inside(root: Path, outside: Path) -> str:
    (root / "link").symlink_to("inner/file")
    return "link"


@pytest.mark.parametrize(
    "make",
    [_link_to_file, _link_to_folder, _relative_link, _chain_of_links, _link_inside],
)
def test_no_link_is_followed(
    folder: Folder, root: Path, outside: Path, make: Callable[[Path, Path], str]
) -> None:
    """
    Links are never followed, wherever in the path they are; the walk skips them.
    """
    path = make(root, outside)

    with pytest.raises(FolderError):
        folder.read(path)
    walk = folder.walk()
    assert ["inner/file"] == [file.path for file in walk.files]
    assert path.removesuffix("/file") in walk.skipped


def test_a_linked_root_is_where_it_leads(root: Path, tmp_path: Path) -> None:
    """
    The folder named may be a link itself.
    """
    (tmp_path / "alias").symlink_to(root)
    with Folder(tmp_path / "alias") as folder:
        assert "inside" == folder.read("inner/file").text


def test_a_folder_swapped_for_a_link_leads_nowhere(
    root: Path, outside: Path, tmp_path: Path
) -> None:
    """
    Swapping the root for a link after it was opened changes nothing.
    """
    with Folder(root) as folder:
        root.rename(tmp_path / "moved")
        root.symlink_to(outside)

        assert "inside" == folder.read("inner/file").text
        with pytest.raises(FolderError, match="No such file"):
            folder.read("file")


@pytest.mark.timeout(10)
def test_a_pipe_is_refused_without_waiting(folder: Folder, root: Path) -> None:
    """
    A named pipe nobody writes to neither hangs the reader nor is listed.
    """
    os.mkfifo(root / "pipe")

    with pytest.raises(FolderError, match="not a regular file"):
        folder.read("pipe")
    assert "pipe" in folder.walk().skipped


def test_a_socket_is_refused(folder: Folder, root: Path) -> None:
    """
    A socket file is not read.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(root)  # a socket's path may be no longer than 107 characters
        try:
            listener.bind("sock")
        finally:
            os.chdir(here)

        with pytest.raises(FolderError, match="not a regular file"):
            folder.read("sock")


def test_a_device_is_refused() -> None:
    """
    A device is refused before it is opened.
    """
    with Folder(Path("/dev")) as folder, pytest.raises(FolderError, match="regular"):
        folder.read("zero")


def test_a_large_file_is_cut(folder: Folder, root: Path) -> None:
    """
    Only the beginning of a large file is read, and it says so.
    """
    (root / "large").write_bytes(b"x" * 1_000)
    content = folder.read("large", max_bytes=100)

    assert (100, 1_000, False) == (
        len(content.content),
        content.size_bytes,
        content.complete,
    )


def test_binary_files_are_recognised(folder: Folder, root: Path) -> None:
    """
    A file with NUL bytes is binary; any other is text, wrong bytes included.
    """
    (root / "image").write_bytes(b"\x89PNG\0\0")
    (root / "latin").write_bytes(b"caf\xe9")

    assert folder.read("image").binary
    assert not folder.read("latin").binary
    assert "caf\ufffd" == folder.read("latin").text


def test_the_walk_skips_tool_folders(folder: Folder, root: Path) -> None:
    """
    Version control, environments and installed packages are not looked into.
    """
    for name in (".git", ".venv", "node_modules", "__pycache__"):
        (root / name).mkdir()
        (root / name / "file").write_text("x")
    walk = folder.walk()

    assert ["inner/file"] == [file.path for file in walk.files]
    assert {".git", ".venv", "node_modules", "__pycache__"} == set(walk.skipped)


def test_the_walk_ends_at_its_limit(folder: Folder, root: Path) -> None:
    """
    A folder with very many entries is cut, and the answer says so.
    """
    for number in range(50):
        (root / f"f{number}").touch()

    assert not folder.walk(max_entries=10).complete
    assert len(folder.walk(max_entries=10).files) <= 10
    assert folder.walk(max_entries=100).complete


def test_very_deep_folders_are_skipped(folder: Folder, root: Path) -> None:
    """
    A folder nested deeper than the limit is named as skipped.
    """
    deep = "/".join("d" * 60)
    (root / deep).mkdir(parents=True)
    walk = folder.walk()

    assert ["/".join("d" * 40)] == list(walk.skipped)


def test_names_that_are_not_text_do_not_hurt(folder: Folder, root: Path) -> None:
    """
    A file whose name is not UTF-8 does not keep the others from being listed.
    """
    try:
        (Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe"))).touch()
    except OSError:
        return  # this file system has no such names

    assert "inner/file" in [file.path for file in folder.walk().files]


@pytest.mark.parametrize("name", ["missing", "inner/file", "a\0b"])
def test_a_root_that_is_no_folder_is_refused(root: Path, name: str) -> None:
    """
    Naming something that is no folder is a clear error.
    """
    with pytest.raises(FolderError, match="folder"):
        Folder(root / name)


def test_no_descriptor_leaks(root: Path, outside: Path) -> None:
    """
    Reading, failing and walking leave no file open.
    """
    (root / "link").symlink_to(outside)
    before = _open_descriptors()
    with Folder(root) as folder:
        for path in ("inner/file", "link/file", "missing", "inner/file/x", "link"):
            try:
                folder.read(path)
            except FolderError:
                continue
        folder.walk()

    assert before == _open_descriptors()


def _open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))
