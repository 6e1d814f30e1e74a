"""The page /docs of rendered services, in a browser: "Try it out" and "Execute" work as they stand, for every operation that writes."""

import json
from typing import Any
from urllib.request import urlopen

import pytest
from browser import Page, browser
from conftest import Bake
from test_map_page import serving

#: Opens an operation and fills in parameters as a person does, executes it and closes it.
EXECUTE = """
(async (id, filled) => {
  const until = async (find) => {
    for (let tries = 0; tries < 600; tries++) {
      const found = find();
      if (found) return found;
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`${id}: ${find}`);
  };
  const block = await until(() => document.getElementById(id));
  block.querySelector(".opblock-summary-control").click();
  (await until(() => block.querySelector(".try-out__btn"))).click();
  const execute = await until(() => block.querySelector(".btn.execute"));
  for (const row of block.querySelectorAll("tr[data-param-name]")) {
    const value = filled[row.dataset.paramName];
    if (value !== undefined) {
      const input = row.querySelector("input");
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, value);
      input.dispatchEvent(new Event("input", { bubbles: true }));
      input.dispatchEvent(new Event("focusout", { bubbles: true }));
    }
  }
  execute.click();
  const status = await until(() => block.querySelector(".live-responses-table tbody .response-col_status"));
  const answer = block.querySelector(".live-responses-table").innerText;
  block.querySelector(".opblock-summary-control").click();
  return [status.innerText, answer];
})(%s, %s)
"""


def execute(page: Page, operation: dict[str, Any], **parameters: str) -> None:
    """Try an operation out; it has to succeed."""
    block = f"operations-{operation['tags'][0]}-{operation['operationId']}"
    status, answer = page.evaluate(EXECUTE % (json.dumps(block), json.dumps(parameters)))
    assert status.split()[0] in ("200", "201", "204"), (block, answer)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {
            "geometry_type": "POLYGON",
            "geometry_dimension": "XYZ",
            "srid": "27700",
            "primary_key": "uuid",
            "attributes": "code:str(3)! price:numeric(5,2)=1.50 opened:date seen:datetime=now more:json?",
        },
    ],
    ids=str,
)
def test_every_write_can_be_tried_out(
    bake: Bake, database_url: str, parameters: dict[str, str]
) -> None:
    project = bake(**parameters)
    migrated = project.service("migrate", DATABASE_URL=database_url)
    assert migrated.code == 0, migrated
    with serving(project, database_url) as url, browser() as page:
        document = json.load(urlopen(f"{url}/openapi.json", timeout=30))
        page.open(f"{url}/docs")
        rows = f"{url}/{project.table}/"
        for path in (f"/{project.table}/", f"/collections/{project.table}/items"):
            # A row for the operations that follow.
            execute(page, document["paths"][path]["post"])
            [row] = json.load(urlopen(rows, timeout=30))["items"]
            for method in ("put", "patch", "delete"):
                one = next(
                    each for each in document["paths"] if each.startswith(path) and "{id}" in each
                )
                execute(page, document["paths"][one][method], id=str(row["id"]))
            assert json.load(urlopen(rows, timeout=30))["items"] == []
        assert page.complaints == []
