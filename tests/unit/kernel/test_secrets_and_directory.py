import json
import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cerebro.kernel.directory import DataDirectory, owner_of
from cerebro.kernel.secrets import load_secrets
from cerebro.spine.errors import Conflict, Invalid, Unavailable

NOBODY = 65534


def test_secrets_are_made_once_and_read_by_their_owner_alone(tmp_path):
    """The same ones every time; strong, different from each other, invisible in logs."""
    made = load_secrets(tmp_path)
    assert load_secrets(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    values = {made.postgres_password, made.nats_password, made.store_password, made.token_key}
    assert len(values) == 4
    assert min(map(len, values)) >= 40
    assert not any(value in repr(made) for value in values)


def test_a_secret_of_a_later_version_is_added(tmp_path):
    """An upgrade keeps the passwords that the engines know."""
    made = load_secrets(tmp_path)
    file = tmp_path / "secrets.json"
    known = json.loads(file.read_text())
    del known["token_key"]
    file.write_text(json.dumps(known))

    again = load_secrets(tmp_path)
    assert again.nats_password == made.nats_password
    assert again.token_key not in ("", made.token_key)
    assert load_secrets(tmp_path) == again


def test_processes_that_start_together_agree(tmp_path):
    """Whoever is first makes them; the rest read."""
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert len({s.token_key for s in pool.map(load_secrets, [tmp_path] * 8)}) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["secrets.json"]


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_broken_file_is_never_replaced(tmp_path, text):
    """New passwords would lock us out of our own data."""
    (tmp_path / "secrets.json").write_text(text)
    with pytest.raises(Invalid, match=r"secrets\.json"):
        load_secrets(tmp_path)


def test_a_directory_has_one_owner(tmp_path):
    """The second is told who the first is; after the first is gone it may."""
    first = DataDirectory.claim(tmp_path / "data")
    assert owner_of(tmp_path / "data") == os.getpid()
    with pytest.raises(Conflict, match=rf"pid {os.getpid()}\)"):
        DataDirectory.claim(tmp_path / "data")
    first.close()
    assert owner_of(tmp_path / "data") == 0
    DataDirectory.claim(tmp_path / "data").close()


def test_a_stale_lock_is_only_a_file(tmp_path):
    """Left by a process that was killed, whatever it says."""
    code = "import os,sys,pathlib; from cerebro.kernel.directory import DataDirectory as D; D.claim(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"  # noqa: E501
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == -9
    assert int((tmp_path / "lock").read_text()) > 0
    assert owner_of(tmp_path) == 0
    DataDirectory.claim(tmp_path).close()


def test_a_later_version_is_refused(tmp_path):
    """Rather than half understood."""
    (tmp_path / "version").write_text("2\n")
    with pytest.raises(Invalid, match="version 2"):
        DataDirectory.claim(tmp_path)
    assert owner_of(tmp_path) == 0


def test_a_file_is_no_directory(tmp_path):
    """One line that says so."""
    (tmp_path / "data").write_text("")
    with pytest.raises(Invalid, match="not a directory"):
        DataDirectory.claim(tmp_path / "data")


def test_a_directory_that_cannot_be_written_is_one_line():
    """Also for root, whom permissions do not stop."""
    for impossible in ("/proc/cerebro", "/sys/cerebro"):
        with pytest.raises(Unavailable, match="cannot be written"):
            DataDirectory.claim(Path(impossible))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_read_only_directory_is_one_line(tmp_path):
    """As a user who may read it but not write."""
    tmp_path.chmod(0o555)
    for parent in list(tmp_path.parents)[:2]:
        parent.chmod(0o755)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        said = pool.apply(_claim_as_nobody, [tmp_path])
    assert "cannot be written: Permission denied" in said
    assert "\n" not in said


def _claim_as_nobody(path):
    os.setuid(NOBODY)
    try:
        DataDirectory.claim(path)
    except Unavailable as error:
        return str(error)
    return ""
