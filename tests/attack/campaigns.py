"""All campaigns."""

from attack import images
from attack.campaign import Campaign

ALL: tuple[Campaign, ...] = (images.CAMPAIGN,)
CAMPAIGNS = {campaign.name: campaign for campaign in ALL}
