"""Compiled code that is kept: what several processes write at once is read back as it was written."""

import time
from threading import Thread

import numpy as np
import pytest

from cerebro.algorithms.native import native


def doubled(values):
    return values * 2


@pytest.fixture
def kept(tmp_path):
    """What two processes that have just started hold of the same function's code."""
    files = [native(doubled)._cache._cache_file for _ in range(2)]
    for file in files:
        file._cache_path = str(tmp_path)
        file._index_path = str(tmp_path / file._index_name)
    return files


def slowly(act):
    def later(*words):
        time.sleep(0.05)
        return act(*words)

    return later


def test_two_that_compile_at_once_do_not_share_a_name(kept):
    for file in kept:
        file._save_data, file._save_index = slowly(file._save_data), slowly(file._save_index)
    writers = [Thread(target=file.save, args=(f"signature {n}", f"code {n}")) for n, file in enumerate(kept)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [kept[0].load(f"signature {n}") for n in range(2)] == ["code 0", "code 1"]


def test_code_of_an_older_source_is_never_read_under_a_new_name(kept):
    writer, reader = kept
    writer._source_stamp = reader._source_stamp = "old"
    writer.save("signature", "old code")
    writer._source_stamp = reader._source_stamp = "new"
    seen = []
    real = writer._save_data

    def watched(*words):
        seen.append(reader.load("signature"))
        real(*words)
        seen.append(reader.load("signature"))

    writer._save_data = watched
    writer.save("signature", "new code")

    assert seen == [None, None]
    assert reader.load("signature") == "new code"


def test_compiled_code_gives_what_the_function_gives():
    assert native(doubled)(np.arange(3)).tolist() == [0, 2, 4]
