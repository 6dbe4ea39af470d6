"""Nobody but Cerebro itself has the name that its own deeds are kept under."""

import pytest

from cerebro.cli import doctor
from cerebro.kernel.access.gate import Gate
from cerebro.kernel.access.model import OWN_NAME, USERS, User
from cerebro.kernel.access.permissions import Role
from cerebro.kernel.records.memory import MemoryRecords
from cerebro.kernel.settings import AccessSettings, Settings
from cerebro.spine.errors import Invalid, NotFound, Unauthenticated
from cerebro.spine.identity import DEFAULT_TENANT

PASSWORD = "four quiet brown horses"


@pytest.fixture
def gate(clock):
    return Gate(MemoryRecords(), clock, AccessSettings(), "k" * 43)


@pytest.fixture
async def namesake(gate):
    """A user who was made before the name was Cerebro's own."""
    user = User(OWN_NAME, Role.OPERATOR, await gate.passwords.hash(PASSWORD), 0, 0)
    async with gate.users._records.transaction() as transaction:
        await transaction.save(USERS, DEFAULT_TENANT, OWN_NAME, user, version=0)
    return user


@pytest.mark.parametrize("login", ["cerebro", "Cerebro", " CEREBRO "])
async def test_it_is_no_login(gate, login):
    with pytest.raises(Invalid, match=r"Cerebro's own deeds.*Take another login"):
        await gate.users.make(DEFAULT_TENANT, login, "operator", PASSWORD, actor="test")


async def test_who_has_it_is_let_in_no_more_and_told_why(gate, namesake):
    with pytest.raises(Unauthenticated, match="Nobody is let in as cerebro"):
        await gate.logins.login(DEFAULT_TENANT, OWN_NAME, PASSWORD, address="10.0.0.1")
    with pytest.raises(Unauthenticated, match="The login or the password is wrong"):
        await gate.logins.login(DEFAULT_TENANT, OWN_NAME, "a wrong passphrase", address="10.0.0.1")


async def test_whatever_they_hold_from_before_approves_nothing(gate, namesake):
    granted = await gate.logins.reissue(DEFAULT_TENANT, namesake)

    with pytest.raises(Unauthenticated, match="Nobody is let in as cerebro"):
        await gate.guard.authenticate(f"Bearer {granted.access_token}")
    with pytest.raises(Unauthenticated, match="Nobody is let in as cerebro"):
        await gate.guard.standing(DEFAULT_TENANT, OWN_NAME)


@pytest.mark.parametrize("is_there", [True, False])
def test_the_doctor_warns_of_who_has_it(monkeypatch, is_there):
    class Asked:
        def __init__(self, settings):
            pass

        def get(self, path):
            assert path == "/api/v1/users/cerebro"
            if not is_there:
                raise NotFound("There is no user cerebro.")
            return {"login": "cerebro"}

    monkeypatch.setattr(doctor, "Client", Asked)
    monkeypatch.setattr(doctor, "_running", lambda settings: True)

    assert doctor.logins in doctor.CHECKS
    assert [each.mend.endswith("cerebro user remove cerebro") for each in doctor.logins(Settings())] == [
        True
    ] * is_there
