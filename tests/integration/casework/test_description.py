"""What the API answers is what its description says, whatever it is asked."""

import asyncio
import sys

from cerebro.kernel.web.door import document_doors
from cerebro.kernel.web.server import HttpServer

CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance"


async def test_every_answer_fits_the_description(
    app, desk, tenant, finding, make_key, make_settings, running, until, tmp_path
):
    document_doors(app)
    http = make_settings().http
    running(HttpServer(app, http))
    await desk.admit(tenant, [finding(f"signal {number}") for number in range(5)])

    async def listens():
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", http.port)
        except OSError:
            return False
        writer.close()
        return True

    await until(listens)
    asking = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{http.port}/openapi.json", "--no-color",
        "-H", f"Authorization: Bearer {await make_key('read', 'respond', 'operate')}", "--checks", CHECKS,
        "--max-examples", "12", "--phases", "coverage,fuzzing", "--seed", "1",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
    )  # fmt: skip
    said, _ = await asking.communicate()

    assert asking.returncode == 0 and b" generated" in said, said.decode()[-6000:]
