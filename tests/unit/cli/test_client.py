"""What is wrong with an address or a key is told in a line, before anything is sent."""

import pytest

from cerebro.cli.client import Client
from cerebro.kernel.settings import Settings
from cerebro.spine.errors import Invalid


@pytest.mark.parametrize(("url", "key"), [("http://here:port", "k"), ("http://here:8640", "ключ")])
def test_what_is_no_address_and_no_key_is_refused(url, key):
    with pytest.raises(Invalid):
        Client(Settings(), url, key)
