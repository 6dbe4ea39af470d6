"""What can be acted through: doors that programs of this machine introduce, and what the settings name."""

import json
import os

import psutil

from cerebro.app.drivers import simulated_kernel
from cerebro.casework.hands.reach import FOLDER, Doors
from cerebro.kernel.settings import Settings
from cerebro.spine.identity import DEFAULT_TENANT, TenantId


async def test_a_door_is_known_while_its_program_runs_and_settings_name_the_rest(clock, tmp_path):
    reach = Settings().reach.model_copy(update={"webhooks": '{"ticketing": "https://tickets.example/hook"}'})
    kernel = simulated_kernel(Settings().model_copy(update={"data_dir": tmp_path, "reach": reach}), clock)
    doors = Doors(kernel)
    folder = tmp_path / FOLDER
    folder.mkdir()
    own = {"kind": "process", "url": "http://127.0.0.1:1", "key": "k" * 32, "targets": ["service/*"]}
    started_s = psutil.Process().create_time()
    for name, began_s in (("shop", started_s), ("gone", started_s - 99.0)):
        written = own | {"name": name, "pid": os.getpid(), "started_s": began_s}
        (folder / f"{name}.json").write_text(json.dumps(written))

    assert [each.name for each in await doors.entries(DEFAULT_TENANT)] == ["shop"]
    assert [each.name for each in doors.set_up(DEFAULT_TENANT)] == ["webhook"]
    stranger = TenantId("another")
    assert (await doors.entries(stranger), list(doors.set_up(stranger))) == ([], [])
