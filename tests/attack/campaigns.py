"""All campaigns."""

from attack import images, kills, labels, models, recipes, server
from attack.campaign import Campaign

ALL: tuple[Campaign, ...] = (
    images.CAMPAIGN,
    kills.CAMPAIGN,
    labels.CAMPAIGN,
    models.CAMPAIGN,
    recipes.CAMPAIGN,
    server.CAMPAIGN,
)
CAMPAIGNS = {campaign.name: campaign for campaign in ALL}
