"""The first cases of every campaign."""

from pathlib import Path

import pytest

from attack.campaigns import CAMPAIGNS


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_nothing_hostile_gets_through(name: str, tmp_path: Path) -> None:
    campaign = CAMPAIGNS[name]
    assert list(campaign.attack(range(campaign.few), tmp_path)) == []
