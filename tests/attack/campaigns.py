"""All campaigns."""

from attack import kills
from attack.campaign import Campaign

ALL: tuple[Campaign, ...] = (kills.CAMPAIGN,)
CAMPAIGNS = {campaign.name: campaign for campaign in ALL}
