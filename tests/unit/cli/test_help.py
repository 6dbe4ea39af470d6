"""What `cerebro --help` says."""

from typer.testing import CliRunner

from cerebro import __version__
from cerebro.cli.main import SECTIONS, app


def test_every_command_stands_under_a_heading():
    """A new command must find its place among them."""
    said = CliRunner().invoke(app, ["--help"]).output

    assert "More:" not in said
    assert [title for title in SECTIONS if f"{title}:" not in said] == []
    assert CliRunner().invoke(app, ["-h"]).output == said


def test_the_version_is_told():
    """As an option, where people look for it."""
    assert CliRunner().invoke(app, ["--version"]).output.strip() == __version__
