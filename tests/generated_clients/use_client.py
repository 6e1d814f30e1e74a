"""What a program does with a client that openapi-python-client makes of the document."""

import sys

from facilities_client import Client
from facilities_client.api.facilities import (
    create_facility,
    delete_facility,
    get_facility,
    list_facilities,
    update_facility,
)
from facilities_client.api.features import list_features_of_facilities
from facilities_client.models import (
    FacilityFeatureCollection,
    FacilityIn,
    FacilityInPoint,
    FacilityInPointType,
    FacilityOut,
    FacilityPage,
    FacilityPatch,
    Problem,
)

client = Client(base_url=sys.argv[1])

ids = []
for number, name in enumerate(["Pier", "Quay", "Dock"]):
    location = FacilityInPoint(FacilityInPointType.POINT, [10 + number, 50])
    created = create_facility.sync(client=client, body=FacilityIn(name=name, location=location))
    assert isinstance(created, FacilityOut)
    ids.append(created.id)

page = list_facilities.sync(client=client, limit=2)
assert isinstance(page, FacilityPage)
assert [row.name for row in page.items] == ["Pier", "Quay"]
page = list_facilities.sync(client=client, limit=2, after=ids[1])
assert isinstance(page, FacilityPage)
assert ([row.name for row in page.items], page.next_) == (["Dock"], None)

condition = "name = 'Quay' AND status = 'active'"
found = list_features_of_facilities.sync(client=client, filter_=condition)
assert isinstance(found, FacilityFeatureCollection)
assert [feature.properties and feature.properties.name for feature in found.features] == ["Quay"]

found = list_features_of_facilities.sync(client=client, bbox=[10.5, 49, 12, 51])
assert isinstance(found, FacilityFeatureCollection)
assert [feature.id for feature in found.features] == ids[1:]

read = get_facility.sync_detailed(ids[0], client=client)
tag = read.headers["ETag"]
closed, default = FacilityPatch(status="closed"), FacilityPatch(status=None)
changed = update_facility.sync(ids[0], client=client, body=closed, if_match=tag)
assert isinstance(changed, FacilityOut)
assert changed.status == "closed"
stale = update_facility.sync(ids[0], client=client, body=default, if_match=tag)
assert isinstance(stale, Problem)
assert stale.status == 412

for id in ids:
    assert delete_facility.sync_detailed(id, client=client).status_code == 204
gone = get_facility.sync(ids[0], client=client)
assert isinstance(gone, Problem)
assert gone.detail == f"there is no row {ids[0]}"
