"""ServiceProviderConfig, ResourceTypes, Schemas (RFC 7644 §4)."""

from __future__ import annotations

import pytest


@pytest.fixture
def get(app):
    """Ask without a token."""
    return lambda path: app.test_client().get("/scim/v2" + path)


@pytest.mark.parametrize(("path", "count"), [("/ResourceTypes", 2), ("/Schemas", 7)])
def test_each_document_of_a_list_is_at_its_own_address(get, path, count):
    body = get(path).get_json(force=True)

    assert body["totalResults"] == len(body["Resources"]) == count
    for document in body["Resources"]:
        assert get(f"{path}/{document['id']}").get_json(force=True) == document
        assert document["meta"]["location"].endswith(f"/scim/v2{path}/{document['id']}")


def test_the_urn_of_a_schema_has_no_letter_case(get):
    assert get("/Schemas/URN:IETF:params:scim:schemas:core:2.0:user").status_code == 200


@pytest.mark.parametrize("path", ["/Schemas/urn:none", "/ResourceTypes/Planet"])
def test_what_is_not_there_is_not_found(get, path):
    assert get(path).status_code == 404


@pytest.mark.parametrize("path", ["/Schemas", "/ResourceTypes", "/ServiceProviderConfig"])
def test_a_filter_is_refused(get, path):
    response = get(path + "?filter=id pr")

    assert response.status_code == 403
    assert response.get_json(force=True)["status"] == "403"


def test_the_limits_that_are_promised_are_those_that_are_configured(get, app):
    config = app.extensions["scim_seats"].config
    promised = get("/ServiceProviderConfig").get_json(force=True)

    assert promised["bulk"]["maxOperations"] == config.bulk_max_operations
    assert promised["bulk"]["maxPayloadSize"] == config.bulk_max_payload_bytes
    assert promised["filter"]["maxResults"] == config.max_page_size


def test_nothing_in_the_documents_is_null(get):
    for path in ("/Schemas", "/ResourceTypes", "/ServiceProviderConfig"):
        assert b"null" not in get(path).data
