"""All campaigns."""

from attack import recipes
from attack.campaign import Campaign

ALL: tuple[Campaign, ...] = (recipes.CAMPAIGN,)
CAMPAIGNS = {campaign.name: campaign for campaign in ALL}
