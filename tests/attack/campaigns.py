"""All campaigns."""

from attack import server
from attack.campaign import Campaign

ALL: tuple[Campaign, ...] = (server.CAMPAIGN,)
CAMPAIGNS = {campaign.name: campaign for campaign in ALL}
