"""Blobs being written: whole or not there, whatever fails, and swept only once nobody writes them."""

import contextlib
import errno
import fcntl
import hashlib
import os
from pathlib import Path

import pytest

from headgate.kernel.errors import Unavailable
from headgate.storage import local
from headgate.storage.local import BlobStore
from headgate.storage.paths import DataFolder


@pytest.fixture
def store(tmp_path):
    folder = DataFolder(tmp_path)
    folder.create()
    return BlobStore(folder)


def half_written(store):
    return list(store.folder.incoming.iterdir())


def test_a_blob_is_absent_until_it_is_committed(store):
    with store.writer() as writer:
        writer.write(b"bytes")
        assert store.find(writer.sha256) is None
        sha256 = writer.commit()
    assert store.path(sha256).read_bytes() == b"bytes"
    assert half_written(store) == []


def test_what_is_not_committed_leaves_no_trace(store):
    with contextlib.suppress(RuntimeError), store.writer() as writer:
        writer.write(b"bytes")
        raise RuntimeError
    assert half_written(store) == list(store.iter_digests()) == []


def test_a_commit_that_fails_at_its_last_step_leaves_no_trace(store, monkeypatch):
    def fail(source, target):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(local, "move_durably", fail)
    with store.writer() as writer:
        writer.write(b"bytes")
        with pytest.raises(Unavailable) as full:
            writer.commit()
    assert full.value.code == "storage-full"
    assert half_written(store) == []


def test_a_sweep_takes_what_nobody_holds_and_nothing_else(store):
    (store.folder.incoming / "killed.part").write_bytes(b"half")
    (store.folder.scratch / "killed").mkdir()
    (store.folder.scratch / "killed" / "document").write_bytes(b"half")
    fetch = os.open(store.folder.incoming / "living.fetch", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fetch, fcntl.LOCK_EX)
    with store.writer() as writer:
        assert store.sweep() == 2
        assert {path.name for path in half_written(store)} == {"living.fetch", writer.path.name}
        assert list(store.folder.scratch.iterdir()) == []
    os.close(fetch)
    assert store.sweep() == 1


def test_a_file_that_is_swept_before_it_is_locked_is_made_again(store, monkeypatch):
    real = fcntl.flock
    sweeps = iter([True, False])

    def sweep_first(file, operation):
        if next(sweeps):
            Path(file.name).unlink()
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    with store.writer() as writer:
        writer.write(b"bytes")
        assert store.path(writer.commit()).read_bytes() == b"bytes"


def test_batch_names_all_of_its_blobs_or_none(store):
    with store.batch() as batch:
        for body in (b"one", b"two", b"one"):
            batch.writer().write(body)
        assert list(store.iter_digests()) == []
        batch.commit()
    expected = {hashlib.sha256(body).hexdigest() for body in (b"one", b"two")}
    assert set(store.iter_digests()) == expected
    with store.batch() as given_up:
        given_up.writer().write(b"three")
    assert set(store.iter_digests()) == expected
    assert list(store.folder.incoming.iterdir()) == []
