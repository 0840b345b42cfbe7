"""What a member asks for: the rules C0–C6 in their order (seat rule B4)."""

from __future__ import annotations

import pytest

from seat_policy import (
    ANY,
    NO_SEAT,
    UNASSIGNED,
    GroupMapping,
    MappingConflict,
    MappingLostPolicy,
    Member,
    OverridePolicy,
    Role,
    Settings,
    Source,
    Status,
    UnmappedPolicy,
    claim_of,
    explain,
)
from tests.seat_policy.builders import MAPPED, NOW, holding, person, pools

POOLS = pools("0/1", "0/1")


def claimed(member: Member, settings: Settings = MAPPED) -> tuple[str, Source, str]:
    claim = claim_of(member, settings, POOLS)
    return claim.rule, claim.source, claim.desired


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        pytest.param(
            person("a", "premium", status=Status.SUSPENDED, override="premium"),
            ("C0", Source.NONE, UNASSIGNED),
            id="who is suspended claims nothing, whatever else is true",
        ),
        pytest.param(
            person("a", "premium", override="standard"),
            ("C1", Source.OVERRIDE, "standard"),
            id="an override beats a mapping",
        ),
        pytest.param(
            person("a", "standard", role=Role.PRIMARY_OWNER),
            ("C2", Source.DEFAULT, ANY),
            id="mappings never touch the primary owner",
        ),
        pytest.param(
            person("a", "standard", "premium"),
            ("C4", Source.MAPPING, "premium"),
            id="the highest of several mapped tiers counts",
        ),
        pytest.param(person("a"), ("C6", Source.DEFAULT, ANY), id="without a mapping the default applies"),
        pytest.param(
            person("a", joined_by=Source.JIT),
            ("C6", Source.JIT, ANY),
            id="a default taken at a login is named so",
        ),
    ],
)
def test_the_first_rule_that_applies_decides(member, expected):
    assert claimed(member) == expected


def test_mappings_that_are_off_decide_nothing():
    assert claimed(person("a", "premium"), Settings())[0] == "C6"


def test_the_lowest_priority_number_wins_and_a_tie_goes_to_the_higher_tier():
    settings = Settings(group_mappings=MAPPED.group_mappings, mapping_conflict=MappingConflict.PRIORITY)

    def member(premium: int | None, standard: int | None) -> Member:
        mappings = (GroupMapping("e", "premium", premium), GroupMapping("s", "standard", standard))
        return Member("a", NOW, Status.ACTIVE, Role.USER, holding(None), None, mappings)

    assert claimed(member(2, 1), settings)[2] == "standard"
    assert claimed(member(1, 1), settings)[2] == "premium"
    assert claimed(member(None, 9), settings)[2] == "standard"


@pytest.mark.parametrize(
    ("policy", "suspends"), [(UnmappedPolicy.UNASSIGNED, False), (UnmappedPolicy.REMOVE, True)]
)
def test_who_is_in_no_mapped_group_can_lose_the_seat(policy, suspends):
    settings = Settings(group_mappings=MAPPED.group_mappings, unmapped_policy=policy)

    claim = claim_of(person("a", seat=holding("standard")), settings, POOLS)

    assert (claim.rule, claim.desired, claim.suspends) == ("C5", UNASSIGNED, suspends)


@pytest.mark.parametrize(
    ("policy", "desired", "gives_back"),
    [
        (MappingLostPolicy.REASSESS, ANY, True),
        (MappingLostPolicy.KEEP, ANY, False),
        (MappingLostPolicy.UNASSIGN, UNASSIGNED, False),
    ],
)
def test_what_a_lost_mapping_means_is_a_setting(policy, desired, gives_back):
    settings = Settings(group_mappings=MAPPED.group_mappings, mapping_lost_policy=policy)

    claim = claim_of(person("a", seat=holding("premium", Source.MAPPING)), settings, POOLS)

    assert (claim.desired, claim.gives_back) == (desired, gives_back)


def test_a_mapping_beats_an_override_where_the_organization_wants_it_so():
    settings = Settings(group_mappings=MAPPED.group_mappings, override_policy=OverridePolicy.MAPPING_WINS)

    assert claimed(person("a", "premium", override="standard"), settings)[0] == "C4"
    assert claimed(person("a", override="standard"), settings)[0] == "C1"


def test_no_mapping_beats_the_override_of_the_primary_owner():
    settings = Settings(group_mappings=MAPPED.group_mappings, override_policy=OverridePolicy.MAPPING_WINS)
    owner = person("a", "premium", override="standard", role=Role.PRIMARY_OWNER)

    assert claimed(owner, settings)[0] == "C1"


def test_who_went_without_a_seat_along_with_the_mapping_is_told_so():
    settings = Settings(mapping_lost_policy=MappingLostPolicy.UNASSIGN)
    gone = person("a", seat=NO_SEAT)

    assert "mapping_lost_policy" in explain(gone, claim_of(gone, settings, POOLS), settings)


@pytest.mark.parametrize("member", [person("a", "premium"), person("a"), person("a", override="standard")])
def test_every_claim_can_be_explained(member):
    claim = claim_of(member, MAPPED, POOLS)

    assert explain(member, claim, MAPPED).endswith(".")
