"""A post-mortem is drafted, edited once by two people, kept, told in the timeline, and read in three forms."""


async def test_it_is_drafted_and_then_kept_as_people_leave_it(client, desk, tenant, finding):
    await desk.admit(tenant, [finding("cpu")])
    (case,) = (await client.get("/cases")).json()["items"]
    path = f"/cases/{case['id']}/post-mortem"

    drafted = (await client.get(path)).json()
    russian = (await client.get(path, params={"language": "ru"})).json()
    kept = await client.put(path, json={"markdown": "# Ours\n\nWe learned.", "version": 0})
    late = await client.put(path, json={"markdown": "# Mine", "version": 0})
    again = await client.put(path, json={"markdown": "# Ours, better", "version": 1})
    read = (await client.get(path)).json()
    as_file = await client.get(f"{path}.md")
    as_pdf = await client.get(f"{path}.pdf")
    timeline = (await client.get(f"/cases/{case['id']}")).json()["timeline"]

    assert drafted["version"] == 0 and case["title"].split()[0] in drafted["markdown"]
    assert drafted["page"].endswith(f"/cases/{case['id']}") and drafted["page"] in drafted["markdown"]
    assert "Разбор" in russian["markdown"]
    assert (kept.status_code, late.status_code, again.status_code) == (200, 409, 200)
    assert (read["markdown"], read["version"]) == ("# Ours, better", 2)
    assert as_file.text == "# Ours, better" and as_file.headers["content-type"].startswith("text/markdown")
    assert as_pdf.content.startswith(b"%PDF")
    assert [entry["kind"] for entry in timeline].count("post_mortem_written") == 1
    assert (await client.get("/cases/none/post-mortem")).status_code == 404
    assert (await client.put("/cases/none/post-mortem", json={"markdown": "x", "version": 0})).status_code == 404
