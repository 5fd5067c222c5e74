"""All campaigns."""

from attack import kills, server
from attack.campaign import Campaign

ALL: tuple[Campaign, ...] = (server.CAMPAIGN, kills.CAMPAIGN,)
CAMPAIGNS = {campaign.name: campaign for campaign in ALL}
