"""Finding, checking and reading CIFAR-10's files."""

import hashlib
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cifar_core.data import cifar10
from cifar_core.data.cifar10 import CLASSES, Layout, Source, find, read_test, read_train
from cifar_core.errors import DataError

BINARY = "cifar-10-batches-bin"
PYTHON = "cifar-10-batches-py"
Array = npt.NDArray[Any]
Encoder = Callable[[Array, Array], bytes]
FEW = 20  # records in a file of most tests

needs_permissions = pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0, reason="root may read everything"
)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "RECORDS", FEW)


def batch(seed: int, records: int = FEW) -> tuple[Array, Array]:
    """Labels (records,) and images (records, 3072)."""
    random = np.random.default_rng(seed)
    images = random.integers(256, size=(records, 3072), dtype=np.uint8)
    return random.integers(10, size=records, dtype=np.uint8), images


def as_binary(labels: Array, images: Array) -> bytes:
    return np.hstack([labels[:, None], images]).tobytes()


def as_python_3(labels: Array, images: Array) -> bytes:
    return pickle.dumps({"labels": labels.tolist(), "data": images}, protocol=2)


def as_python_2(labels: Array, images: Array) -> bytes:
    """The instructions that Python 2 and NumPy 1 wrote into the published files."""
    return b"".join(
        [
            b"\x80\x02}(U\x0bbatch_labelU\x15training batch 1 of 5U\x06labels](",
            *(b"K" + bytes([label]) for label in labels),
            b"eU\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R",
            b"(K\x01M" + struct.pack("<H", len(images)) + b"M\x00\x0c\x86",
            b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R",
            b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
            b"T" + struct.pack("<i", images.size) + images.tobytes() + b"tbu.",
        ]
    )


def write(
    folder: Path, layout: Layout, encode: Encoder, *, official: pytest.MonkeyPatch | None = None
) -> Source:
    """Five training files and a test file; `official` is the monkeypatch that makes them so."""
    folder.mkdir(parents=True)
    digest = hashlib.sha1 if layout == "binary" else hashlib.md5
    for seed, name in enumerate(cifar10.CHECKSUMS[layout]):
        content = encode(*batch(seed))
        (folder / name).write_bytes(content)
        if official:
            checksum = digest(content, usedforsecurity=False).hexdigest()
            official.setitem(cifar10.CHECKSUMS[layout], name, checksum)
    return Source(folder, layout)


def write_pickle(
    folder: Path, content: bytes, *, official: pytest.MonkeyPatch | None = None
) -> Source:
    """A single test file of the python layout."""
    (folder / "test_batch").write_bytes(content)
    if official:
        checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
        official.setitem(cifar10.CHECKSUMS["python"], "test_batch", checksum)
    return Source(folder, "python")


def name_files(folder: Path, layout: Layout, numbers: Iterable[int] = range(1, 6)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"data_batch_{number}{'.bin' if layout == 'binary' else ''}").touch()


class Malice:
    """Runs a command when its pickle is opened."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


# Finding


@pytest.mark.parametrize(("layout", "name"), [("binary", BINARY), ("python", PYTHON)])
def test_a_folder_is_found_from_itself_and_from_its_parent(
    tmp_path: Path, layout: Layout, name: str
) -> None:
    name_files(tmp_path / name, layout)
    assert find(tmp_path) == find(tmp_path / name) == Source(tmp_path / name, layout)


def test_a_renamed_folder_is_known_by_its_files(tmp_path: Path) -> None:
    name_files(tmp_path / "images", "binary")
    assert find(tmp_path / "images") == Source(tmp_path / "images", "binary")


def test_the_python_layout_is_preferred_when_it_is_complete(tmp_path: Path) -> None:
    name_files(tmp_path / PYTHON, "python")
    name_files(tmp_path / BINARY, "binary")
    assert find(tmp_path) == Source(tmp_path / PYTHON, "python")


def test_the_binary_layout_is_taken_when_the_python_one_is_incomplete(tmp_path: Path) -> None:
    name_files(tmp_path / PYTHON, "python", numbers=(1, 2))
    name_files(tmp_path / BINARY, "binary")
    assert find(tmp_path) == Source(tmp_path / BINARY, "binary")


def test_nothing_is_found_where_nothing_looks_like_cifar10(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    assert find(tmp_path) is None
    assert find(tmp_path / "absent") is None


def test_stray_files_do_not_hide_a_complete_folder(tmp_path: Path) -> None:
    name_files(tmp_path, "binary", numbers=(1,))
    name_files(tmp_path / BINARY, "binary")
    assert find(tmp_path) == Source(tmp_path / BINARY, "binary")


def test_missing_training_files_are_named(tmp_path: Path) -> None:
    name_files(tmp_path / BINARY, "binary", numbers=(1, 2, 4))
    with pytest.raises(DataError, match=r"bin lacks data_batch_3\.bin, data_batch_5\.bin of"):
        find(tmp_path)


def test_missing_binary_files_are_named_when_neither_layout_is_complete(tmp_path: Path) -> None:
    name_files(tmp_path / PYTHON, "python", numbers=(1,))
    name_files(tmp_path / BINARY, "binary", numbers=(1, 2, 3, 4))
    with pytest.raises(DataError, match=r"lacks data_batch_5\.bin of"):
        find(tmp_path)


def test_an_empty_folder_of_the_right_name_lacks_all_files(tmp_path: Path) -> None:
    (tmp_path / PYTHON).mkdir()
    with pytest.raises(DataError, match="lacks data_batch_1, data_batch_2, data_batch_3"):
        find(tmp_path)


def test_a_link_to_a_folder_that_is_gone_lacks_all_files(tmp_path: Path) -> None:
    (tmp_path / BINARY).symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"lacks data_batch_1\.bin, data_batch_2\.bin"):
        find(tmp_path)


@pytest.mark.parametrize("name", ["images", BINARY])
def test_a_file_in_a_folders_place_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=f"{name} cannot be read: Not a directory.*another folder"):
        find(tmp_path / name)


def test_a_loop_of_links_in_a_folders_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / BINARY).symlink_to(tmp_path / BINARY)
    with pytest.raises(DataError, match="cannot be read: Too many levels of symbolic links"):
        find(tmp_path)


@needs_permissions
def test_a_folder_without_permission_is_an_error(tmp_path: Path) -> None:
    (tmp_path / BINARY).mkdir(mode=0)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        find(tmp_path)


# The binary layout


@pytest.mark.usefixtures("few")
def test_binary_records_become_images_and_labels_in_the_order_of_the_files(
    tmp_path: Path,
) -> None:
    source = write(tmp_path / BINARY, "binary", as_binary)
    train, test = read_train(source), read_test(source)
    assert train.images.shape == (5 * FEW, 3, 32, 32)
    assert train.images.dtype == np.uint8
    assert train.labels.shape == (5 * FEW,)
    assert train.labels.dtype == np.int64
    for number, images in enumerate(np.split(train.images, 5)):
        labels, pixels = batch(number)
        np.testing.assert_array_equal(images, pixels.reshape(-1, 3, 32, 32))
        np.testing.assert_array_equal(np.split(train.labels, 5)[number], labels)
    np.testing.assert_array_equal(test.images.reshape(FEW, -1), batch(5)[1])
    assert not train.official
    assert not test.official


@pytest.mark.usefixtures("few")
def test_binary_files_are_official_only_if_all_of_them_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / BINARY, "binary", as_binary, official=monkeypatch)
    assert read_train(source).official
    assert read_test(source).official
    (source.folder / "data_batch_2.bin").write_bytes(as_binary(*batch(99)))
    assert not read_train(source).official


def test_a_full_binary_file_has_ten_thousand_records(tmp_path: Path) -> None:
    labels, pixels = batch(0, records=10_000)
    (tmp_path / "test_batch.bin").write_bytes(as_binary(labels, pixels))
    test = read_test(Source(tmp_path, "binary"))
    assert test.images.shape == (10_000, 3, 32, 32)
    np.testing.assert_array_equal(test.labels, labels)


@pytest.mark.parametrize("size", [0, 1, FEW * 3073 - 1, FEW * 3073 + 1, FEW * 3073 + 3073])
@pytest.mark.usefixtures("few")
def test_a_binary_file_of_the_wrong_size_shows_found_and_expected(
    tmp_path: Path, size: int
) -> None:
    (tmp_path / "test_batch.bin").write_bytes(bytes(size))
    with pytest.raises(DataError, match=rf"test_batch\.bin has {size:,} bytes.* has 61,460\. "):
        read_test(Source(tmp_path, "binary"))


@pytest.mark.usefixtures("few")
def test_the_first_wrong_label_is_named_with_its_file_and_record(tmp_path: Path) -> None:
    source = write(tmp_path / BINARY, "binary", as_binary)
    labels, pixels = batch(0)
    labels[7], labels[9] = 10, 255
    (source.folder / "data_batch_4.bin").write_bytes(as_binary(labels, pixels))
    with pytest.raises(DataError, match=r"data_batch_4\.bin is damaged: record 7 .* label 10,"):
        read_train(source)


# The python layout


@pytest.mark.parametrize("encode", [as_python_2, as_python_3])
@pytest.mark.usefixtures("few")
def test_official_pickles_hold_what_the_binary_files_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encode: Encoder
) -> None:
    python = write(tmp_path / PYTHON, "python", encode, official=monkeypatch)
    binary = write(tmp_path / BINARY, "binary", as_binary)
    for read in (read_train, read_test):
        labelled, expected = read(python), read(binary)
        np.testing.assert_array_equal(labelled.images, expected.images)
        np.testing.assert_array_equal(labelled.labels, expected.labels)
        assert labelled.images.dtype == np.uint8
        assert labelled.labels.dtype == np.int64
        assert labelled.official


def test_a_full_official_pickle_has_ten_thousand_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, pixels = batch(0, records=10_000)
    source = write_pickle(tmp_path, as_python_2(labels, pixels), official=monkeypatch)
    test = read_test(source)
    np.testing.assert_array_equal(test.images.reshape(10_000, -1), pixels)
    np.testing.assert_array_equal(test.labels, labels)


@pytest.mark.usefixtures("few")
def test_a_pickle_that_is_not_official_is_not_opened(tmp_path: Path) -> None:
    source = write_pickle(tmp_path, pickle.dumps(Malice(tmp_path / "marker"), protocol=2))
    with pytest.raises(DataError, match=r"(?s)test_batch is a pickle, and not the official.*") as e:
        read_test(source)
    assert "not opened" in str(e.value)
    assert "official python archive" in str(e.value)
    assert BINARY in str(e.value)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("content", [b"", as_python_2(*batch(0))[:-1]], ids=["empty", "truncated"])
@pytest.mark.usefixtures("few")
def test_an_empty_or_truncated_pickle_is_not_the_official_file(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(DataError, match=f"not the official file.*{len(content):,} bytes"):
        read_test(write_pickle(tmp_path, content))


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.usefixtures("few")
def test_a_malicious_pickle_runs_nothing_even_with_the_right_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    content = pickle.dumps({"data": Malice(tmp_path / "marker")}, protocol=protocol)
    with pytest.raises(DataError, match=r"asks for (posix|nt)\.system"):
        read_test(write_pickle(tmp_path, content, official=monkeypatch))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "name",
    [
        b"builtins\neval",
        b"builtins\ngetattr",
        b"numpy\nload",
        b"numpy.core.multiarray\nscalar",
        b"numpy._core.multiarray\nfromfile",
        b"_codecs\ndecode",
    ],
)
@pytest.mark.usefixtures("few")
def test_a_pickle_may_ask_for_nothing_but_the_parts_of_an_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    source = write_pickle(tmp_path, b"\x80\x02c" + name + b"\n.", official=monkeypatch)
    with pytest.raises(DataError, match=f"asks for {name.decode().replace(chr(10), '.')}, "):
        read_test(source)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"no pickle at all", "is not a batch of CIFAR-10"),
        (pickle.dumps([1, 2]), "is not a batch of CIFAR-10"),
        (pickle.dumps({"labels": []}), "is not a batch of CIFAR-10"),
        (pickle.dumps({"labels": [1 << 70], "data": []}), "is not a batch of CIFAR-10"),
        (as_python_3(*batch(0, records=3)), r"uint8 images of shape \(3, 3072\)"),
        (
            as_python_3(np.arange(FEW), batch(0)[1][:, :3000]),
            r"uint8 images of shape \(20, 3000\)",
        ),
        (pickle.dumps({"labels": [0] * FEW, "data": [[0] * 3072] * FEW}), "holds int64 images"),
        (as_python_3(np.zeros(FEW), np.zeros((FEW, 3072), object)), "holds an array of 'O8'"),
        (as_python_3(np.arange(FEW), batch(0)[1]), "record 10 .* label 10,"),
        (as_python_3(-np.arange(FEW), batch(0)[1]), "record 1 .* label -1,"),
    ],
)
@pytest.mark.usefixtures("few")
def test_a_pickle_of_something_else_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, complaint: str
) -> None:
    with pytest.raises(DataError, match=f"test_batch.*{complaint}"):
        read_test(write_pickle(tmp_path, content, official=monkeypatch))


def test_the_checksums_are_those_that_torchvision_downloads() -> None:
    from torchvision.datasets import CIFAR10

    published = dict(CIFAR10.train_list + CIFAR10.test_list)
    assert cifar10.CHECKSUMS["python"] == published
    assert CIFAR10.base_folder == PYTHON


# Both layouts

LAYOUTS = pytest.mark.parametrize(
    ("layout", "name"), [("binary", "test_batch.bin"), ("python", "test_batch")]
)


@pytest.mark.parametrize(("layout", "encode"), [("binary", as_binary), ("python", as_python_2)])
@pytest.mark.usefixtures("few")
def test_reading_to_train_opens_each_training_file_once_and_never_the_test_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Layout, encode: Encoder
) -> None:
    source = write(tmp_path / "images", layout, encode, official=monkeypatch)
    opened: list[str] = []
    path_open = Path.open

    def record(path: Path, *arguments: Any) -> Any:
        opened.append(path.name)
        return path_open(path, *arguments)

    monkeypatch.setattr(Path, "open", record)
    with_test_file = read_train(source)
    assert opened == cifar10.TRAIN_FILES[layout]
    (source.folder / cifar10.TEST_FILES[layout]).unlink()
    np.testing.assert_array_equal(read_train(source).images, with_test_file.images)
    with pytest.raises(DataError, match=r"test_batch.*No such file"):
        read_test(source)


@pytest.mark.parametrize(
    ("put", "complaint"),
    [
        (Path.mkdir, "it is not a file"),
        (getattr(os, "mkfifo", Path.mkdir), "it is not a file"),
        (lambda path: path.symlink_to("gone"), "No such file"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
    ids=["folder", "pipe", "dangling link", "loop of links"],
)
@LAYOUTS
def test_what_is_not_a_file_is_an_error_and_does_not_block(
    tmp_path: Path, layout: Layout, name: str, put: Callable[[Path], object], complaint: str
) -> None:
    put(tmp_path / name)
    with pytest.raises(DataError, match=f"{name} cannot be read: {complaint}.*another folder"):
        read_test(Source(tmp_path, layout))


@needs_permissions
@LAYOUTS
def test_a_file_without_permission_is_an_error(tmp_path: Path, layout: Layout, name: str) -> None:
    (tmp_path / name).touch(mode=0)
    with pytest.raises(DataError, match=f"{name} cannot be read: Permission denied"):
        read_test(Source(tmp_path, layout))


@LAYOUTS
def test_a_huge_file_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Layout, name: str
) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(1 << 40)  # a sparse file: it takes no room on the disk
    monkeypatch.setattr(Path, "open", None)
    with pytest.raises(DataError, match="its 1,099,511,627,776 bytes are too many"):
        read_test(Source(tmp_path, layout))


def test_finding_and_downloading_are_imported_without_torch() -> None:
    program = (
        "import sys, cifar_core.data.cifar10, cifar_core.data.download; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.images
def test_the_real_images_are_balanced() -> None:
    folder = os.environ.get("CIFAR_SEARCH_DATA")
    source = find(Path(folder)) if folder else None
    if source is None:
        pytest.skip("CIFAR_SEARCH_DATA names no folder with CIFAR-10")
    train, test = read_train(source), read_test(source)
    assert train.images.shape == (50_000, 3, 32, 32)
    assert test.images.shape == (10_000, 3, 32, 32)
    assert np.bincount(train.labels).tolist() == [5_000] * len(CLASSES)
    assert np.bincount(test.labels).tolist() == [1_000] * len(CLASSES)
    means = (
        train.images.mean((0, 2, 3)) / 255
    )  # the red, green and blue that everyone normalises by
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=0.005)
